package records

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/wire"
)

const generationConflict = "resource provider generation conflict"

// SetInventories makes a provider have exactly these inventories, and gives its
// new generation. A nil generation is not compared.
func (s *Store) SetInventories(ctx context.Context, uuid string, generation *int64, want map[string]placement.Inventory) (next int64, err error) {
	err = s.write(ctx, func(w *writer) error {
		p, err := w.expect(uuid, generation, generationConflict)
		if err != nil {
			return err
		}
		next = p.Generation + 1
		if err := w.setInventories(uuid, want); err != nil {
			return err
		}
		return w.audit("update", "inventories", uuid)
	})
	return next, err
}

func (w *writer) setInventories(uuid string, want map[string]placement.Inventory) error {
	if err := w.checkClasses(want); err != nil {
		return err
	}
	have, err := w.inventories(uuid)
	if err != nil {
		return err
	}
	var drop []string
	for class := range have {
		if _, ok := want[class]; !ok {
			drop = append(drop, class)
		}
	}
	if err := w.dropInventories(uuid, drop); err != nil {
		return err
	}
	for _, class := range slices.Sorted(maps.Keys(want)) {
		if err := w.putInventory(uuid, class, want[class]); err != nil {
			return err
		}
	}
	w.bump(uuid)
	return nil
}

func (w *writer) checkClasses(want map[string]placement.Inventory) error {
	for _, class := range slices.Sorted(maps.Keys(want)) {
		if ok, err := w.s.hasClass(w.ctx, w.tx, class); err != nil || !ok {
			return orMissing(err, noClass(class))
		}
	}
	return nil
}

func (w *writer) inventories(uuid string) (map[string]placement.Inventory, error) {
	out := map[string]placement.Inventory{}
	err := each(w.ctx, w.tx, "read inventories", "SELECT "+inventoryColumns+" FROM placement_inventories i WHERE i.provider = $1", func(rows *sql.Rows) error {
		class, inv, err := scanInventory(rows)
		out[class] = inv
		return err
	}, uuid)
	return out, err
}

// inClassOrder puts standard classes in their own order before custom ones.
func inClassOrder(classes []string) []string {
	sorted := slices.Sorted(slices.Values(classes))
	listed := placement.StandardClasses()
	custom := slices.DeleteFunc(slices.Clone(sorted), func(class string) bool { return slices.Contains(listed, class) })
	return append(slices.DeleteFunc(listed, func(class string) bool { return !slices.Contains(sorted, class) }), custom...)
}

// dropInventories removes inventories nothing is allocated of.
func (w *writer) dropInventories(uuid string, classes []string) error {
	if len(classes) == 0 {
		return nil
	}
	used, err := w.used(uuid)
	if err != nil {
		return err
	}
	var busy []string
	for _, class := range inClassOrder(classes) {
		if used[class] > 0 {
			busy = append(busy, class)
		}
	}
	if len(busy) > 0 {
		return fault.Conflictf("Inventory for '%s' on resource provider '%s' in use.", strings.Join(busy, ", "), uuid).With(placement.CodeInventoryInUse)
	}
	for _, class := range classes {
		if err := w.exec("delete inventory", "DELETE FROM placement_inventories WHERE provider = $1 AND class = $2", uuid, class); err != nil {
			return err
		}
	}
	return nil
}

// used sums what is allocated of a provider.
func (w *writer) used(uuid string) (placement.Resources, error) {
	out := placement.Resources{}
	err := each(w.ctx, w.tx, "read usage", "SELECT class, CAST(SUM(used) AS bigint) FROM placement_allocations WHERE provider = $1 GROUP BY class", func(rows *sql.Rows) error {
		var class string
		var used int64
		err := rows.Scan(&class, &used)
		out[class] = used
		return err
	}, uuid)
	return out, err
}

func (w *writer) putInventory(uuid, class string, i placement.Inventory) error {
	return w.exec("write inventory", `INSERT INTO placement_inventories (provider, class, total, reserved, min_unit, max_unit, step_size, allocation_ratio)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (provider, class) DO UPDATE SET total = excluded.total, reserved = excluded.reserved,
		min_unit = excluded.min_unit, max_unit = excluded.max_unit, step_size = excluded.step_size, allocation_ratio = excluded.allocation_ratio`,
		uuid, class, i.Total, i.Reserved, i.MinUnit, i.MaxUnit, i.StepSize, strconv.FormatFloat(i.AllocationRatio, 'g', -1, 64))
}

// AddInventory adds one inventory to a provider that has none of the class.
func (s *Store) AddInventory(ctx context.Context, uuid, class string, i placement.Inventory) (next int64, err error) {
	return s.changeInventory(ctx, uuid, nil, class, func(w *writer, there bool) error {
		if there {
			return fault.Conflictf("There is an inventory of class %s already.", class).With(placement.CodeConcurrentUpdate)
		}
		return w.putInventory(uuid, class, i)
	})
}

// UpdateInventory changes the inventory of one class.
func (s *Store) UpdateInventory(ctx context.Context, uuid string, generation int64, class string, i placement.Inventory) (next int64, err error) {
	return s.changeInventory(ctx, uuid, &generation, class, func(w *writer, there bool) error {
		if !there {
			return noInventory(class)
		}
		return w.putInventory(uuid, class, i)
	})
}

func noInventory(class string) error {
	return fault.NotFoundf("No inventory of class %s found.", class).With(wire.CodeNoInventory)
}

// DeleteInventory removes the inventory of one class.
func (s *Store) DeleteInventory(ctx context.Context, uuid, class string) error {
	_, err := s.changeInventory(ctx, uuid, nil, class, func(w *writer, there bool) error {
		if !there {
			return fault.NotFoundf("No inventory of class %s found for delete", class).With(wire.CodeNoInventory)
		}
		return w.dropInventories(uuid, []string{class})
	})
	return err
}

func (s *Store) changeInventory(ctx context.Context, uuid string, generation *int64, class string, change func(w *writer, there bool) error) (next int64, err error) {
	err = s.write(ctx, func(w *writer) error {
		p, err := w.expect(uuid, generation, generationConflict)
		if err != nil {
			return err
		}
		next = p.Generation + 1
		if ok, err := s.hasClass(ctx, w.tx, class); err != nil || !ok {
			return orMissing(err, noClass(class))
		}
		have, err := w.inventories(uuid)
		if err != nil {
			return err
		}
		_, there := have[class]
		if err := change(w, there); err != nil {
			return err
		}
		w.bump(uuid)
		return w.audit("update", "inventories", uuid)
	})
	return next, err
}
