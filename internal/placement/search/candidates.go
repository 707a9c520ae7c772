package search

import (
	"slices"

	"github.com/mekcloud/mek/internal/placement"
)

// maxSteps bounds the combinations that one request may try, so that a wide
// tree with many groups cannot hold the server up; what was found is answered.
const maxSteps = 1_000_000

// query is a compiled request on its way through the trees.
type query struct {
	*placement.Request
	limit               int // of answers, for now
	groups              []*group
	required, forbidden []int
	suffixed            int
	seen                map[string]bool // answers already given; nil where none can repeat
	steps               int
	found               int // answers given
	give                func(*Way)
	way                 Way       // used again for each answer
	picked              []*option // used again for each tree
	used                []*node   // nearly without repetition
}

// Candidates lists the ways to serve a request, in the order in which the hosts
// became known, or as the request wants them.
func (x *Index) Candidates(r *placement.Request) placement.Candidates {
	var out placement.Candidates
	shown := x.Ways(r, func(w *Way) { out.List = append(out.List, w.candidate()) })
	out.Providers = make(map[string]placement.Summary, len(shown))
	for _, s := range shown {
		out.Providers[s.of.UUID] = s.Summary()
	}
	return out
}

// Ways calls give with each of the candidates, and tells what providers they are
// to be described with, by UUID: those of all trees in use; to callers that know
// nothing of trees, only the providers in use.
func (x *Index) Ways(r *placement.Request, give func(*Way)) []Shown {
	q := &query{Request: r, limit: r.Limit, required: x.traits.findAll(r.RootRequired), forbidden: x.traits.findAll(r.RootForbidden), give: give}
	for i := range r.Groups {
		q.groups = append(q.groups, x.group(&r.Groups[i]))
		if r.Groups[i].Suffix != "" {
			q.suffixed++
		}
	}
	if len(x.sharing) > 0 {
		q.seen = map[string]bool{}
	}
	options := make([][]option, len(q.groups))
	q.picked = make([]*option, 0, len(q.groups))
	order := x.order
	if r.Emptiest {
		order = x.emptiest
	}
	for _, t := range order {
		if r.Limit > 0 && q.found >= r.Limit || q.steps > maxSteps {
			break
		}
		root := x.rootOf(t)
		if r.Only != nil && !r.Only(t.root) || !q.rootServes(root) {
			continue
		}
		if r.Emptiest {
			q.limit = q.found + 1
		}
		if q.optionsOf(t, root, x.sharersFor(t), options) {
			q.merge(t, options, q.picked, x)
		}
	}
	return q.shown()
}

// rootOf is the provider at the root of a tree; nil while it is not known.
func (x *Index) rootOf(t *tree) *node {
	if len(t.nodes) == 1 && t.nodes[0].UUID == t.root { // most hosts
		return t.nodes[0]
	}
	return x.nodes[t.root]
}

func (q *query) full() bool {
	return q.limit > 0 && q.found >= q.limit || q.steps > maxSteps
}

func (q *query) rootServes(root *node) bool {
	if len(q.required)+len(q.forbidden) == 0 {
		return true
	}
	if root == nil || root.traits.hasAny(q.forbidden) {
		return false
	}
	for _, t := range q.required {
		if t == unknown || !root.traits.has(t) {
			return false
		}
	}
	return true
}

// sharersFor lists the providers of other trees that lend to this one: they
// share an aggregate with one of its providers.
func (x *Index) sharersFor(t *tree) []*node {
	var out []*node
	for _, s := range x.sharing {
		if s.tree != t && slices.ContainsFunc(t.nodes, func(n *node) bool { return n.inAny(s.Aggregates) }) {
			out = append(out, s)
		}
	}
	return out
}

// optionsOf fills the options of each group; false when one has none.
func (q *query) optionsOf(t *tree, root *node, sharers []*node, options [][]option) bool {
	for i, g := range q.groups {
		if options[i] = g.options(t, root, sharers); len(options[i]) == 0 {
			return false
		}
	}
	return true
}

// merge picks one option of each group, depth first, and drops a branch as soon
// as what was picked exceeds a provider.
func (q *query) merge(t *tree, options [][]option, picked []*option, x *Index) {
	if len(picked) == len(options) {
		if q.isolated(picked) && q.subtreesHold(picked, x) && q.flatHolds(picked) {
			q.add(t, picked)
		}
		return
	}
	for i := range options[len(picked)] {
		if q.full() {
			return
		}
		q.steps++
		next := append(picked, &options[len(picked)][i])
		if len(next) == 1 || !exceeds(next) {
			q.merge(t, options, next, x)
		}
	}
}

// exceeds tells whether the last option, together with those before, takes more
// than a provider has or gives at once.
func exceeds(picked []*option) bool {
	for _, p := range picked[len(picked)-1].parts {
		var sum int64
		for _, o := range picked {
			for _, other := range o.parts {
				if other.node == p.node && other.need.class == p.need.class {
					sum += other.need.amount
				}
			}
		}
		s := p.node.stock(p.need.class)
		if float64(s.used+sum) > s.inv.Capacity() || sum > s.inv.MaxUnit {
			return true
		}
	}
	return false
}

// isolated tells whether the suffixed groups are served by different providers,
// where that is asked.
func (q *query) isolated(picked []*option) bool {
	if !q.Isolate {
		return true
	}
	taken := map[*node]bool{}
	for i, o := range picked {
		if q.groups[i].Suffix != "" {
			taken[o.nodes[0]] = true
		}
	}
	return len(taken) == q.suffixed
}

func (q *query) subtreesHold(picked []*option, x *Index) bool {
	for _, suffixes := range q.SameSubtree {
		var nodes []*node
		for i, o := range picked {
			if slices.Contains(suffixes, q.groups[i].Suffix) {
				nodes = append(nodes, o.nodes...)
			}
		}
		if !slices.ContainsFunc(nodes, func(top *node) bool { return x.above(top, nodes) }) {
			return false
		}
	}
	return true
}

// above tells whether a provider is, or is an ancestor of, each of some.
func (x *Index) above(top *node, nodes []*node) bool {
	for _, n := range nodes {
		for depth := 0; n != top; depth++ {
			if n = x.nodes[n.Parent]; n == nil || depth > len(x.nodes) {
				return false
			}
		}
	}
	return true
}

// flatHolds tells whether no two providers are of one tree, where the caller
// knows nothing of trees.
func (q *query) flatHolds(picked []*option) bool {
	if !q.Flat {
		return true
	}
	byRoot := map[string]*node{}
	for _, o := range picked {
		for _, n := range o.nodes {
			if other := byRoot[n.Root]; other != nil && other != n {
				return false
			}
			byRoot[n.Root] = n
		}
	}
	return true
}

func (q *query) add(t *tree, picked []*option) {
	w := &q.way
	w.fill(t.root, q.groups, picked)
	if q.seen != nil {
		key := w.key()
		if q.seen[key] {
			return
		}
		q.seen[key] = true
	}
	for _, o := range picked {
		for _, p := range o.parts {
			if last := len(q.used) - 1; last < 0 || q.used[last] != p.node {
				q.used = append(q.used, p.node)
			}
		}
	}
	q.found++
	q.give(w)
}
