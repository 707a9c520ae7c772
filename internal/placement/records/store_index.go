package records

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/search"
)

// begin locks and raises the revision: from here to the end of the transaction
// no other change runs.
func (w *writer) begin() error {
	row := w.tx.QueryRowContext(w.ctx, "UPDATE placement_revision SET revision = revision + 1 WHERE id = 1 RETURNING revision")
	return db.Translate(row.Scan(&w.revision), "raise revision")
}

// flush marks the providers that were changed since the last flush.
func (w *writer) flush() error {
	for _, uuid := range slices.Sorted(maps.Keys(w.touched)) {
		if err := w.exec("mark provider", "UPDATE placement_providers SET revision = $1, updated_at = $2, generation = generation + $3 WHERE uuid = $4",
			w.revision, w.now, w.touched[uuid], uuid); err != nil {
			return err
		}
	}
	clear(w.touched)
	return nil
}

func (w *writer) exec(doing, statement string, args ...any) error {
	_, err := w.tx.ExecContext(w.ctx, statement, args...)
	return db.Translate(err, doing)
}

// touch marks a provider as changed, and bump raises its generation, too, when
// the change is flushed.
func (w *writer) touch(uuid string) { w.touched[uuid] += 0 }
func (w *writer) bump(uuid string)  { w.touched[uuid]++ }

// maxRounds bounds how often a refresh runs after changes that come meanwhile.
const maxRounds = 5

// refresh brings the index up to date. A change that commits between two of
// its queries is loaded again by the next round, and in the end by the next call.
func (s *Store) refresh(ctx context.Context) error {
	for range maxRounds {
		revision, err := s.currentRevision(ctx)
		if err != nil {
			return err
		}
		s.mu.RLock()
		known := s.revision
		s.mu.RUnlock()
		if known >= revision {
			return nil
		}
		if err := s.loadOnce(ctx, revision); err != nil {
			return err
		}
	}
	return nil
}

// loadOnce loads up to a revision, unless another did while it waited.
func (s *Store) loadOnce(ctx context.Context, revision int64) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	s.mu.RLock()
	known := s.revision
	s.mu.RUnlock()
	if known >= revision {
		return nil
	}
	return s.load(ctx, known, revision)
}

func (s *Store) currentRevision(ctx context.Context) (int64, error) {
	return s.last.Get(s.db, struct{}{}, func() (n int64, err error) {
		err = s.db.QueryRowContext(ctx, "SELECT revision FROM placement_revision WHERE id = 1").Scan(&n)
		return n, db.Translate(err, "read revision")
	})
}

// load reads what changed since a revision and puts it into the index.
func (s *Store) load(ctx context.Context, since, revision int64) error {
	gone, err := readGone(ctx, s.db, since)
	if err != nil {
		return err
	}
	entries, order, err := readEntries(ctx, s.db, since)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, uuid := range gone {
		s.index.Remove(uuid)
	}
	for _, uuid := range order {
		s.index.Put(entries[uuid])
	}
	s.revision = max(s.revision, revision)
	return nil
}

func readGone(ctx context.Context, q db.Querier, since int64) ([]string, error) {
	var out []string
	err := each(ctx, q, "read removed providers", "SELECT uuid FROM placement_gone WHERE revision > $1", func(rows *sql.Rows) error {
		var uuid string
		err := rows.Scan(&uuid)
		out = append(out, uuid)
		return err
	}, since)
	return out, err
}

// each calls fn for every row of a query.
func each(ctx context.Context, q db.Querier, doing, query string, fn func(rows *sql.Rows) error, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return db.Translate(err, doing)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	return db.Translate(rows.Err(), doing)
}

// readEntries reads the providers changed since a revision, oldest first.
func readEntries(ctx context.Context, q db.Querier, since int64) (map[string]*search.Entry, []string, error) {
	entries, order := map[string]*search.Entry{}, []string{}
	err := each(ctx, q, "read providers", "SELECT "+providerColumns+" FROM placement_providers WHERE revision > $1 ORDER BY created_at, uuid",
		func(rows *sql.Rows) error {
			p, err := scanProvider(rows)
			if err != nil {
				return err
			}
			entries[p.UUID] = &search.Entry{Provider: p, Inventories: map[string]placement.Inventory{}, Used: placement.Resources{}}
			order = append(order, p.UUID)
			return nil
		}, since)
	if err != nil || len(order) == 0 {
		return entries, order, err
	}
	for _, read := range []func(context.Context, db.Querier, map[string]*search.Entry, int64) error{readInventories, readUsed, readTraits, readAggregates} {
		if err := read(ctx, q, entries, since); err != nil {
			return nil, nil, err
		}
	}
	return entries, order, nil
}

const providerColumns = "uuid, name, parent, root, generation, created_at, updated_at"

type scanner interface{ Scan(into ...any) error }

func scanProvider(row scanner) (p placement.Provider, err error) {
	var created, updated int64
	err = row.Scan(&p.UUID, &p.Name, &p.Parent, &p.Root, &p.Generation, &created, &updated)
	p.CreatedAt, p.UpdatedAt = clock.FromMicros(created), clock.FromMicros(updated)
	return p, err
}

// changed selects the providers marked since a revision. As a subquery it comes
// first; in a join, SQLite looks through all rows of the other table.
const changed = "(SELECT uuid FROM placement_providers WHERE revision > $1)"

const (
	changedInventories = "SELECT i.provider, " + inventoryColumns + " FROM placement_inventories i WHERE i.provider IN " + changed
	changedUsage       = "SELECT a.provider, a.class, CAST(SUM(a.used) AS bigint) FROM placement_allocations a WHERE a.provider IN " + changed + " GROUP BY a.provider, a.class"
	changedTraits      = "SELECT t.provider, t.trait FROM placement_provider_traits t WHERE t.provider IN " + changed + " ORDER BY t.trait"
	changedAggregates  = "SELECT g.provider, g.aggregate FROM placement_provider_aggregates g WHERE g.provider IN " + changed + " ORDER BY g.aggregate"
)

const inventoryColumns = "i.class, i.total, i.reserved, i.min_unit, i.max_unit, i.step_size, i.allocation_ratio"

func scanInventory(rows *sql.Rows, before ...any) (class string, i placement.Inventory, err error) {
	var ratio string
	err = rows.Scan(append(before, &class, &i.Total, &i.Reserved, &i.MinUnit, &i.MaxUnit, &i.StepSize, &ratio)...)
	if err == nil {
		i.AllocationRatio, err = strconv.ParseFloat(ratio, 64)
	}
	return class, i, err
}

func readInventories(ctx context.Context, q db.Querier, entries map[string]*search.Entry, since int64) error {
	return each(ctx, q, "read inventories", changedInventories, func(rows *sql.Rows) error {
		var provider string
		class, inv, err := scanInventory(rows, &provider)
		if e := entries[provider]; e != nil {
			e.Inventories[class] = inv
		}
		return err
	}, since)
}

func readUsed(ctx context.Context, q db.Querier, entries map[string]*search.Entry, since int64) error {
	return each(ctx, q, "read usage", changedUsage, func(rows *sql.Rows) error {
		var provider, class string
		var used int64
		err := rows.Scan(&provider, &class, &used)
		if e := entries[provider]; e != nil {
			e.Used[class] = used
		}
		return err
	}, since)
}

func readTraits(ctx context.Context, q db.Querier, entries map[string]*search.Entry, since int64) error {
	return each(ctx, q, "read traits", changedTraits, func(rows *sql.Rows) error {
		var provider, trait string
		err := rows.Scan(&provider, &trait)
		if e := entries[provider]; e != nil {
			e.Traits = append(e.Traits, trait)
		}
		return err
	}, since)
}

func readAggregates(ctx context.Context, q db.Querier, entries map[string]*search.Entry, since int64) error {
	return each(ctx, q, "read aggregates", changedAggregates, func(rows *sql.Rows) error {
		var provider, aggregate string
		err := rows.Scan(&provider, &aggregate)
		if e := entries[provider]; e != nil {
			e.Aggregates = append(e.Aggregates, aggregate)
		}
		return err
	}, since)
}
