package ovs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/go-logr/logr"
	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/mekcloud/mek/internal/fault"
)

// The tables of the switch's database, with the columns that we read.
type (
	switchRow struct {
		UUID     string            `ovsdb:"_uuid"`
		CurCfg   int               `ovsdb:"cur_cfg"`
		External map[string]string `ovsdb:"external_ids"`
	}
	bridgeRow struct {
		UUID  string   `ovsdb:"_uuid"`
		Name  string   `ovsdb:"name"`
		Ports []string `ovsdb:"ports"`
	}
	portRow struct {
		UUID       string   `ovsdb:"_uuid"`
		Name       string   `ovsdb:"name"`
		Interfaces []string `ovsdb:"interfaces"`
	}
	ifaceRow struct {
		UUID     string            `ovsdb:"_uuid"`
		Name     string            `ovsdb:"name"`
		Type     string            `ovsdb:"type"`
		Ofport   *int              `ovsdb:"ofport"`
		Error    *string           `ovsdb:"error"`
		External map[string]string `ovsdb:"external_ids"`
	}
)

const (
	callTimeout = 10 * time.Second
	// lookEvery is how often our copy is looked at though nothing is told of it:
	// what tells of changes may lose one.
	lookEvery = 100 * time.Millisecond
)

// database is a connection to the switch's database, with a copy of it.
type database struct {
	client client.Client

	mu      sync.Mutex
	changed chan struct{} // closed at each change of the copy, then made anew
}

// openDatabase connects; onPorts is told of changes of ports, and must not block.
func openDatabase(ctx context.Context, endpoint string, onPorts func()) (*database, error) {
	dbModel, err := model.NewClientDBModel("Open_vSwitch", map[string]model.Model{
		"Open_vSwitch": &switchRow{}, "Bridge": &bridgeRow{}, "Port": &portRow{}, "Interface": &ifaceRow{}})
	if err != nil {
		return nil, fmt.Errorf("switch model: %w", err)
	}
	quiet := logr.Discard()
	c, err := client.NewOVSDBClient(dbModel, client.WithEndpoint(endpoint), client.WithLogger(&quiet),
		client.WithReconnect(callTimeout, backoff.NewConstantBackOff(200*time.Millisecond)))
	if err != nil {
		return nil, fmt.Errorf("switch client: %w", err)
	}
	if err := c.Connect(ctx); err != nil {
		return nil, fault.Unavailablef("the host's switch does not answer").Because(err)
	}
	d := &database{client: c, changed: make(chan struct{})}
	note := func(table string) {
		d.note()
		if table == "Interface" {
			onPorts()
		}
	}
	c.Cache().AddEventHandler(&cache.EventHandlerFuncs{
		AddFunc:    func(table string, _ model.Model) { note(table) },
		UpdateFunc: func(table string, _, _ model.Model) { note(table) },
		DeleteFunc: func(table string, _ model.Model) { note(table) },
	})
	// The columns must be named: the copy stumbles over those that it has no field for.
	sw, br, po, in := &switchRow{}, &bridgeRow{}, &portRow{}, &ifaceRow{}
	monitor := c.NewMonitor(client.WithTable(sw, &sw.CurCfg, &sw.External), client.WithTable(br, &br.Name, &br.Ports),
		client.WithTable(po, &po.Name, &po.Interfaces), client.WithTable(in, &in.Name, &in.Type, &in.Ofport, &in.Error, &in.External))
	if _, err := c.Monitor(ctx, monitor); err != nil {
		c.Close()
		return nil, fmt.Errorf("watch the switch: %w", err)
	}
	return d, nil
}

// note wakes those who wait for a change.
func (d *database) note() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.changed)
	d.changed = make(chan struct{})
}

// next is closed when our copy has changed.
func (d *database) next() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// commit runs one transaction and waits until the switch has done what it
// says and our copy shows it.
func (d *database) commit(ctx context.Context, ops ...ovsdb.Operation) error {
	if len(ops) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ops = append(ops,
		ovsdb.Operation{Op: ovsdb.OperationMutate, Table: "Open_vSwitch", Where: theRoot(), Mutations: []ovsdb.Mutation{{Column: "next_cfg", Mutator: ovsdb.MutateOperationAdd, Value: 1}}},
		look())
	results, err := d.client.Transact(ctx, ops...)
	if err != nil {
		return fault.Unavailablef("the host's switch does not answer").Because(err)
	}
	if failed, err := ovsdb.CheckOperationResults(results, ops); err != nil {
		return fault.Internalf("switch database: %w: %v", err, failed)
	}
	rows := results[len(ops)-1].Rows
	if len(rows) != 1 {
		return fault.Internalf("switch database has %d roots", len(rows))
	}
	want, _ := rows[0]["next_cfg"].(float64) // a number in the schema
	return d.await(ctx, func() bool {
		sw, ok := d.root()
		return ok && sw.CurCfg >= int(want)
	})
}

// look is an operation that changes nothing.
func look() ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationSelect, Table: "Open_vSwitch", Columns: []string{"next_cfg"}}
}

// await waits until our copy of the database is as done says.
func (d *database) await(ctx context.Context, done func() bool) error {
	for {
		next := d.next()
		if done() {
			return nil
		}
		timer := time.NewTimer(lookEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fault.Unavailablef("the host's switch is slow").Because(ctx.Err())
		case <-next:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (d *database) root() (switchRow, bool) {
	rows := rowsOf[*switchRow](d, "Open_vSwitch")
	if len(rows) != 1 {
		return switchRow{}, false
	}
	return *rows[0], true
}

// rowsOf lists the rows of a table of our copy. They are not to be changed.
func rowsOf[T model.Model](d *database, table string) []T {
	cached := d.client.Cache().Table(table)
	if cached == nil {
		return nil // the connection is being made again
	}
	all := cached.RowsShallow()
	out := make([]T, 0, len(all))
	for _, row := range all {
		if r, ok := row.(T); ok {
			out = append(out, r)
		}
	}
	return out
}

// interfaces lists those that fit, of this switch. Their maps are not to be changed.
func (d *database) interfaces(fits func(*ifaceRow) bool) []ifaceRow {
	var out []ifaceRow
	for _, i := range rowsOf[*ifaceRow](d, "Interface") {
		if fits(i) {
			out = append(out, *i)
		}
	}
	return out
}

func (d *database) iface(name string) (ifaceRow, bool) {
	row, ok := rowOf(d, "Interface", &ifaceRow{Name: name})
	if !ok {
		return ifaceRow{}, false
	}
	return *row, true
}

// rowOf finds a row of our copy by what the database tells rows apart by.
func rowOf[T model.Model](d *database, table string, like T) (row T, ok bool) {
	cached := d.client.Cache().Table(table)
	if cached == nil {
		return row, false
	}
	_, found, err := cached.RowByModel(like)
	if err != nil || found == nil {
		return row, false
	}
	row, ok = found.(T)
	return row, ok
}

// addPort is the transaction that puts a new port with one interface into a bridge.
func addPort(bridge, name, kind string, options, external map[string]string) []ovsdb.Operation {
	iface, port := "i_"+name, "p_"+name
	row := ovsdb.Row{"name": name, "type": kind, "external_ids": ovsMap(external), "options": ovsMap(options)}
	return []ovsdb.Operation{
		{Op: ovsdb.OperationInsert, Table: "Interface", UUIDName: iface, Row: row},
		{Op: ovsdb.OperationInsert, Table: "Port", UUIDName: port, Row: ovsdb.Row{"name": name, "interfaces": ovsdb.UUID{GoUUID: iface}}},
		{Op: ovsdb.OperationMutate, Table: "Bridge", Where: []ovsdb.Condition{{Column: "name", Function: ovsdb.ConditionEqual, Value: bridge}},
			Mutations: []ovsdb.Mutation{{Column: "ports", Mutator: ovsdb.MutateOperationInsert, Value: ovsdb.OvsSet{GoSet: []any{ovsdb.UUID{GoUUID: port}}}}}},
	}
}

// dropPort takes a port off whatever bridge it is in; its rows are collected.
func (d *database) dropPort(name string) []ovsdb.Operation {
	port, ok := rowOf(d, "Port", &portRow{Name: name})
	if !ok {
		return nil // not in the copy means not there
	}
	id := ovsdb.OvsSet{GoSet: []any{ovsdb.UUID{GoUUID: port.UUID}}}
	return []ovsdb.Operation{{Op: ovsdb.OperationMutate, Table: "Bridge",
		Where:     []ovsdb.Condition{{Column: "ports", Function: ovsdb.ConditionIncludes, Value: id}},
		Mutations: []ovsdb.Mutation{{Column: "ports", Mutator: ovsdb.MutateOperationDelete, Value: id}}}}
}

func ovsMap(m map[string]string) ovsdb.OvsMap {
	out := make(map[any]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return ovsdb.OvsMap{GoMap: out}
}

// theRoot is the one row of the root table. An empty condition would do, but
// the client library leaves empty conditions out, which the server refuses.
func theRoot() []ovsdb.Condition {
	return []ovsdb.Condition{{Column: "next_cfg", Function: ovsdb.ConditionGreaterThanOrEqual, Value: 0}}
}
