package ovn

import (
	"maps"
	"slices"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// mirror is what the northbound database holds of ours, by key. Columns of
// references hold keys; sets of children are kept as Row.In of the children.
type mirror struct {
	rows   map[string]Row
	scopes map[string]map[string]bool // keys by scope
}

func newMirror() *mirror {
	return &mirror{rows: map[string]Row{}, scopes: map[string]map[string]bool{}}
}

func (m *mirror) put(r Row) {
	m.rows[r.Key] = r
	if m.scopes[r.Scope] == nil {
		m.scopes[r.Scope] = map[string]bool{}
	}
	m.scopes[r.Scope][r.Key] = true
}

// take makes the mirror as a plan makes the database.
func (m *mirror) take(p plan) {
	for _, r := range p.put {
		m.put(r)
	}
	for _, key := range p.drop {
		m.drop(key)
	}
}

// drop forgets a row, and those that the database collects with it because
// nothing else refers to them.
func (m *mirror) drop(key string) {
	r, ok := m.rows[key]
	if !ok {
		return
	}
	delete(m.rows, key)
	delete(m.scopes[r.Scope], key)
	if len(m.scopes[r.Scope]) == 0 {
		delete(m.scopes, r.Scope)
	}
	if !isParent(r.Table) {
		return
	}
	for childKey, child := range m.rows {
		left := slices.DeleteFunc(slices.Clone(child.In), func(e Edge) bool { return e.Parent == key })
		switch {
		case len(left) == len(child.In):
		case stillHeld(m, child.Table, left):
			child.In = left
			m.rows[childKey] = child
		default:
			m.drop(childKey)
		}
	}
}

func isParent(table string) bool {
	for _, k := range owned[table] {
		if k == children {
			return true
		}
	}
	return false
}

// stillHeld tells whether a row outlives the loss of an edge: a port that
// leaves a group stays on its switch, and some tables collect nothing.
func stillHeld(m *mirror, table string, left []Edge) bool {
	if slices.Contains(standing, table) {
		return true
	}
	for _, e := range left {
		if table != "Logical_Switch_Port" || m.rows[e.Parent].Table == "Logical_Switch" {
			return true
		}
	}
	return false
}

// plan is what turns the current rows of a scope into the desired ones.
type plan struct {
	ops  []ovsdb.Operation
	put  []Row
	drop []string
	// missing lists parents that desired rows name and nobody rendered yet.
	missing []string
}

type edgeChange struct{ add, remove []string }

// planScope is pure: mirror and desired rows in, operations out. Desired rows
// are complete and all of one scope.
func planScope(m *mirror, scope string, desired []Row) plan {
	var p plan
	edges := map[Edge]*edgeChange{}
	want := map[string]bool{}
	for _, r := range desired {
		want[r.Key] = true
	}
	gone := func(key string) bool { return m.scopes[scope][key] && !want[key] }
	for _, r := range desired {
		have, exists := m.rows[r.Key]
		for _, e := range r.In {
			if _, ok := m.rows[e.Parent]; !ok && !want[e.Parent] {
				p.missing = append(p.missing, e.Parent)
			}
		}
		changed := p.row(r, have, exists)
		moved := diffEdges(edges, r.Key, have.In, r.In)
		if changed || moved {
			p.put = append(p.put, r)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.scopes[scope])) {
		if !gone(key) {
			continue
		}
		diffEdges(edges, key, m.rows[key].In, nil)
		p.drop = append(p.drop, key)
	}
	p.edgeOps(m, edges, want, gone)
	for _, key := range p.drop {
		p.ops = append(p.ops, ovsdb.Operation{Op: ovsdb.OperationDelete, Table: m.rows[key].Table, Where: byKey(key)})
	}
	return p
}

// row adds the insert or update that one desired row needs.
func (p *plan) row(r, have Row, exists bool) bool {
	cols := ovsdb.Row{}
	for name, v := range r.Columns {
		if !exists || !sameValue(have.Columns[name], v) {
			cols[name] = wire(v)
		}
	}
	switch {
	case !exists:
		p.ops = append(p.ops, ovsdb.Operation{Op: ovsdb.OperationInsert, Table: r.Table, UUID: UUID(r.Key), Row: cols})
	case len(cols) > 0:
		p.ops = append(p.ops, ovsdb.Operation{Op: ovsdb.OperationUpdate, Table: r.Table, Where: byKey(r.Key), Row: cols})
	}
	return !exists || len(cols) > 0
}

func diffEdges(into map[Edge]*edgeChange, key string, have, want []Edge) bool {
	moved := false
	at := func(e Edge) *edgeChange {
		moved = true
		if into[e] == nil {
			into[e] = &edgeChange{}
		}
		return into[e]
	}
	for _, e := range want {
		if !slices.Contains(have, e) {
			c := at(e)
			c.add = append(c.add, key)
		}
	}
	for _, e := range have {
		if !slices.Contains(want, e) {
			c := at(e)
			c.remove = append(c.remove, key)
		}
	}
	return moved
}

// edgeOps adds one mutation per parent and column. Parents that go away in
// the same transaction need none.
func (p *plan) edgeOps(m *mirror, edges map[Edge]*edgeChange, want map[string]bool, gone func(string) bool) {
	order := slices.SortedFunc(maps.Keys(edges), func(a, b Edge) int {
		if a.Parent+a.Column < b.Parent+b.Column {
			return -1
		}
		return 1
	})
	for _, e := range order {
		if gone(e.Parent) {
			continue
		}
		table := m.rows[e.Parent].Table
		if table == "" {
			table = p.tableOf(e.Parent)
		}
		if table == "" {
			continue // listed in missing, or gone with its children
		}
		op := ovsdb.Operation{Op: ovsdb.OperationMutate, Table: table, Where: byKey(e.Parent)}
		if c := edges[e].remove; len(c) > 0 {
			op.Mutations = append(op.Mutations, ovsdb.Mutation{Column: e.Column, Mutator: ovsdb.MutateOperationDelete, Value: wire(Refs(c))})
		}
		if c := edges[e].add; len(c) > 0 {
			op.Mutations = append(op.Mutations, ovsdb.Mutation{Column: e.Column, Mutator: ovsdb.MutateOperationInsert, Value: wire(Refs(c))})
		}
		p.ops = append(p.ops, op)
	}
}

func (p *plan) tableOf(key string) string {
	for _, r := range p.put {
		if r.Key == key {
			return r.Table
		}
	}
	return ""
}

func byKey(key string) []ovsdb.Condition {
	return []ovsdb.Condition{{Column: "_uuid", Function: ovsdb.ConditionEqual, Value: ovsdb.UUID{GoUUID: UUID(key)}}}
}
