package ovn

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-logr/logr"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/mekcloud/mek/internal/fault"
)

// chassisTables name a host each; its tunnels' ends go with the first.
var chassisTables = []string{"Chassis", "Chassis_Private"}

// PruneChassis removes from a southbound database what hosts have left there
// that do not belong to the cloud any more: ovn-controller of a host that was
// cut off cannot do it, and others go on building tunnels to it. It answers the
// names of those removed.
func PruneChassis(ctx context.Context, endpoint string, hosts []string) (removed []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	dbModel, err := model.NewClientDBModel("OVN_Southbound", map[string]model.Model{})
	if err != nil {
		return nil, fmt.Errorf("southbound model: %w", err)
	}
	quiet := logr.Discard()
	c, err := client.NewOVSDBClient(dbModel, client.WithEndpoint(endpoint), client.WithLogger(&quiet))
	if err != nil {
		return nil, fmt.Errorf("southbound client: %w", err)
	}
	if err := c.Connect(ctx); err != nil {
		return nil, fault.Unavailablef("the southbound database does not answer").Because(err)
	}
	defer c.Close()
	var find, remove []ovsdb.Operation
	for _, table := range chassisTables {
		find = append(find, ovsdb.Operation{Op: ovsdb.OperationSelect, Table: table, Columns: []string{"name"},
			Where: []ovsdb.Condition{ovsdb.NewCondition("name", ovsdb.ConditionNotEqual, "")}})
	}
	results, err := southbound(ctx, c, find)
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
	_, err = southbound(ctx, c, remove)
	return removed, err
}

func southbound(ctx context.Context, c client.Client, ops []ovsdb.Operation) ([]ovsdb.OperationResult, error) {
	results, err := c.Transact(ctx, ops...)
	if err == nil {
		_, err = ovsdb.CheckOperationResults(results, ops)
	}
	if err != nil {
		return nil, fmt.Errorf("southbound database: %w", err)
	}
	return results, nil
}
