package records

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
)

type topologyRow struct {
	ProjectID string `db:"project_id"`
	NetworkID string `db:"network_id"`
	RouterID  string `db:"router_id"`
}

// They go with their networks.
var topologyRows = db.NewTable[topologyRow]("network_topologies", "project_id", "Auto allocated topology")

// TopologyOf is what was made for a project; nil: nothing, or its network is gone.
func (r *Records) TopologyOf(ctx context.Context, q db.Querier, projectID string) (*network.Topology, error) {
	return topology(topologyRows.Get(ctx, q, projectID))
}

// LockTopology is TopologyOf for who will take it apart: nobody else does until
// tx ends.
func (r *Records) LockTopology(ctx context.Context, tx *db.Tx, projectID string) (*network.Topology, error) {
	return topology(topologyRows.GetForUpdate(ctx, tx, projectID))
}

func topology(row *topologyRow, err error) (*network.Topology, error) {
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &network.Topology{ProjectID: row.ProjectID, NetworkID: row.NetworkID, RouterID: row.RouterID}, nil
}

// InsertTopology notes what was made for a project; its network is there.
func (r *Records) InsertTopology(ctx context.Context, tx *db.Tx, t network.Topology) error {
	return topologyRows.Insert(ctx, tx, &topologyRow{t.ProjectID, t.NetworkID, t.RouterID})
}
