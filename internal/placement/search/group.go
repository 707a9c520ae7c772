package search

import (
	"slices"

	"github.com/mekcloud/mek/internal/placement"
)

// group is a request group with its names resolved.
type group struct {
	*placement.Group
	needs     []need
	required  [][]int
	forbidden []int
	root      string   // of the tree that InTree means
	hopeless  bool     // InTree names no provider
	lone      []option // used again for each host that serves the group alone
}

type need struct {
	class  int
	name   string
	amount int64
}

// unknown is the number of a name that no provider has.
const unknown = -1

func (n names) find(name string) int {
	if i, ok := n[name]; ok {
		return i
	}
	return unknown
}

func (x *Index) group(g *placement.Group) *group {
	out := &group{Group: g}
	for class, amount := range g.Resources {
		out.needs = append(out.needs, need{x.classes.find(class), class, amount})
	}
	slices.SortFunc(out.needs, func(a, b need) int { return a.class - b.class })
	for _, list := range g.Required {
		out.required = append(out.required, x.traits.findAll(list))
	}
	out.forbidden = x.traits.findAll(g.Forbidden)
	if g.InTree != "" {
		if n := x.nodes[g.InTree]; n != nil {
			out.root = n.Root
		} else {
			out.hopeless = true
		}
	}
	return out
}

func (n names) findAll(list []string) []int {
	out := make([]int, len(list))
	for i, name := range list {
		out[i] = n.find(name)
	}
	return out
}

func (b bits) hasAny(list []int) bool {
	for _, i := range list {
		if i != unknown && b.has(i) {
			return true
		}
	}
	return false
}

// accepts tells whether one provider serves the group alone.
func (g *group) accepts(n *node) bool {
	if g.hopeless || g.root != "" && n.Root != g.root {
		return false
	}
	for i := range g.needs {
		if !g.needs[i].fits(n) {
			return false
		}
	}
	if n.traits.hasAny(g.forbidden) {
		return false
	}
	for _, list := range g.required {
		if !n.traits.hasAny(list) {
			return false
		}
	}
	return n.inAll(g.MemberOf) && !n.inAny(g.NotIn)
}

func (d *need) fits(n *node) bool {
	s := n.stock(d.class)
	return s != nil && s.inv.Fits(s.used, d.amount)
}

// option is one way to serve one group.
type option struct {
	parts []part
	nodes []*node // without repetition
}

type part struct {
	node *node
	need *need
}

// options lists the ways to serve the group for the host at a tree's root,
// given the providers of other trees that share with it.
func (g *group) options(t *tree, root *node, sharers []*node) []option {
	if g.hopeless {
		return nil
	}
	if g.Suffix != "" {
		return g.single(t, sharers)
	}
	if len(t.nodes) == 1 && len(sharers) == 0 { // most hosts
		if !g.accepts(t.nodes[0]) {
			return nil
		}
		return g.alone(t.nodes[0])
	}
	return g.spread(t, root, sharers)
}

func (g *group) single(t *tree, sharers []*node) []option {
	var out []option
	for _, list := range [][]*node{t.nodes, sharers} {
		for _, n := range list {
			if g.accepts(n) {
				out = append(out, g.whole(n))
			}
		}
	}
	return out
}

// whole serves the group by one provider.
func (g *group) whole(n *node) option {
	o := option{parts: make([]part, len(g.needs)), nodes: []*node{n}}
	for i := range g.needs {
		o.parts[i] = part{n, &g.needs[i]}
	}
	return o
}

// alone is whole as the only option, in room that is used again.
func (g *group) alone(n *node) []option {
	if g.lone == nil {
		g.lone = []option{g.whole(n)}
		return g.lone
	}
	o := &g.lone[0]
	for i := range o.parts {
		o.parts[i].node = n
	}
	o.nodes[0] = n
	return g.lone
}

// maxOptions bounds the ways that one group is served within one tree.
const maxOptions = 4096

// spread serves each resource class by any provider of the tree or sharer, and
// keeps the combinations that have the traits together.
func (g *group) spread(t *tree, root *node, sharers []*node) []option {
	out := []option{{}}
	for i := range g.needs {
		var able []*node
		for _, n := range t.nodes {
			if g.root == "" || n.Root == g.root {
				able = g.appendAble(able, n, root, &g.needs[i], false)
			}
		}
		if g.root == "" {
			for _, n := range sharers {
				able = g.appendAble(able, n, root, &g.needs[i], true)
			}
		}
		out = multiply(out, able, &g.needs[i])
		if len(out) == 0 {
			return nil
		}
	}
	return slices.DeleteFunc(out, func(o option) bool { return !g.traitsHold(o.nodes) })
}

// appendAble keeps a provider that has the resource and stands in the right
// aggregates: itself or by its host, but sharers by themselves.
func (g *group) appendAble(able []*node, n, root *node, d *need, sharer bool) []*node {
	if !d.fits(n) || n.traits.hasAny(g.forbidden) {
		return able
	}
	hosted := root != nil && root.inAll(g.MemberOf) && !sharer
	if len(g.MemberOf) > 0 && !n.inAll(g.MemberOf) && !hosted {
		return able
	}
	if n.inAny(g.NotIn) || root != nil && root.inAny(g.NotIn) {
		return able
	}
	return append(able, n)
}

// multiply extends each option by each able provider.
func multiply(options []option, able []*node, d *need) []option {
	out := make([]option, 0, min(len(options)*len(able), maxOptions))
	for _, o := range options {
		for _, n := range able {
			if len(out) == maxOptions {
				return out
			}
			next := option{parts: append(slices.Clone(o.parts), part{n, d}), nodes: o.nodes}
			if !slices.Contains(o.nodes, n) {
				next.nodes = append(slices.Clone(o.nodes), n)
			}
			out = append(out, next)
		}
	}
	return out
}

func (g *group) traitsHold(nodes []*node) bool {
	for _, list := range g.required {
		if !slices.ContainsFunc(nodes, func(n *node) bool { return n.traits.hasAny(list) }) {
			return false
		}
	}
	return true
}
