package records

import (
	"context"
	"math"
	"strconv"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/placement"
)

var (
	overfull = check.Code{ID: "I-06/over-capacity", Means: "more is allocated of a provider than it has", Remedy: "move servers away, or raise the allocation ratio"}
	useless  = check.Code{ID: "I-06/empty-consumer", Means: "a consumer that has no allocation", Remedy: "report it with this line"}
	noParent = check.Code{ID: "I-09/provider-parent", Means: "a resource provider hangs on one that is gone", Remedy: "report it with this line"}
	noRatio  = check.Code{ID: "I-11/allocation-ratio", Means: "an allocation ratio is no number", Remedy: "set it again:  openstack resource provider inventory set"}
)

// Checks are the conservation queries of Placement.
func (s *Store) Checks() []check.Check {
	return []check.Check{
		check.Queries("placement/rows",
			check.Query{Code: useless, Kind: "consumer", SQL: `SELECT c.uuid, 'it is of type ' || c.type || ' and has nothing', c.uuid FROM placement_consumers c
				WHERE c.uuid NOT IN (SELECT consumer FROM placement_allocations)`},
			check.Query{Code: noParent, Kind: "provider", SQL: `SELECT uuid, 'its parent is ' || parent || ', which is not there', '' FROM placement_providers
				WHERE parent <> '' AND parent NOT IN (SELECT uuid FROM placement_providers)`},
			check.Query{Code: noParent, Kind: "provider", SQL: `SELECT uuid, 'its root is ' || root || ', which is not there', '' FROM placement_providers
				WHERE root NOT IN (SELECT uuid FROM placement_providers)`},
			check.Query{Code: overfull, Kind: "provider", SQL: `SELECT a.provider, 'there is no inventory of ' || a.class || ', of which consumer ' || a.consumer || ' has ' || CAST(a.used AS text), a.consumer
				FROM placement_allocations a WHERE NOT EXISTS (SELECT 1 FROM placement_inventories i WHERE i.provider = a.provider AND i.class = a.class)`}),
		{Name: "placement/capacity", Codes: []check.Code{overfull, noRatio}, Rows: true, Run: checkCapacity},
	}
}

// checkCapacity compares what is taken with what there is. A host that shrank
// below what is on it is told of, too: that is what the operator must know.
func checkCapacity(ctx context.Context, l *check.Look) error {
	return l.Each(ctx, `SELECT i.provider, i.class, i.total, i.reserved, i.allocation_ratio, COALESCE((SELECT SUM(a.used) FROM placement_allocations a
		WHERE a.provider = i.provider AND a.class = i.class), 0) FROM placement_inventories i`, func(scan func(...any) error) error {
		var provider, class, ratio string
		var i placement.Inventory
		var used int64
		if err := scan(&provider, &class, &i.Total, &i.Reserved, &ratio, &used); err != nil {
			return err
		}
		at := check.Of("provider", provider)
		n, err := strconv.ParseFloat(ratio, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || n < 0 {
			l.Report(noRatio, at, "that of %s is %q", class, ratio)
			return nil
		}
		if i.AllocationRatio = n; float64(used) > i.Capacity() {
			l.Report(overfull, at, "%d of %s is allocated; there is %d, less %d, times %s", used, class, i.Total, i.Reserved, ratio)
		}
		return nil
	})
}

// Held lists what every consumer has, with the names of providers, for checks.
func (s *Store) Held(ctx context.Context, l *check.Look) (map[string]Holder, error) {
	out := map[string]Holder{}
	err := l.Each(ctx, `SELECT a.consumer, c.type, p.name, a.class, a.used FROM placement_allocations a JOIN placement_consumers c ON c.uuid = a.consumer
		JOIN placement_providers p ON p.uuid = a.provider`, func(scan func(...any) error) error {
		var consumer, kind, provider, class string
		var used int64
		if err := scan(&consumer, &kind, &provider, &class, &used); err != nil {
			return err
		}
		h, ok := out[consumer]
		if !ok {
			h = Holder{Type: kind, Of: map[string]placement.Resources{}}
		}
		if h.Of[provider] == nil {
			h.Of[provider] = placement.Resources{}
		}
		h.Of[provider][class] = used
		out[consumer] = h
		return nil
	})
	return out, db.Translate(err, "read allocations")
}

// Holder is what a consumer has, by the provider's name.
type Holder struct {
	Type string
	Of   map[string]placement.Resources
}
