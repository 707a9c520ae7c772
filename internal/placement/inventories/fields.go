package inventories

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/rest"
)

// record is an inventory as bodies write it.
type record struct {
	Total    int64             `json:"total" v:"required,min=1,max=2147483647"`
	Reserved rest.Opt[int64]   `json:"reserved" v:"min=0,max=2147483647"`
	MinUnit  rest.Opt[int64]   `json:"min_unit" v:"min=1,max=2147483647"`
	MaxUnit  rest.Opt[int64]   `json:"max_unit" v:"min=1,max=2147483647"`
	StepSize rest.Opt[int64]   `json:"step_size" v:"min=1,max=2147483647"`
	Ratio    rest.Opt[float64] `json:"allocation_ratio" v:"max=3.40282e+38"`
}

// listed is an inventory among others; some clients repeat the generation in each.
type listed struct {
	record
	Generation rest.Opt[int64] `json:"resource_provider_generation"`
}

func (r record) inventory() placement.Inventory {
	return placement.Inventory{Total: r.Total, Reserved: r.Reserved.Or(0), MinUnit: r.MinUnit.Or(1), MaxUnit: r.MaxUnit.Or(placement.MaxInt),
		StepSize: r.StepSize.Or(1), AllocationRatio: r.Ratio.Or(1)}
}

// capacity refuses an inventory of which nothing can be used; since 1.26 all of
// it may be reserved.
func capacity(c *rest.Call, uuid, class string, i placement.Inventory) error {
	all := int64(i.Capacity())
	if all > 0 || all == 0 && c.At(wire.ReserveAll) {
		return nil
	}
	word := "greater than or equal to"
	if c.At(wire.ReserveAll) {
		word = "greater than"
	}
	return fault.Invalidf("Invalid inventory for '%s' on resource provider '%s'. The reserved value is %s total.", class, uuid, word)
}
