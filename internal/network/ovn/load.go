package ovn

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// stray is a row in a table of ours that we did not write.
type stray struct{ table, uuid string }

// load replaces the mirror by what the database holds, and lists the strays.
func (n *Northbound) load(ctx context.Context) ([]stray, error) {
	tables := slices.Sorted(maps.Keys(owned))
	ops := make([]ovsdb.Operation, len(tables))
	for i, table := range tables {
		columns := append(slices.Sorted(maps.Keys(owned[table])), "_uuid")
		ops[i] = ovsdb.Operation{Op: ovsdb.OperationSelect, Table: table, Columns: columns}
	}
	results, err := n.transact(ctx, ops)
	if err != nil {
		return nil, fmt.Errorf("read northbound: %w", err)
	}
	found := map[string]Row{} // by UUID
	var strays []stray
	for i, table := range tables {
		for _, raw := range results[i].Rows {
			uuid, r, err := rowFromWire(table, raw)
			if err != nil {
				return nil, err
			}
			if r.Key == "" || UUID(r.Key) != uuid {
				strays = append(strays, stray{table, uuid})
				continue
			}
			found[uuid] = r
		}
	}
	n.mirror = mirrorOf(found)
	return strays, nil
}

func rowFromWire(table string, raw ovsdb.Row) (string, Row, error) {
	r := Row{Table: table, Columns: map[string]any{}}
	for name, k := range owned[table] {
		v, err := fromWire(k, raw[name])
		if err != nil {
			return "", r, fmt.Errorf("%s.%s: %w", table, name, err)
		}
		r.Columns[name] = v
	}
	ids, _ := r.Columns["external_ids"].(Map) // its kind is mapping in every table
	r.Key, r.Scope = ids[idKey], ids[idScope]
	uuid, _ := raw["_uuid"].(ovsdb.UUID) // asked for, so always there
	return uuid.GoUUID, r, nil
}

// mirrorOf turns UUIDs in references into keys, and sets of children into edges.
func mirrorOf(found map[string]Row) *mirror {
	edges := map[string][]Edge{} // by child key
	for _, r := range found {
		for name, k := range owned[r.Table] {
			switch k {
			case refs:
				uuids, _ := r.Columns[name].(Refs)
				keys := make(Refs, len(uuids))
				for i, u := range uuids {
					keys[i] = found[u].Key // empty: a foreign row, which then differs and is replaced
				}
				r.Columns[name] = keys
			case children:
				uuids, _ := r.Columns[name].(Refs)
				for _, u := range uuids {
					if child := found[u].Key; child != "" {
						edges[child] = append(edges[child], Edge{r.Key, name})
					}
				}
				delete(r.Columns, name)
			}
		}
	}
	m := newMirror()
	for _, r := range found {
		r.In = edges[r.Key]
		m.put(r)
	}
	return m
}

// removeStrays deletes rows that are not ours: the database belongs to the
// server, and a row of somebody else's could pass traffic that no rule allows.
func (n *Northbound) removeStrays(ctx context.Context, strays []stray) error {
	if len(strays) == 0 {
		return nil
	}
	var ops []ovsdb.Operation
	for _, s := range strays {
		where := []ovsdb.Condition{{Column: "_uuid", Function: ovsdb.ConditionEqual, Value: ovsdb.UUID{GoUUID: s.uuid}}}
		for parent, columns := range owned {
			for column, k := range columns {
				if k != children || !canHold(column, s.table) {
					continue
				}
				held := []ovsdb.Condition{{Column: column, Function: ovsdb.ConditionIncludes, Value: ovsdb.OvsSet{GoSet: []any{ovsdb.UUID{GoUUID: s.uuid}}}}}
				ops = append(ops, ovsdb.Operation{Op: ovsdb.OperationMutate, Table: parent, Where: held, Mutations: []ovsdb.Mutation{
					{Column: column, Mutator: ovsdb.MutateOperationDelete, Value: ovsdb.OvsSet{GoSet: []any{ovsdb.UUID{GoUUID: s.uuid}}}}}})
			}
		}
		ops = append(ops, ovsdb.Operation{Op: ovsdb.OperationDelete, Table: s.table, Where: where})
	}
	if _, err := n.transact(ctx, ops); err != nil {
		return fmt.Errorf("remove %d stray rows: %w", len(strays), err)
	}
	return nil
}

// canHold tells whether a set of children may hold rows of a table.
func canHold(column, table string) bool {
	return slices.Contains(holders[column], table)
}
