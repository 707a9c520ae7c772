package records

import (
	"maps"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/search"
)

// Nearly all changes are allocations that come and go. This process's own need
// not be read again: the index follows them when they are committed, if it knows
// everything before. If not, or if it is just being loaded, the next load reads them.

// move is what a change did to one provider.
type move struct {
	uuid   string
	raised int64 // of its generation
	used   placement.Resources
}

// moves notes that consumers have what they claim and no longer what they had.
func (w *writer) moves(held []*holder) {
	for _, h := range held {
		for _, a := range h.had {
			w.moved[[2]string{a.Provider, a.Class}] -= a.Used
		}
		for uuid, resources := range h.claim.Allocations {
			for class, n := range resources {
				w.moved[[2]string{uuid, class}] += n
			}
		}
	}
}

// alone is a change that moves allocations and does nothing else.
func alone(fn func(w *writer) error) func(w *writer) error {
	return func(w *writer) error {
		if err := fn(w); err != nil {
			return err
		}
		w.follow()
		return nil
	}
}

func (w *writer) follow() {
	list := make([]move, 0, len(w.touched))
	for uuid, raised := range w.touched {
		m := move{uuid, raised, placement.Resources{}}
		for of, n := range w.moved {
			if of[0] == uuid {
				m.used[of[1]] = n
			}
		}
		list = append(list, m)
	}
	revision, now := w.revision, w.now
	w.tx.AfterCommit(func() { w.s.take(revision, now, list) })
}

// take puts moves into the index that knows the revision before.
func (s *Store) take(revision, now int64, list []move) {
	if !s.loading.TryLock() { // what is being read may be of before, and would replace this
		return
	}
	defer s.loading.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.revision != revision-1 {
		return
	}
	for _, m := range list {
		before, ok := s.index.Get(m.uuid)
		if !ok {
			return
		}
		s.index.Put(m.after(before, now))
	}
	s.revision = revision
}

func (m *move) after(before *search.Entry, now int64) *search.Entry {
	e := *before
	e.Generation, e.UpdatedAt, e.Used = e.Generation+m.raised, clock.FromMicros(now), maps.Clone(e.Used)
	for class, n := range m.used {
		if e.Used[class] += n; e.Used[class] == 0 {
			delete(e.Used, class) // as a sum of no rows
		}
	}
	return &e
}
