package endpointfilter

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID          string                            `db:"id"`
	Name        string                            `db:"name"`
	Description *string                           `db:"description"`
	Filters     db.JSON[identity.EndpointFilters] `db:"filters"`
	CreatedAt   int64                             `db:"created_at"`
}

func toRow(g *identity.EndpointGroup) *row {
	return &row{g.ID, g.Name, g.Description, db.J(g.Filters), clock.Micros(g.CreatedAt)}
}

func (r *row) group() *identity.EndpointGroup {
	return &identity.EndpointGroup{ID: r.ID, Name: r.Name, Description: r.Description, Filters: r.Filters.V, CreatedAt: clock.FromMicros(r.CreatedAt)}
}

type store struct{ groups *db.Table[row] }

func newStore() store {
	return store{db.NewTable[row]("identity_endpoint_groups", "id", "Endpoint group")}
}

func (s store) get(ctx context.Context, q db.Querier, id string) (*identity.EndpointGroup, error) {
	r, err := s.groups.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("Could not find Endpoint Group: %s.", id)
	}
	if err != nil {
		return nil, err
	}
	return r.group(), nil
}

func (s store) list(ctx context.Context, q db.Querier, query listing.Query, more ...db.Cond) ([]*identity.EndpointGroup, error) {
	rows, err := s.groups.List(ctx, q, query, more...)
	if err != nil {
		return nil, err
	}
	out := make([]*identity.EndpointGroup, len(rows))
	for i, r := range rows {
		out[i] = r.group()
	}
	return out, nil
}

// kind is what a project can be given; each has a table of its own.
type kind struct{ noun, entry, insert, remove, all string }

var (
	endpoints = kind{"Endpoint", "project_endpoint",
		`INSERT INTO identity_project_endpoints (project_id, endpoint_id) VALUES ($1, $2)`,
		`DELETE FROM identity_project_endpoints WHERE project_id = $1 AND endpoint_id = $2`,
		`SELECT project_id, endpoint_id FROM identity_project_endpoints ORDER BY project_id, endpoint_id`}
	groups = kind{"Endpoint Group", "project_endpoint_group",
		`INSERT INTO identity_project_endpoint_groups (project_id, endpoint_group_id) VALUES ($1, $2)`,
		`DELETE FROM identity_project_endpoint_groups WHERE project_id = $1 AND endpoint_group_id = $2`,
		`SELECT project_id, endpoint_group_id FROM identity_project_endpoint_groups ORDER BY project_id, endpoint_group_id`}
)

// given selects the groups that a project was given.
func given(project string) db.Cond {
	return db.Cond{SQL: "id IN (SELECT endpoint_group_id FROM identity_project_endpoint_groups WHERE project_id = ?)", Args: []any{project}}
}

// pair is a project and what it was given.
type pair struct{ project, item string }

func (k kind) add(ctx context.Context, tx *db.Tx, p pair) error {
	_, err := tx.ExecContext(ctx, k.insert, p.project, p.item)
	if err = db.Translate(err, "give project an endpoint"); fault.Is(err, fault.Conflict) {
		return fault.Conflictf("Conflict occurred attempting to store %s - Duplicate entry.", k.entry).Because(err)
	}
	return err
}

// drop tells whether the pair was there.
func (k kind) drop(ctx context.Context, tx *db.Tx, p pair) (bool, error) {
	done, err := tx.ExecContext(ctx, k.remove, p.project, p.item)
	if err != nil {
		return false, db.Translate(err, "take endpoint from project")
	}
	n, err := done.RowsAffected()
	return n > 0, db.Translate(err, "take endpoint from project")
}

func (k kind) missing(p pair) error {
	return fault.NotFoundf("%s %s not found in project %s.", k.noun, p.item, p.project)
}

func (k kind) pairs(ctx context.Context, q db.Querier) ([]pair, error) {
	rows, err := q.QueryContext(ctx, k.all)
	if err != nil {
		return nil, db.Translate(err, "read endpoints of projects")
	}
	defer rows.Close()
	var out []pair
	for rows.Next() {
		var p pair
		if err := rows.Scan(&p.project, &p.item); err != nil {
			return nil, db.Translate(err, "scan endpoint of project")
		}
		out = append(out, p)
	}
	return out, db.Translate(rows.Err(), "read endpoints of projects")
}
