package ovn

import (
	"context"
	"slices"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// chassisTables name a host each; its tunnels' ends go with the first.
var chassisTables = []string{"Chassis", "Chassis_Private"}

// Chassis looks after the hosts in a southbound database, over one connection
// that is made again when it was lost. It is one reconciler's: not safe for concurrent use.
type Chassis struct {
	Endpoint string

	conn client.Client
}

// Prune removes from the database what hosts have left there that do not belong
// to the cloud any more: ovn-controller of a host that was cut off cannot do it,
// and others go on building tunnels to it. It answers the names of those removed.
func (p *Chassis) Prune(ctx context.Context, hosts []string) (removed []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if p.conn == nil {
		if p.conn, err = openSouthbound(ctx, p.Endpoint); err != nil {
			p.conn = nil
			return nil, err
		}
	}
	if removed, err = prune(ctx, p.conn, hosts); err != nil {
		p.Close()
	}
	return removed, err
}

// Close gives the connection back.
func (p *Chassis) Close() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

func prune(ctx context.Context, c client.Client, hosts []string) (removed []string, err error) {
	var find, remove []ovsdb.Operation
	for _, table := range chassisTables {
		find = append(find, ovsdb.Operation{Op: ovsdb.OperationSelect, Table: table, Columns: []string{"name"},
			Where: []ovsdb.Condition{ovsdb.NewCondition("name", ovsdb.ConditionNotEqual, "")}})
	}
	results, err := transact(ctx, c, find...)
	if err != nil {
		return nil, err
	}
	for i, table := range chassisTables {
		for _, row := range results[i].Rows {
			name, _ := row["name"].(string)
			if name == "" || slices.Contains(hosts, name) {
				continue
			}
			remove = append(remove, ovsdb.Operation{Op: ovsdb.OperationDelete, Table: table, Where: []ovsdb.Condition{ovsdb.NewCondition("name", ovsdb.ConditionEqual, name)}})
			if !slices.Contains(removed, name) {
				removed = append(removed, name)
			}
		}
	}
	if len(remove) == 0 {
		return nil, nil
	}
	_, err = transact(ctx, c, remove...)
	return removed, err
}
