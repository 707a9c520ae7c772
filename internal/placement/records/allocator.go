package records

import (
	"context"
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/search"
)

// Claim commits allocations with the caller's transaction.
func (s *Store) Claim(ctx context.Context, tx *db.Tx, c placement.Claim) error {
	has, err := s.AllocationsOf(ctx, tx, c.Consumer.UUID)
	if err != nil {
		return err
	}
	if maps.EqualFunc(has, c.Allocations, func(a, b placement.Resources) bool { return maps.Equal(a, b) }) {
		return nil // claimed before
	}
	return s.within(ctx, tx, clock.Micros(s.clock.Now()), alone(func(w *writer) error {
		w.nothing = len(has) == 0
		return w.replace([]placement.Claim{c})
	}))
}

// Release takes all allocations of a consumer back.
func (s *Store) Release(ctx context.Context, tx *db.Tx, consumer string) error {
	return s.within(ctx, tx, clock.Micros(s.clock.Now()), alone(func(w *writer) error {
		_, err := w.release(consumer)
		return err
	}))
}

// AllocationsOf reads what a consumer has; tx may be nil.
func (s *Store) AllocationsOf(ctx context.Context, tx *db.Tx, consumer string) (placement.Allocations, error) {
	var q db.Querier = s.db
	if tx != nil {
		q = tx
	}
	list, err := readAllocations(ctx, q, allocationQuery+"a.consumer = $1", consumer)
	out := placement.Allocations{}
	for _, a := range list {
		if out[a.Provider] == nil {
			out[a.Provider] = placement.Resources{}
		}
		out[a.Provider][a.Class] = a.Used
	}
	return out, err
}

// Reshape replaces inventories of providers and allocations of consumers at
// once, so that amounts can move between providers while they are in use.
func (s *Store) Reshape(ctx context.Context, inventories map[string]Stock, claims []placement.Claim) error {
	return s.write(ctx, func(w *writer) error {
		for _, uuid := range slices.Sorted(maps.Keys(inventories)) {
			if err := w.interim(uuid, inventories[uuid]); err != nil {
				return err
			}
		}
		if err := w.replace(claims); err != nil {
			return err
		}
		for _, uuid := range slices.Sorted(maps.Keys(inventories)) {
			if err := w.setInventories(uuid, inventories[uuid].Inventories); err != nil {
				return err
			}
			if err := w.audit("reshape", "resource_provider", uuid); err != nil {
				return err
			}
		}
		return nil
	})
}

// Stock is what a provider shall have, and the generation it is believed to have.
type Stock struct {
	Generation  int64
	Inventories map[string]placement.Inventory
}

// interim gives a provider its new inventories beside those it will lose, so
// that allocations can move.
func (w *writer) interim(uuid string, to Stock) error {
	p, err := w.provider(uuid)
	if err != nil {
		return err
	}
	if p.Generation != to.Generation {
		return fault.Conflictf("resource provider generation conflict for provider %s: actual: %d, given: %d", uuid, p.Generation, to.Generation).With(placement.CodeConcurrentUpdate)
	}
	if len(to.Inventories) == 0 {
		return nil
	}
	union, err := w.inventories(uuid)
	if err != nil {
		return err
	}
	maps.Copy(union, to.Inventories)
	return w.setInventories(uuid, union)
}

// EnsureProvider makes a provider be as described, or changes nothing.
func (s *Store) EnsureProvider(ctx context.Context, h placement.Host) error {
	same := false
	if err := s.View(ctx, func(x *search.Index) error {
		e, ok := x.Get(h.UUID)
		same = ok && equal(e, &h)
		return nil
	}); err != nil || same {
		return err
	}
	return s.write(ctx, func(w *writer) error { return w.ensureProvider(&h) })
}

// equal tells whether a provider is as its host describes it already.
func equal(e *search.Entry, h *placement.Host) bool {
	return e.Name == h.Name && e.Parent == h.Parent && maps.Equal(e.Inventories, h.Inventories) &&
		slices.Equal(e.Traits, wantedTraits(e.Traits, h.Traits)) && (h.Aggregates == nil || slices.Equal(e.Aggregates, sorted(h.Aggregates)))
}

func sorted(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// wantedTraits is what a host says, and the custom traits that it does not.
func wantedTraits(have, said []string) []string {
	all := slices.Clone(said)
	for _, t := range have {
		if placement.Custom(t) {
			all = append(all, t)
		}
	}
	return sorted(all)
}

func (w *writer) ensureProvider(h *placement.Host) error {
	p, err := w.provider(h.UUID)
	if fault.Is(err, fault.NotFound) {
		p, err = w.createProvider(placement.Provider{UUID: h.UUID, Name: h.Name, Parent: h.Parent})
	}
	if err != nil {
		return err
	}
	if p.Name != h.Name {
		if err := w.rename(h.UUID, h.Name); err != nil {
			return err
		}
	}
	if err := w.move(p, Parentage{Set: true, UUID: h.Parent, Free: true}); err != nil {
		return err
	}
	for _, t := range h.Traits {
		if placement.Custom(t) {
			if _, err := w.ensure(traitNames, t, "trait", w.s.standardTraits); err != nil {
				return err
			}
		}
	}
	if err := w.s.checkTraits(w.ctx, w.tx, h.Traits); err != nil {
		return err
	}
	have, err := w.membersOf(traitMembers, h.UUID)
	if err != nil {
		return err
	}
	if _, err := w.setMembers(traitMembers, h.UUID, wantedTraits(have, h.Traits)); err != nil {
		return err
	}
	if h.Aggregates != nil {
		if _, err := w.setMembers(aggregateMembers, h.UUID, sorted(h.Aggregates)); err != nil {
			return err
		}
	}
	return w.setInventories(h.UUID, h.Inventories)
}

// RemoveProvider forgets a provider and those below it.
func (s *Store) RemoveProvider(ctx context.Context, uuid string) error {
	return s.write(ctx, func(w *writer) error {
		p, err := w.provider(uuid)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		below, err := w.subtree(p)
		if err != nil {
			return err
		}
		for _, uuid := range slices.Backward(below) { // children come after their parents
			if err := w.deleteProvider(uuid); err != nil {
				return err
			}
		}
		return nil
	})
}
