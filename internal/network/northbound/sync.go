package northbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/internal/network/records"
)

// Database is the northbound database, as package ovn has it.
type Database interface {
	Apply(ctx context.Context, scope string, rows []ovn.Row) error
	ApplyAll(ctx context.Context, all []ovn.Rendered) (left map[string]error, err error)
	Resync(ctx context.Context, scopes map[string][]ovn.Row) (repaired int, err error)
	Compare(scopes map[string][]ovn.Row) []ovn.Difference
	// Gateways lists the hosts that it lets hold gateways, the most wanted first.
	Gateways() []string
	Close()
}

// fullEvery is the time between passes over everything.
const fullEvery = 10 * time.Minute

// Sync writes what rows mean. Its Run is a reconciler's.
type Sync struct {
	records  *records.Records
	open     func(context.Context) (Database, error)
	gateways Gateways
	lead     Lead
	clock    clock.Clock
	log      *slog.Logger

	db     Database // of Run alone
	full   time.Time
	holds  func() bool   // still the leader; nil: it was not
	moment Moment        // of the next decision
	wrote  time.Duration // reading of the clock when it last began to; 0: never
}

// Gateways lists the hosts that may hold gateways, the most wanted first.
type Gateways func(ctx context.Context, d Database, m Moment) ([]string, error)

// Moment is when it is asked where gateways should be.
type Moment int

// The moments.
const (
	Looking   Moment = iota // nothing is to be decided: somebody compares
	Beginning               // a term as the leader begins; what was decided before may be old
	Going                   // it goes on
)

// Lead tells whether this server is the one that writes: nil when it is not,
// else what is asked again right before each write.
type Lead func(ctx context.Context) (holds func() bool, err error)

// alone is the Lead of a cloud with one server.
func alone(context.Context) (func() bool, error) { return func() bool { return true }, nil }

// New makes a sync. open connects to the database where a term as the leader
// begins; lead may be nil.
func New(r *records.Records, open func(context.Context) (Database, error), gateways Gateways, lead Lead, c clock.Clock, log *slog.Logger) *Sync {
	if lead == nil {
		lead = alone
	}
	return &Sync{records: r, open: open, gateways: gateways, lead: lead, clock: c, log: log}
}

// Queue remembers scopes to be rendered again and wakes the reconciler by
// poke. It never blocks.
type Queue struct {
	mu    sync.Mutex
	dirty map[string]bool
	all   bool
	poke  func()
}

// NewQueue makes a queue; poke wakes whoever drains it.
func NewQueue(poke func()) *Queue { return &Queue{dirty: map[string]bool{}, poke: poke} }

// Dirty adds scopes.
func (q *Queue) Dirty(scopes ...string) {
	q.mu.Lock()
	for _, s := range scopes {
		q.dirty[s] = true
	}
	q.mu.Unlock()
	q.poke()
}

// All has everything rendered again, for example when hosts came or went.
func (q *Queue) All() {
	q.mu.Lock()
	q.all = true
	q.mu.Unlock()
	q.poke()
}

func (q *Queue) wantsAll() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.all
	q.all = false
	return all
}

func (q *Queue) take() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := slices.SortedFunc(maps.Keys(q.dirty), ovn.CompareScopes)
	q.dirty = map[string]bool{}
	return out
}

// Run applies what the queue holds, or everything when that is due.
func (s *Sync) Run(ctx context.Context, q *Queue) error {
	led := s.holds != nil
	var err error
	if s.holds, err = s.lead(ctx); err != nil {
		return err
	}
	if s.holds == nil { // the leader is told of the same scopes
		q.take()
		return nil
	}
	if !led && s.db != nil { // another wrote meanwhile: what is known of the database is old
		s.db.Close()
		s.db = nil
	}
	if s.db == nil {
		d, err := s.open(ctx)
		if err != nil {
			return err
		}
		s.db, s.full, s.moment = d, time.Time{}, Beginning
	}
	if q.wantsAll() || s.clock.Now().Sub(s.full) >= fullEvery {
		err := s.everything(ctx, q)
		if err != nil {
			s.full = time.Time{}
		}
		return err
	}
	if !s.gather(ctx) {
		return ctx.Err()
	}
	var failed []error
	for some := range slices.Chunk(q.take(), together) {
		for scope, err := range s.some(ctx, some) {
			failed = append(failed, fmt.Errorf("scope %s: %w", scope, err))
			q.mu.Lock()
			q.dirty[scope] = true
			q.mu.Unlock()
		}
	}
	return errors.Join(failed...)
}

// together is how many scopes are read and written in one go. northd looks at
// everything again after each transaction, so that a hundred ports one by one
// would cost it a hundred looks.
const together = 128

// apart is the least time between writes: as long as northd's look at everything
// takes. What comes meanwhile is written together; what comes alone does not wait.
const apart = 20 * time.Millisecond

// gather waits until the next write is due. False: ctx has ended.
func (s *Sync) gather(ctx context.Context) bool {
	steady := clock.Real{} // another process is at work
	defer func() { s.wrote = steady.Elapsed() }()
	left := apart - (steady.Elapsed() - s.wrote)
	if s.wrote == 0 || left <= 0 {
		return true
	}
	select {
	case <-ctx.Done():
		return false
	case <-steady.After(left):
		return true
	}
}

// some brings scopes in line, and answers those that it could not.
func (s *Sync) some(ctx context.Context, scopes []string) map[string]error {
	failed := map[string]error{}
	if len(scopes) == 1 {
		if err := s.one(ctx, scopes[0]); err != nil {
			failed[scopes[0]] = err
		}
		return failed
	}
	r := s.reading(s.decide(ctx))
	err := r.ports(ctx, scopes)
	var all []ovn.Rendered
	for _, scope := range scopes {
		if err != nil {
			break
		}
		rows, err := r.render(ctx, scope)
		if err != nil {
			failed[scope] = err
			continue
		}
		all = append(all, ovn.Rendered{Scope: scope, Rows: rows})
	}
	if err == nil && !s.holds() {
		err = fault.Unavailablef("another server writes the network now")
	}
	var left map[string]error
	if err == nil {
		left, err = s.db.ApplyAll(ctx, all)
	}
	if err == nil {
		for scope, why := range left {
			failed[scope] = why
			s.full = time.Time{} // a parent is missing that nobody named: look at everything
		}
		return failed
	}
	if ctx.Err() != nil || fault.Is(err, fault.Unavailable) {
		for _, scope := range scopes {
			failed[scope] = err
		}
		return failed
	}
	for _, scope := range scopes { // one that is wrong shall not keep the others out
		if err := s.one(ctx, scope); err != nil {
			failed[scope] = err
		}
	}
	return failed
}

func (s *Sync) one(ctx context.Context, scope string) error {
	rows, err := s.reading(s.decide(ctx)).render(ctx, scope)
	if err != nil {
		return err
	}
	if !s.holds() {
		return fault.Unavailablef("another server writes the network now")
	}
	err = s.db.Apply(ctx, scope, rows)
	if fault.Is(err, fault.NotFound) {
		s.full = time.Time{} // a parent is missing that nobody named: look at everything
	}
	return err
}

func (s *Sync) everything(ctx context.Context, q *Queue) error {
	q.take()
	all, err := s.renderAll(ctx, s.decide(ctx))
	if err != nil {
		return err
	}
	if !s.holds() {
		return fault.Unavailablef("another server writes the network now")
	}
	repaired, err := s.db.Resync(ctx, all)
	if err != nil {
		return err
	}
	if repaired > 0 {
		s.log.Info("northbound database brought in line", "scopes", len(all), "repaired", repaired)
	}
	s.full = s.clock.Now()
	return nil
}

// decide says where gateways should be, once for all who ask.
func (s *Sync) decide(ctx context.Context) func() ([]string, error) {
	return sync.OnceValues(func() ([]string, error) {
		hosts, err := s.gateways(ctx, s.db, s.moment)
		if err == nil {
			s.moment = Going
		}
		return hosts, err
	})
}

// scopes lists all there should be.
func (s *Sync) scopes(ctx context.Context) ([]string, error) {
	out := []string{ovn.GlobalScope}
	r, q := s.records, s.records.DB
	networks, err1 := r.Networks.Where(ctx, q)
	for _, n := range networks {
		out = append(out, network.NetworkScope(n.ID))
	}
	groups, err2 := r.Groups.Where(ctx, q)
	for _, g := range groups {
		out = append(out, network.GroupScope(g.ID))
	}
	addresses, err6 := r.AddressGroups.Where(ctx, q)
	for _, g := range addresses {
		out = append(out, network.AddressGroupScope(g.ID))
	}
	routers, err3 := r.Routers.Where(ctx, q)
	for _, x := range routers {
		out = append(out, network.RouterScope(x.ID))
	}
	ports, err4 := r.Ports.Where(ctx, q)
	for _, p := range ports {
		out = append(out, network.PortScope(p.ID))
	}
	floatings, err5 := r.Floatings.Where(ctx, q)
	for _, f := range floatings {
		out = append(out, network.FloatingScope(f.ID))
	}
	return out, errors.Join(err1, err2, err3, err4, err5, err6)
}
