package allocations

import (
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/records"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/rest"
)

// inventory is one of a provider's as a reshape writes it.
type inventory struct {
	Total      int64             `json:"total" v:"required,min=1,max=2147483647"`
	Reserved   rest.Opt[int64]   `json:"reserved" v:"min=0,max=2147483647"`
	MinUnit    rest.Opt[int64]   `json:"min_unit" v:"min=1,max=2147483647"`
	MaxUnit    rest.Opt[int64]   `json:"max_unit" v:"min=1,max=2147483647"`
	StepSize   rest.Opt[int64]   `json:"step_size" v:"min=1,max=2147483647"`
	Ratio      rest.Opt[float64] `json:"allocation_ratio" v:"max=3.40282e+38"`
	Generation rest.Opt[int64]   `json:"resource_provider_generation"`
}

func (f *Feature) reshape(c *rest.Call) (rest.Reply, error) {
	if err := wire.Sends(c.Request); err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Inventories map[string]struct {
			Generation  int64                `json:"resource_provider_generation" v:"required"`
			Inventories map[string]inventory `json:"inventories" v:"required"`
		} `json:"inventories" v:"required,min=1"`
		Allocations map[string]claim `json:"allocations" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, wire.BadBody(err)
	}
	stocks := map[string]records.Stock{}
	for _, uuid := range slices.Sorted(maps.Keys(in.Inventories)) {
		if !wire.IsUUID(uuid) {
			return rest.Reply{}, wire.BadField("'%s' does not match any of the regexes", uuid)
		}
		if _, err := f.store.Provider(c.Context(), uuid); fault.Is(err, fault.NotFound) {
			return rest.Reply{}, fault.Invalidf("Resource provider %s in inventories not found: %s", uuid, fault.As(err).Text).With(placement.CodeProviderNotFound)
		}
		stock := records.Stock{Generation: in.Inventories[uuid].Generation, Inventories: map[string]placement.Inventory{}}
		for class, i := range in.Inventories[uuid].Inventories {
			stock.Inventories[class] = placement.Inventory{Total: i.Total, Reserved: i.Reserved.Or(0), MinUnit: i.MinUnit.Or(1),
				MaxUnit: i.MaxUnit.Or(placement.MaxInt), StepSize: i.StepSize.Or(1), AllocationRatio: i.Ratio.Or(1)}
		}
		stocks[uuid] = stock
	}
	claims, err := claimsOf(c, in.Allocations)
	if err != nil {
		return rest.Reply{}, err
	}
	err = f.store.Reshape(c.Context(), stocks, claims)
	switch {
	case wire.Whose(err, fault.Invalid, wire.CodeNoClass):
		return rest.Reply{}, wire.Prefix(err, fault.Invalid, "malformed reshaper data: ")
	case wire.Whose(err, fault.Conflict, placement.CodeInventoryInUse):
		return rest.Reply{}, wire.Prefix(err, fault.Conflict, "update conflict: ")
	case err != nil:
		return rest.Reply{}, refusal(err, "")
	}
	return rest.NoContent()
}
