package records

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
)

type statefulnessRow struct {
	ID        string `db:"id"`
	ProjectID string `db:"project_id"`
	Stateful  bool   `db:"stateful"`
	CreatedAt int64  `db:"created_at"`
}

var statefulnessRows = db.NewTable[statefulnessRow]("network_statefulness", "id", "Default statefulness of security groups")

// Statefulness reads what new security groups are to be.
type Statefulness = Store[statefulnessRow, network.Statefulness]

func statefulness(d *db.DB) *Statefulness {
	return &Statefulness{db: d, table: statefulnessRows,
		of: func(r *statefulnessRow) *network.Statefulness {
			return &network.Statefulness{ID: r.ID, ProjectID: r.ProjectID, Stateful: r.Stateful, CreatedAt: clock.FromMicros(r.CreatedAt)}
		},
		row: func(s *network.Statefulness) *statefulnessRow {
			return &statefulnessRow{s.ID, s.ProjectID, s.Stateful, clock.Micros(s.CreatedAt)}
		}}
}

// SetStateful changes what a row says.
func (r *Records) SetStateful(ctx context.Context, tx *db.Tx, id string, stateful bool) error {
	return statefulnessRows.Set(ctx, tx, id, map[string]any{"stateful": stateful})
}

// StatefulByDefault tells what a new security group of a project is, unless its
// maker says otherwise: what the project says, else what is said for all.
func (r *Records) StatefulByDefault(ctx context.Context, q db.Querier, projectID string) (bool, error) {
	return r.statefulBy.Get(q, projectID, func() (bool, error) {
		for _, of := range []string{projectID, ""} {
			row, err := statefulnessRows.One(ctx, q, Is("project_id", of))
			if err == nil {
				return row.Stateful, nil
			}
			if !fault.Is(err, fault.NotFound) {
				return false, err
			}
		}
		return true, nil
	})
}

// OneKind refuses with Conflict groups for one port of which some are stateful
// and others are not, and keeps them as they are until tx ends.
func (r *Records) OneKind(ctx context.Context, tx *db.Tx, groupIDs []string) error {
	if len(groupIDs) < 2 {
		return nil
	}
	for _, id := range slices.Sorted(slices.Values(groupIDs)) { // everybody locks them in this order
		if err := groupRows.Hold(ctx, tx, id); err != nil {
			return err
		}
	}
	return r.SeemOneKind(ctx, tx, groupIDs)
}

// SeemOneKind is OneKind for an early answer: it locks nothing.
func (r *Records) SeemOneKind(ctx context.Context, q db.Querier, groupIDs []string) error {
	if len(groupIDs) < 2 {
		return nil
	}
	found, err := groupRows.Find(ctx, q, OneOf("id", groupIDs))
	if err != nil {
		return err
	}
	stateful := func(g *groupRow) bool { return g.Stateful }
	if slices.ContainsFunc(found, stateful) && slices.ContainsFunc(found, func(g *groupRow) bool { return !g.Stateful }) {
		return fault.Conflictf("Error Cannot apply both stateful and stateless security groups on the same port at the same time while attempting the operation.").
			With("SecurityGroupConflict")
	}
	return nil
}
