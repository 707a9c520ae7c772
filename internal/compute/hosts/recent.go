package hosts

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

// staleAfter is how long Recent may not know of what another server of the cloud
// has changed.
const staleAfter = time.Second

// recent is the table of hosts in memory. Each decision about a place looks at
// hosts: reading them from the database each time would make every new server
// as expensive as there are hosts. Rows are never changed once they are here.
type recent struct {
	mu   sync.Mutex
	all  map[string]*row // by id; nil: not known; never changed, but replaced
	list []*row          // the same by name; nil: not sorted yet
	old  map[string]bool // ids of rows that this server has changed since
	// count is the table's counter of changes when it was read, own those that
	// came since then from here, and asked when the counter was last looked at.
	count int64
	own   map[int64]bool
	asked time.Time
}

// Recent is List from memory: what this server has changed is there at once,
// what another one has changed within a second. Whether hosts are up is of now.
func (s *Hosts) Recent(ctx context.Context) ([]*Host, error) {
	s.recent.mu.Lock()
	defer s.recent.mu.Unlock()
	if err := s.current(ctx); err != nil {
		return nil, err
	}
	list := s.recent.byName()
	out := make([]*Host, len(list))
	for i, r := range list {
		out[i] = s.host(r)
	}
	return out, nil
}

// byName is the table in the order of names. The caller holds mu.
func (k *recent) byName() []*row {
	if k.list == nil {
		k.list = slices.SortedFunc(maps.Values(k.all), func(a, b *row) int { return strings.Compare(a.Name, b.Name) })
	}
	return k.list
}

// RecentByName is Recent for one host; nil when there is none.
func (s *Hosts) RecentByName(ctx context.Context, name string) (*Host, error) {
	s.recent.mu.Lock()
	defer s.recent.mu.Unlock()
	if err := s.current(ctx); err != nil {
		return nil, err
	}
	list := s.recent.byName()
	if at, found := slices.BinarySearchFunc(list, name, func(r *row, name string) int { return strings.Compare(r.Name, name) }); found {
		return s.host(list[at]), nil
	}
	return nil, nil
}

// RecentByID is Recent for those who look at few hosts: what it gives finds one
// by its id, nil when there is none.
func (s *Hosts) RecentByID(ctx context.Context) (func(id string) *Host, error) {
	s.recent.mu.Lock()
	defer s.recent.mu.Unlock()
	err := s.current(ctx)
	all := s.recent.all
	return func(id string) *Host {
		if r := all[id]; r != nil {
			return s.host(r)
		}
		return nil
	}, err
}

// current brings the table up to date. The caller holds recent.mu, so that many
// who ask at once read once.
func (s *Hosts) current(ctx context.Context) error {
	known := &s.recent
	now := s.clock.Now()
	if known.all == nil || now.Sub(known.asked) >= staleAfter {
		count, err := changes(ctx, s.db)
		if err != nil {
			return err
		}
		known.asked = now
		for known.own[known.count+1] {
			known.count++
			delete(known.own, known.count)
		}
		if known.all == nil || known.count < count {
			return s.reread(ctx, count)
		}
	}
	if len(known.old) == 0 {
		return nil
	}
	ids := make([]any, 0, len(known.old))
	for id := range known.old {
		ids = append(ids, id)
	}
	fresh, err := rows.Find(ctx, s.db, listing.Term{Column: "id", Op: listing.In, Values: ids})
	if err != nil {
		return err
	}
	next := maps.Clone(known.all)
	for id := range known.old {
		delete(next, id)
	}
	for _, r := range fresh {
		next[r.ID] = r
	}
	known.all, known.list = next, nil
	clear(known.old)
	return nil
}

// reread reads the whole table, whose counter was at count before.
func (s *Hosts) reread(ctx context.Context, count int64) error {
	known := &s.recent
	all, err := rows.List(ctx, s.db, listing.Query{})
	if err != nil {
		return err
	}
	next := make(map[string]*row, len(all))
	for _, r := range all {
		next[r.ID] = r
	}
	known.all, known.list, known.count = next, nil, count
	known.old = map[string]bool{}
	known.own = map[int64]bool{}
	return nil
}

// changed makes Recent read a row again once a transaction is durable.
func (s *Hosts) changed(ctx context.Context, tx *db.Tx, id string) error {
	count, err := countChange(ctx, tx)
	tx.AfterCommit(func() {
		known := &s.recent
		known.mu.Lock()
		defer known.mu.Unlock()
		if known.all != nil {
			known.old[id] = true
			known.own[count] = true
		}
	})
	return err
}
