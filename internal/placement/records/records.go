package records

import (
	"context"
	"sync"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/search"
	"github.com/mekcloud/mek/internal/placement/wire"
)

// Store is Placement's state. Safe for concurrent use.
type Store struct {
	db              *db.DB
	clock           clock.Clock
	standardClasses map[string]bool
	standardTraits  map[string]bool

	last    *db.Kept[struct{}, int64]                        // the database's revision
	stocks  *db.Kept[string, map[string]placement.Inventory] // by provider; nobody changes them
	loading sync.Mutex                                       // one load at a time: an older one must not end last

	mu       sync.RWMutex // guards what follows
	index    *search.Index
	revision int64 // up to which the index knows
}

var _ placement.Allocator = (*Store)(nil)

// New makes a store; the index is loaded when it is first asked.
func New(d *db.DB, c clock.Clock) *Store {
	return &Store{db: d, clock: c, last: db.Keep[struct{}, int64]("placement_revision"),
		stocks: db.Keep[string, map[string]placement.Inventory]("placement_inventories", "DELETE placement_providers"),
		index:  search.New(), standardClasses: set(placement.StandardClasses()), standardTraits: set(placement.StandardTraits())}
}

func set(list []string) map[string]bool {
	out := make(map[string]bool, len(list))
	for _, s := range list {
		out[s] = true
	}
	return out
}

// View calls fn with an index that holds everything committed before. fn MUST
// NOT keep or change the index.
func (s *Store) View(ctx context.Context, fn func(x *search.Index) error) error {
	if err := s.refresh(ctx); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return fn(s.index)
}

// Provider finds a provider; NotFound when there is none.
func (s *Store) Provider(ctx context.Context, uuid string) (entry *search.Entry, err error) {
	err = s.View(ctx, func(x *search.Index) error {
		var ok bool
		if entry, ok = x.Get(uuid); !ok {
			return noProvider(uuid)
		}
		return nil
	})
	return entry, err
}

func noProvider(uuid string) error {
	return fault.NotFoundf("No resource provider with uuid %s found", uuid)
}

// Candidates lists the ways to serve a request.
func (s *Store) Candidates(ctx context.Context, r placement.Request) (out placement.Candidates, err error) {
	err = s.Search(ctx, &r, func(x *search.Index) { out = x.Candidates(&r) })
	return out, err
}

// Search is View for a request, whose names it checks.
func (s *Store) Search(ctx context.Context, r *placement.Request, fn func(x *search.Index)) error {
	if err := s.checkNames(ctx, r); err != nil {
		return err
	}
	return s.View(ctx, func(x *search.Index) error {
		fn(x)
		return nil
	})
}

// checkNames refuses classes and traits that do not exist.
func (s *Store) checkNames(ctx context.Context, r *placement.Request) error {
	traits := append(append([]string(nil), r.RootRequired...), r.RootForbidden...)
	for i := range r.Groups {
		if err := s.CheckGroup(ctx, &r.Groups[i]); err != nil {
			return err
		}
	}
	return s.checkTraits(ctx, s.db, traits)
}

// CheckGroup refuses a group that names a resource class or trait that does not
// exist. Code is wire.CodeNoClass or wire.CodeNoTrait.
func (s *Store) CheckGroup(ctx context.Context, g *placement.Group) error {
	for class := range g.Resources {
		if ok, err := s.hasClass(ctx, s.db, class); err != nil || !ok {
			return orMissing(err, noClass(class))
		}
	}
	traits := append([]string(nil), g.Forbidden...)
	for _, list := range g.Required {
		traits = append(traits, list...)
	}
	return s.checkTraits(ctx, s.db, traits)
}

func orMissing(err, missing error) error {
	if err != nil {
		return err
	}
	return missing
}

func noClass(name string) error {
	return fault.Invalidf("No such resource class %s.", name).With(wire.CodeNoClass)
}

func noTrait(names string) error {
	return fault.Invalidf("No such trait(s): %s.", names).With(wire.CodeNoTrait)
}

// writer is a running change.
type writer struct {
	ctx      context.Context
	s        *Store
	tx       *db.Tx
	now      int64
	revision int64
	touched  map[string]int64 // providers, and how often their generation rises
	moved    usage            // by how much allocations grew
	nothing  bool             // it was read before: who claims has nothing, and so is no consumer yet
}

// write runs a change in a transaction of its own.
func (s *Store) write(ctx context.Context, fn func(w *writer) error) error {
	now := clock.Micros(s.clock.Now())
	return s.db.Write(ctx, func(tx *db.Tx) error { return s.within(ctx, tx, now, fn) })
}

// within runs a change in the caller's transaction.
func (s *Store) within(ctx context.Context, tx *db.Tx, now int64, fn func(w *writer) error) error {
	w := &writer{ctx: ctx, s: s, tx: tx, now: now, touched: map[string]int64{}, moved: usage{}}
	if err := w.begin(); err != nil {
		return err
	}
	if err := fn(w); err != nil {
		return err
	}
	return w.flush()
}

func (w *writer) audit(action, kind, object string) error {
	return outbox.Write(w.ctx, w.tx, event.Record{Service: "placement", Action: action, Kind: kind, Object: object})
}
