package search

import (
	"cmp"
	"slices"

	"github.com/mekcloud/mek/internal/placement"
)

// place puts a tree where it belongs among those with most free memory at their
// root, of which a decision about a place looks at the first few only.
func (x *Index) place(t *tree) {
	var free int64
	name := ""
	if root := x.nodes[t.root]; root != nil && root.Entry != nil {
		inv := root.Inventories[placement.MemoryMB]
		free, name = int64(inv.Capacity())-root.Used[placement.MemoryMB], root.Name
	}
	if t.placed && free == t.free && name == t.name {
		return
	}
	x.displace(t)
	t.free, t.name, t.placed = free, name, true
	at, _ := slices.BinarySearchFunc(x.emptiest, t, emptier)
	x.emptiest = slices.Insert(x.emptiest, at, t)
}

// displace takes a tree out of the order.
func (x *Index) displace(t *tree) {
	if !t.placed {
		return
	}
	t.placed = false
	if at, found := slices.BinarySearchFunc(x.emptiest, t, emptier); found {
		x.emptiest = slices.Delete(x.emptiest, at, at+1)
	}
}

// emptier compares trees: most free memory first, then by the root's name.
func emptier(a, b *tree) int {
	return cmp.Or(cmp.Compare(b.free, a.free), cmp.Compare(a.name, b.name), cmp.Compare(a.root, b.root))
}
