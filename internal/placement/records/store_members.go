package records

import (
	"context"
	"database/sql"
)

const generationChanged = "Resource provider's generation already changed. Please update the generation and try again."

// SetTraits makes a provider have exactly these traits and gives its generation
// afterwards. A nil generation is not compared.
func (s *Store) SetTraits(ctx context.Context, uuid string, generation *int64, want []string) (next int64, err error) {
	err = s.write(ctx, func(w *writer) error {
		p, err := w.expect(uuid, generation, generationChanged)
		if err != nil {
			return err
		}
		next = p.Generation
		for _, name := range want {
			if err := s.checkTraits(ctx, w.tx, []string{name}); err != nil {
				return err
			}
		}
		changed, err := w.setMembers(traitMembers, uuid, want)
		if err != nil || !changed {
			return err
		}
		next++
		w.bump(uuid)
		return w.audit("update", "traits", uuid)
	})
	return next, err
}

// SetAggregates makes a provider a member of exactly these aggregates. With a
// generation it is compared and raised, as since 1.19.
func (s *Store) SetAggregates(ctx context.Context, uuid string, generation *int64, want []string) (next int64, err error) {
	err = s.write(ctx, func(w *writer) error {
		p, err := w.expect(uuid, generation, generationChanged)
		if err != nil {
			return err
		}
		next = p.Generation
		if _, err := w.setMembers(aggregateMembers, uuid, want); err != nil {
			return err
		}
		w.touch(uuid)
		if generation != nil {
			next++
			w.bump(uuid)
		}
		return w.audit("update", "aggregates", uuid)
	})
	return next, err
}

// members is a table of what belongs to a provider.
type members struct{ list, insert, remove string }

var (
	traitMembers = members{
		list:   "SELECT trait FROM placement_provider_traits WHERE provider = $1",
		insert: "INSERT INTO placement_provider_traits (provider, trait) VALUES ($1, $2)",
		remove: "DELETE FROM placement_provider_traits WHERE provider = $1 AND trait = $2",
	}
	aggregateMembers = members{
		list:   "SELECT aggregate FROM placement_provider_aggregates WHERE provider = $1",
		insert: "INSERT INTO placement_provider_aggregates (provider, aggregate) VALUES ($1, $2)",
		remove: "DELETE FROM placement_provider_aggregates WHERE provider = $1 AND aggregate = $2",
	}
)

// setMembers replaces what belongs to a provider and tells whether that changed it.
func (w *writer) setMembers(m members, uuid string, want []string) (changed bool, err error) {
	list, err := w.membersOf(m, uuid)
	if err != nil {
		return false, err
	}
	have := set(list)
	for _, name := range want {
		_, there := have[name]
		have[name] = false // not surplus
		if there {
			continue
		}
		changed = true
		if err := w.exec("add member", m.insert, uuid, name); err != nil {
			return false, err
		}
	}
	for name, surplus := range have {
		if surplus {
			changed = true
			if err := w.exec("remove member", m.remove, uuid, name); err != nil {
				return false, err
			}
		}
	}
	return changed, nil
}

func (w *writer) membersOf(m members, uuid string) (out []string, err error) {
	err = each(w.ctx, w.tx, "read members", m.list, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		out = append(out, name)
		return err
	}, uuid)
	return out, err
}
