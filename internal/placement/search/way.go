package search

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/placement"
)

// Way is a candidate as it is found: made of maps, those of a thousand hosts
// would take longer than finding them. It is used again for the next one.
type Way struct {
	Root   string
	Takes  []Take  // by provider, then by class
	Serves []Serve // by suffix
}

// Take is what a way takes of one provider.
type Take struct {
	Provider, Class string
	Amount          int64
}

// Serve is which providers serve the groups with a suffix.
type Serve struct {
	Suffix    string
	Providers []string
}

// fill makes the way of the options that were picked for groups.
func (w *Way) fill(root string, groups []*group, picked []*option) {
	w.Root, w.Takes, w.Serves = root, w.Takes[:0], w.Serves[:0]
	for i, o := range picked {
		for _, p := range o.parts {
			w.take(p.node.UUID, p.need.name, p.need.amount)
		}
		w.serve(groups[i].Suffix, o.nodes)
	}
	slices.SortFunc(w.Takes, func(a, b Take) int {
		return cmp.Or(strings.Compare(a.Provider, b.Provider), strings.Compare(a.Class, b.Class))
	})
	slices.SortFunc(w.Serves, func(a, b Serve) int { return strings.Compare(a.Suffix, b.Suffix) })
}

func (w *Way) take(provider, class string, amount int64) {
	for i := range w.Takes {
		if t := &w.Takes[i]; t.Class == class && t.Provider == provider {
			t.Amount += amount
			return
		}
	}
	w.Takes = append(w.Takes, Take{provider, class, amount})
}

func (w *Way) serve(suffix string, nodes []*node) {
	i := slices.IndexFunc(w.Serves, func(s Serve) bool { return s.Suffix == suffix })
	if i < 0 {
		i = len(w.Serves)
		if w.Serves = slices.Grow(w.Serves, 1)[:i+1]; w.Serves[i].Providers != nil { // of another way
			w.Serves[i].Providers = w.Serves[i].Providers[:0]
		}
		w.Serves[i].Suffix = suffix
	}
	for _, n := range nodes {
		w.Serves[i].Providers = append(w.Serves[i].Providers, n.UUID)
	}
}

// key is equal for ways that take and serve the same. It sorts who serves.
func (w *Way) key() string {
	var b []byte
	for _, t := range w.Takes {
		b = append(append(b, t.Provider...), '/')
		b = append(append(b, t.Class...), '/')
		b = append(strconv.AppendInt(b, t.Amount, 10), ';')
	}
	for _, s := range w.Serves {
		slices.Sort(s.Providers)
		b = append(append(b, s.Suffix...), '=')
		for _, p := range s.Providers {
			b = append(append(b, p...), '+')
		}
		b = append(b, ';')
	}
	return string(b)
}

// candidate is the way as the contract has it.
func (w *Way) candidate() placement.Candidate {
	c := placement.Candidate{Root: w.Root, Allocations: placement.Allocations{}, Mappings: make(map[string][]string, len(w.Serves))}
	for _, t := range w.Takes {
		of := c.Allocations[t.Provider]
		if of == nil {
			of = placement.Resources{}
			c.Allocations[t.Provider] = of
		}
		of[t.Class] = t.Amount
	}
	for _, s := range w.Serves {
		c.Mappings[s.Suffix] = slices.Clone(s.Providers)
	}
	return c
}

// Shown is a provider as answers describe it.
type Shown struct{ of *node }

// Summary is what there is to say of it.
func (s Shown) Summary() placement.Summary {
	n := s.of
	return placement.Summary{UUID: n.UUID, Parent: n.Parent, Root: n.Root, Resources: n.levels, Traits: n.Traits}
}

// Spelt is its summary in words, which are kept until it changes. Whoever calls
// it spells them in one and the same way.
func (s Shown) Spelt(spell func(placement.Summary) []byte) []byte {
	if kept := s.of.spelt.Load(); kept != nil {
		return *kept
	}
	b := spell(s.Summary())
	s.of.spelt.Store(&b)
	return b
}

// shown are the providers to describe, sorted, each once.
func (q *query) shown() []Shown {
	type keyed struct {
		key uint64
		of  *node
	}
	all := make([]keyed, 0, len(q.used))
	var last *tree
	for _, n := range q.used {
		switch {
		case q.Flat:
			all = append(all, keyed{begin(n.UUID), n})
		case n.tree != last:
			last = n.tree
			for _, o := range last.nodes {
				all = append(all, keyed{begin(o.UUID), o})
			}
		}
	}
	slices.SortFunc(all, func(a, b keyed) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return strings.Compare(a.of.UUID, b.of.UUID)
	})
	out := make([]Shown, 0, len(all))
	for i, k := range all {
		if i == 0 || all[i-1].of != k.of {
			out = append(out, Shown{k.of})
		}
	}
	return out
}

// begin is the first letters of a text as a number, which compares as they do.
func begin(text string) (n uint64) {
	for i := range 8 {
		n <<= 8
		if i < len(text) {
			n |= uint64(text[i])
		}
	}
	return n
}
