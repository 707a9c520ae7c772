package search

import (
	"slices"
	"sync/atomic"

	"github.com/mekcloud/mek/internal/placement"
)

// Entry is all that is known of one provider. Entries are shared: nobody may
// change one after it was put into an index.
type Entry struct {
	placement.Provider
	Inventories map[string]placement.Inventory
	Used        placement.Resources
	Traits      []string // sorted
	Aggregates  []string // sorted
}

// Index holds all providers. Reads may run beside each other, but not beside
// Put and Remove.
type Index struct {
	nodes map[string]*node
	trees map[string]*tree
	order []*tree // as they came
	// emptiest are the same trees, those with most free memory first.
	emptiest []*tree
	sharing  []*node
	classes  names
	traits   names
}

// node is a provider, prepared for comparing.
type node struct {
	*Entry
	tree    *tree
	stocks  []stock
	levels  map[string]placement.Level // what summaries show; nobody may change it
	spelt   atomic.Pointer[[]byte]     // see Shown.Spelt; nil: not asked for yet
	traits  bits
	sharing bool
}

type stock struct {
	class int
	used  int64
	inv   placement.Inventory
}

// tree is the providers with one root.
type tree struct {
	root  string
	nodes []*node
	// where it stands in Index.emptiest
	free   int64
	name   string
	placed bool
}

// names gives small numbers to names, for good.
type names map[string]int

func (n names) number(name string) int {
	i, ok := n[name]
	if !ok {
		i = len(n)
		n[name] = i
	}
	return i
}

// bits is a set of small numbers.
type bits []uint64

func (b bits) has(i int) bool { return i>>6 < len(b) && b[i>>6]>>(i&63)&1 == 1 }

func (b *bits) add(i int) {
	for i>>6 >= len(*b) {
		*b = append(*b, 0)
	}
	(*b)[i>>6] |= 1 << (i & 63)
}

// New makes an empty index.
func New() *Index {
	return &Index{nodes: map[string]*node{}, trees: map[string]*tree{}, classes: names{}, traits: names{}}
}

// Put adds a provider or replaces what was known of it.
func (x *Index) Put(e *Entry) {
	n := x.nodes[e.UUID]
	if n == nil {
		n = &node{}
		x.nodes[e.UUID] = n
	}
	x.unshare(n)
	n.spelt.Store(nil)
	n.Entry, n.stocks, n.traits = e, make([]stock, 0, len(e.Inventories)), nil
	n.levels = make(map[string]placement.Level, len(e.Inventories))
	for class, inv := range e.Inventories {
		n.stocks = append(n.stocks, stock{x.classes.number(class), e.Used[class], inv})
		n.levels[class] = placement.Level{Capacity: int64(inv.Capacity()), Used: e.Used[class]}
	}
	for _, t := range e.Traits {
		n.traits.add(x.traits.number(t))
	}
	if slices.Contains(e.Traits, placement.SharesViaAggregate) {
		n.sharing = true
		x.sharing = append(x.sharing, n)
	}
	if n.tree != nil && n.tree.root == e.Root {
		if e.UUID == e.Root {
			x.place(n.tree)
		}
		return
	}
	x.leave(n)
	t := x.trees[e.Root]
	if t == nil {
		t = &tree{root: e.Root}
		x.trees[e.Root] = t
		x.order = append(x.order, t)
	}
	n.tree = t
	t.nodes = append(t.nodes, n)
	x.place(t)
}

// Remove forgets a provider; one that is not there is no error.
func (x *Index) Remove(uuid string) {
	if n := x.nodes[uuid]; n != nil {
		x.unshare(n)
		x.leave(n)
		delete(x.nodes, uuid)
	}
}

func (x *Index) unshare(n *node) {
	if n.sharing {
		n.sharing = false
		x.sharing = slices.DeleteFunc(x.sharing, func(o *node) bool { return o == n })
	}
}

// leave takes a node out of its tree, and the tree out of the index when it is empty.
func (x *Index) leave(n *node) {
	t := n.tree
	if t == nil {
		return
	}
	n.tree = nil
	t.nodes = slices.DeleteFunc(t.nodes, func(o *node) bool { return o == n })
	if len(t.nodes) == 0 {
		delete(x.trees, t.root)
		x.order = slices.DeleteFunc(x.order, func(o *tree) bool { return o == t })
		x.displace(t)
	}
}

// Len is the number of providers.
func (x *Index) Len() int { return len(x.nodes) }

// Get finds a provider.
func (x *Index) Get(uuid string) (*Entry, bool) {
	if n := x.nodes[uuid]; n != nil {
		return n.Entry, true
	}
	return nil, false
}

// Children counts the providers directly below one.
func (x *Index) Children(uuid string) int {
	n, count := x.nodes[uuid], 0
	if n == nil {
		return 0
	}
	for _, o := range n.tree.nodes {
		if o.Parent == uuid {
			count++
		}
	}
	return count
}

// Filter selects providers one by one. Empty members select all.
type Filter struct {
	UUID, Name string
	placement.Group
}

// List gives the providers that pass a filter: each has all resources, traits
// and aggregates itself.
func (x *Index) List(f Filter) []*Entry {
	out := []*Entry{}
	if f.UUID != "" {
		if n := x.nodes[f.UUID]; n == nil || !x.group(&f.Group).accepts(n) || f.Name != "" && n.Name != f.Name {
			return out
		}
		return append(out, x.nodes[f.UUID].Entry)
	}
	g := x.group(&f.Group)
	for _, t := range x.order {
		for _, n := range t.nodes {
			if (f.Name == "" || n.Name == f.Name) && g.accepts(n) {
				out = append(out, n.Entry)
			}
		}
	}
	return out
}

func (n *node) stock(class int) *stock {
	for i := range n.stocks {
		if n.stocks[i].class == class {
			return &n.stocks[i]
		}
	}
	return nil
}

// inAny tells whether the provider is in one of some aggregates.
func (n *node) inAny(aggregates []string) bool {
	for _, a := range n.Aggregates {
		if slices.Contains(aggregates, a) {
			return true
		}
	}
	return false
}

// inAll tells whether the provider is in one aggregate of each list.
func (n *node) inAll(lists [][]string) bool {
	for _, list := range lists {
		if !n.inAny(list) {
			return false
		}
	}
	return true
}
