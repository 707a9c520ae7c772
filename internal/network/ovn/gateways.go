package ovn

import (
	"cmp"
	"maps"
	"slices"
)

// Gateways lists the chassis that the database, as last read or written, lets
// hold gateways, the most wanted first.
func (n *Northbound) Gateways() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	best := map[string]int{}
	for _, r := range n.mirror.rows {
		if r.Table != "Gateway_Chassis" {
			continue
		}
		name, _ := r.Columns["chassis_name"].(string)
		priority, _ := r.Columns["priority"].(int)
		best[name] = max(best[name], priority)
	}
	return slices.SortedFunc(maps.Keys(best), func(a, b string) int { return cmp.Or(cmp.Compare(best[b], best[a]), cmp.Compare(a, b)) })
}
