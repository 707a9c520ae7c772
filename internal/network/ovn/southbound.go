package ovn

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/mekcloud/mek/internal/fault"
)

// hostsRole is OVN's role of hosts: northd writes what it may change.
const hostsRole = "ovn-controller"

// hostsDoor is where the southbound database listens for hosts: on loopback, at
// any port that is free.
const hostsDoor = "pssl:0:127.0.0.1"

// HostsPort is the port of the southbound database at which whoever calls may
// change only what a host may, of that host; opening it, if it is not.
func HostsPort(ctx context.Context, endpoint string) (int, error) {
	c, err := openSouthbound(ctx, endpoint)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	var last error
	for {
		found, err := transact(ctx, c, ovsdb.Operation{Op: ovsdb.OperationSelect, Table: "Connection",
			Where: []ovsdb.Condition{{Column: "target", Function: ovsdb.ConditionEqual, Value: hostsDoor}}})
		if err != nil {
			return 0, err
		}
		if len(found[0].Rows) > 0 {
			status, _ := found[0].Rows[0]["status"].(ovsdb.OvsMap) // a map in the schema
			if port, err := strconv.Atoi(fmt.Sprint(status.GoMap["bound_port"])); err == nil {
				return port, nil
			}
		} else if err := openDoor(ctx, c); err != nil {
			last = err // or another host's call was first, which the next look tells
		}
		select {
		case <-ctx.Done():
			return 0, fault.Unavailablef("the southbound database does not listen for hosts").Because(errors.Join(ctx.Err(), last))
		case <-time.After(20 * time.Millisecond): // real time: another process is at work
		}
	}
}

// openDoor has the database listen. Before northd has begun nothing holds the
// row, and it is gone again.
func openDoor(ctx context.Context, c client.Client) error {
	set := func(v any) ovsdb.OvsSet { return ovsdb.OvsSet{GoSet: []any{v}} }
	ops := []ovsdb.Operation{
		{Op: ovsdb.OperationInsert, Table: "Connection", UUIDName: "door", Row: ovsdb.Row{"target": hostsDoor, "role": hostsRole, "inactivity_probe": set(probeHosts)}},
		{Op: ovsdb.OperationMutate, Table: "SB_Global", Where: []ovsdb.Condition{{Column: "nb_cfg", Function: ovsdb.ConditionGreaterThanOrEqual, Value: 0}},
			Mutations: []ovsdb.Mutation{{Column: "connections", Mutator: ovsdb.MutateOperationInsert, Value: set(ovsdb.UUID{GoUUID: "door"})}}},
	}
	done, err := transact(ctx, c, ops...)
	if err == nil && done[1].Count == 0 {
		return fault.Unavailablef("northd has not yet begun the southbound database")
	}
	return err
}

// openSouthbound connects with a southbound database, without a copy of its tables.
func openSouthbound(ctx context.Context, endpoint string) (client.Client, error) {
	none, err := model.NewClientDBModel("OVN_Southbound", map[string]model.Model{})
	if err != nil {
		return nil, err
	}
	quiet := logr.Discard()
	c, err := client.NewOVSDBClient(none, client.WithEndpoint(endpoint), client.WithLogger(&quiet))
	if err == nil {
		err = c.Connect(ctx)
	}
	if err != nil {
		return nil, fault.Unavailablef("the southbound database does not answer").Because(err)
	}
	return c, nil
}

// probeHosts is after how many milliseconds of silence the database asks
// whether a host is there; the bus knows it sooner.
const probeHosts = 60_000
