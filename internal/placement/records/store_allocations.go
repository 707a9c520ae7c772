package records

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/placement"
)

const consumerColumns = "uuid, project_id, user_id, type, generation"

// Consumer finds a consumer; ok is false when it has no allocations and so
// does not exist.
func (s *Store) Consumer(ctx context.Context, uuid string) (placement.Consumer, bool, error) {
	return readConsumer(ctx, s.db, uuid)
}

func readConsumer(ctx context.Context, q db.Querier, uuid string) (c placement.Consumer, ok bool, err error) {
	err = q.QueryRowContext(ctx, "SELECT "+consumerColumns+" FROM placement_consumers WHERE uuid = $1", uuid).
		Scan(&c.UUID, &c.ProjectID, &c.UserID, &c.Type, &c.Generation)
	if errors.Is(err, sql.ErrNoRows) {
		return c, false, nil
	}
	return c, err == nil, db.Translate(err, "read consumer")
}

// Allocation is one row of what is allocated.
type Allocation struct {
	Consumer, Provider, Class string
	Used                      int64
	Generation                int64 // of the consumer
	CreatedAt                 time.Time
}

// ByConsumer lists what a consumer has, ByProvider what is taken of a provider.
func (s *Store) ByConsumer(ctx context.Context, consumer string) ([]Allocation, error) {
	return readAllocations(ctx, s.db, allocationQuery+"a.consumer = $1", consumer)
}

// ByProvider lists what is allocated of a provider.
func (s *Store) ByProvider(ctx context.Context, provider string) ([]Allocation, error) {
	return readAllocations(ctx, s.db, allocationQuery+"a.provider = $1", provider)
}

const allocationQuery = `SELECT a.consumer, a.provider, a.class, a.used, c.generation, a.created_at FROM placement_allocations a
	JOIN placement_consumers c ON c.uuid = a.consumer WHERE `

func readAllocations(ctx context.Context, q db.Querier, query, of string) ([]Allocation, error) {
	var out []Allocation
	err := each(ctx, q, "read allocations", query, func(rows *sql.Rows) error {
		var a Allocation
		var created int64
		err := rows.Scan(&a.Consumer, &a.Provider, &a.Class, &a.Used, &a.Generation, &created)
		a.CreatedAt = clock.FromMicros(created)
		out = append(out, a)
		return err
	}, of)
	return out, err
}

// Replace makes each of some consumers have exactly what its claim says, all or none.
func (s *Store) Replace(ctx context.Context, claims []placement.Claim) error {
	return s.write(ctx, alone(func(w *writer) error {
		if err := w.replace(claims); err != nil {
			return err
		}
		for i := range claims {
			if err := w.audit("update", "allocations", claims[i].Consumer.UUID); err != nil {
				return err
			}
		}
		return nil
	}))
}

// usage is amounts by provider and class.
type usage map[[2]string]int64

// replace swaps the allocations of consumers. What they had before is given
// back first; a provider may stay over its capacity if it gets no worse.
func (w *writer) replace(claims []placement.Claim) error {
	held := make([]*holder, len(claims))
	for i := range claims {
		h, err := w.hold(&claims[i])
		if err != nil {
			return err
		}
		held[i] = h
	}
	before, err := w.usageOf(held)
	if err != nil {
		return err
	}
	after := before // what others use
	for _, h := range held {
		if len(h.had) == 0 {
			continue
		}
		after = nil
		if err := w.exec("delete allocations", "DELETE FROM placement_allocations WHERE consumer = $1", h.claim.Consumer.UUID); err != nil {
			return err
		}
	}
	if after == nil {
		if after, err = w.usageOf(held); err != nil {
			return err
		}
	}
	if err := w.checkCapacity(held, before, after); err != nil {
		return err
	}
	raised := map[string]bool{}
	for _, h := range held {
		if err := w.settle(h, raised); err != nil {
			return err
		}
	}
	for uuid := range raised {
		w.bump(uuid)
	}
	w.moves(held)
	return nil
}

// holder is a consumer on its way from what it had to what it claims.
type holder struct {
	claim    *placement.Claim
	consumer placement.Consumer
	had      []Allocation
}

// hold reads a consumer and compares its generation.
func (w *writer) hold(c *placement.Claim) (*holder, error) {
	if w.nothing && !c.Generation.Check {
		return &holder{claim: c}, nil
	}
	consumer, ok, err := readConsumer(w.ctx, w.tx, c.Consumer.UUID)
	if err != nil {
		return nil, err
	}
	if c.Generation.Check {
		expected, got := "null", "None"
		if ok {
			expected = fmt.Sprint(consumer.Generation)
		}
		if c.Generation.Value != nil {
			got = fmt.Sprint(*c.Generation.Value)
		}
		if ok != (c.Generation.Value != nil) || ok && consumer.Generation != *c.Generation.Value {
			return nil, fault.Conflictf("consumer generation conflict - expected %s but got %s", expected, got).With(placement.CodeConcurrentUpdate)
		}
	}
	h := &holder{claim: c, consumer: consumer}
	if ok {
		h.had, err = readAllocations(w.ctx, w.tx, allocationQuery+"a.consumer = $1", c.Consumer.UUID)
	}
	return h, err
}

// usageOf sums what is used now of the providers that are claimed or given back.
func (w *writer) usageOf(held []*holder) (usage, error) {
	providers := map[string]bool{}
	for _, h := range held {
		for uuid := range h.claim.Allocations {
			providers[uuid] = true
		}
	}
	out := usage{}
	for uuid := range providers {
		used, err := w.used(uuid)
		if err != nil {
			return nil, err
		}
		for class, n := range used {
			out[[2]string{uuid, class}] = n
		}
	}
	return out, nil
}

// checkCapacity tells whether all claims together fit beside what others use.
func (w *writer) checkCapacity(held []*holder, before, others usage) error {
	claimed := usage{}
	for _, h := range held {
		for uuid, resources := range h.claim.Allocations {
			for class, n := range resources {
				claimed[[2]string{uuid, class}] += n
			}
		}
	}
	stocks := map[string]map[string]placement.Inventory{}
	for _, h := range held {
		for _, uuid := range slices.Sorted(maps.Keys(h.claim.Allocations)) {
			if stocks[uuid] == nil {
				var err error
				if stocks[uuid], err = w.stockOf(uuid, h.claim.Allocations[uuid]); err != nil {
					return err
				}
			}
			for _, class := range slices.Sorted(maps.Keys(h.claim.Allocations[uuid])) {
				key := [2]string{uuid, class}
				if err := fits(key, stocks[uuid], h.claim.Allocations[uuid][class], others[key], claimed[key], before[key]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// stockOf is a provider's inventories, which claims only look at.
func (w *writer) stockOf(uuid string, wanted placement.Resources) (map[string]placement.Inventory, error) {
	have, err := w.s.stocks.Get(w.tx, uuid, func() (map[string]placement.Inventory, error) { return w.inventories(uuid) })
	if err != nil {
		return nil, err
	}
	if len(have) == 0 { // it may not even be there
		if _, err := w.provider(uuid); fault.Is(err, fault.NotFound) {
			return nil, fault.Invalidf("Allocation for resource provider '%s' that does not exist.", uuid)
		} else if err != nil {
			return nil, err
		}
	}
	for _, class := range slices.Sorted(maps.Keys(wanted)) {
		if ok, err := w.s.hasClass(w.ctx, w.tx, class); err != nil || !ok {
			return nil, orMissing(err, noClass(class))
		}
	}
	found := false
	for class := range wanted {
		_, ok := have[class]
		found = found || ok
	}
	if !found {
		return nil, invalidInventory(strings.Join(slices.Sorted(maps.Keys(wanted)), ", "), uuid)
	}
	return have, nil
}

func invalidInventory(classes, uuid string) error {
	return fault.Conflictf("Inventory for '%s' on resource provider '%s' invalid.", classes, uuid)
}

// fits tells whether one amount keeps to the unit rules and all that is claimed
// of the class to the capacity.
func fits(key [2]string, stocks map[string]placement.Inventory, amount, used, claimed, before int64) error {
	inv, ok := stocks[key[1]]
	if !ok {
		return invalidInventory(key[1], key[0])
	}
	if !inv.Allows(amount) {
		return fault.Conflictf("Unable to create allocation for '%s' on resource provider '%s'. The requested amount would violate inventory constraints.", key[1], key[0])
	}
	if float64(used+claimed) > inv.Capacity() && (before == 0 || used+claimed > before) {
		return fault.Conflictf("Unable to create allocation for '%s' on resource provider '%s'. The requested amount would exceed the capacity.", key[1], key[0])
	}
	return nil
}

// settle writes what a consumer has from now on. Providers whose generation
// rises are added to raised; those it only leaves are marked.
func (w *writer) settle(h *holder, raised map[string]bool) error {
	for _, a := range h.had {
		w.touch(a.Provider)
		if len(h.claim.Allocations) == 0 {
			raised[a.Provider] = true
		}
	}
	c := h.claim.Consumer
	if len(h.claim.Allocations) == 0 {
		return w.exec("delete consumer", "DELETE FROM placement_consumers WHERE uuid = $1", c.UUID)
	}
	if c.Type == "" {
		c.Type = h.consumer.Type
	}
	if err := w.exec("write consumer", `INSERT INTO placement_consumers (uuid, project_id, user_id, type, generation, created_at, updated_at) VALUES ($1, $2, $3, $4, 1, $5, $5)
		ON CONFLICT (uuid) DO UPDATE SET project_id = excluded.project_id, user_id = excluded.user_id, type = excluded.type,
		generation = placement_consumers.generation + 1, updated_at = excluded.updated_at`, c.UUID, c.ProjectID, c.UserID, c.Type, w.now); err != nil {
		return err
	}
	var rows []*allocationRow
	for uuid, resources := range h.claim.Allocations {
		raised[uuid] = true
		for class, n := range resources {
			rows = append(rows, &allocationRow{c.UUID, uuid, class, n, w.now})
		}
	}
	return allocationRows.Insert(w.ctx, w.tx, rows...)
}

type allocationRow struct {
	Consumer  string `db:"consumer"`
	Provider  string `db:"provider"`
	Class     string `db:"class"`
	Used      int64  `db:"used"`
	CreatedAt int64  `db:"created_at"`
}

var allocationRows = db.NewTable[allocationRow]("placement_allocations", "consumer", "Allocation")

// DeleteAllocations takes all of a consumer's allocations back; NotFound when it has none.
func (s *Store) DeleteAllocations(ctx context.Context, consumer string) error {
	return s.write(ctx, alone(func(w *writer) error {
		n, err := w.release(consumer)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.NotFoundf("No allocations for consumer '%s'", consumer)
		}
		return w.audit("delete", "allocations", consumer)
	}))
}

// release removes a consumer and tells how many allocations it had.
func (w *writer) release(consumer string) (int, error) {
	had, err := readAllocations(w.ctx, w.tx, allocationQuery+"a.consumer = $1", consumer)
	if err != nil {
		return 0, err
	}
	for _, a := range had {
		w.touch(a.Provider)
	}
	w.moves([]*holder{{claim: &placement.Claim{}, had: had}})
	if err := w.exec("delete allocations", "DELETE FROM placement_allocations WHERE consumer = $1", consumer); err != nil {
		return 0, err
	}
	return len(had), w.exec("delete consumer", "DELETE FROM placement_consumers WHERE uuid = $1", consumer)
}
