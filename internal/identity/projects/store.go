package projects

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// Options are the resource options of a project or domain.
type Options struct {
	Immutable *bool `json:"immutable,omitempty" v:"null"`
}

type row struct {
	ID          string                  `db:"id"`
	Name        string                  `db:"name"`
	DomainID    *string                 `db:"domain_id"`
	ParentID    *string                 `db:"parent_id"`
	Description string                  `db:"description"`
	Enabled     bool                    `db:"enabled"`
	IsDomain    bool                    `db:"is_domain"`
	Options     db.JSON[Options]        `db:"options"`
	Extra       db.JSON[map[string]any] `db:"extra"`
	CreatedAt   int64                   `db:"created_at"`
}

func toRow(p *identity.Project) *row {
	return &row{ID: p.ID, Name: p.Name, DomainID: ref(p.DomainID), ParentID: ref(p.ParentID), Description: p.Description, Enabled: p.Enabled,
		IsDomain: p.IsDomain, Options: db.J(Options{p.Immutable}), Extra: db.J(p.Extra), CreatedAt: clock.Micros(p.CreatedAt)}
}

func (r *row) project() *identity.Project {
	return &identity.Project{ID: r.ID, Name: r.Name, DomainID: deref(r.DomainID), ParentID: deref(r.ParentID), Description: r.Description,
		Enabled: r.Enabled, IsDomain: r.IsDomain, Immutable: r.Options.V.Immutable, Extra: r.Extra.V, Tags: []string{},
		CreatedAt: clock.FromMicros(r.CreatedAt)}
}

func ref(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

type store struct{ table *db.Table[row] }

func newStore() store { return store{db.NewTable[row]("identity_projects", "id", "Project")} }

func (s store) get(ctx context.Context, q db.Querier, id string) (*identity.Project, error) {
	r, err := s.table.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, notFound(id)
	}
	if err != nil {
		return nil, err
	}
	p := r.project()
	return p, s.tag(ctx, q, []*identity.Project{p})
}

func notFound(id string) error { return fault.NotFoundf("Could not find project: %s.", id) }

func (s store) list(ctx context.Context, q db.Querier, query listing.Query, extra ...db.Cond) ([]*identity.Project, error) {
	rows, err := s.table.List(ctx, q, query, extra...)
	if err != nil {
		return nil, err
	}
	out := make([]*identity.Project, len(rows))
	for i, r := range rows {
		out[i] = r.project()
	}
	return out, s.tag(ctx, q, out)
}

// tag fills in tags with one query for all.
func (s store) tag(ctx context.Context, q db.Querier, list []*identity.Project) error {
	if len(list) == 0 {
		return nil
	}
	byID := make(map[string]*identity.Project, len(list))
	for _, p := range list {
		byID[p.ID] = p
	}
	query, args := `SELECT project_id, name FROM identity_project_tags ORDER BY name`, []any{}
	if len(list) == 1 {
		query, args = `SELECT project_id, name FROM identity_project_tags WHERE project_id = $1 ORDER BY name`, []any{list[0].ID}
	}
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return db.Translate(err, "read project tags")
	}
	defer rows.Close()
	for rows.Next() {
		var id, name string
		if err := rows.Scan(&id, &name); err != nil {
			return db.Translate(err, "scan project tag")
		}
		if p := byID[id]; p != nil {
			p.Tags = append(p.Tags, name)
		}
	}
	return db.Translate(rows.Err(), "read project tags")
}

func (s store) setTags(ctx context.Context, tx *db.Tx, id string, tags []string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM identity_project_tags WHERE project_id = $1`, id); err != nil {
		return db.Translate(err, "remove project tags")
	}
	for _, t := range slices.Compact(slices.Sorted(slices.Values(tags))) {
		if _, err := tx.ExecContext(ctx, `INSERT INTO identity_project_tags (project_id, name) VALUES ($1, $2)`, id, t); err != nil {
			return db.Translate(err, "write project tag")
		}
	}
	return nil
}

// tagged gives the ids of projects that have all, or any, of some tags.
func (s store) tagged(ctx context.Context, q db.Querier, tags []string, all bool) ([]any, error) {
	count := map[string]int{}
	for _, t := range tags {
		rows, err := q.QueryContext(ctx, `SELECT project_id FROM identity_project_tags WHERE name = $1`, t)
		if err != nil {
			return nil, db.Translate(err, "find tagged projects")
		}
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				rows.Close()
				return nil, db.Translate(err, "scan tagged project")
			}
			count[id]++
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return nil, db.Translate(err, "find tagged projects")
		}
	}
	out := []any{}
	for id, n := range count {
		if !all || n == len(tags) {
			out = append(out, id)
		}
	}
	return out, nil
}

const treeDepth = 64 // more than any accepted tree is deep: a bound for the recursion

// above lists the projects over one, nearest first, without domains.
func (s store) above(ctx context.Context, q db.Querier, id string) ([]string, error) {
	return s.walk(ctx, q, `WITH RECURSIVE up (id, parent_id, is_domain, depth) AS (
			SELECT id, parent_id, is_domain, 0 FROM identity_projects WHERE id = $1
			UNION ALL
			SELECT p.id, p.parent_id, p.is_domain, up.depth + 1 FROM identity_projects p JOIN up ON p.id = up.parent_id WHERE up.depth < $2)
		SELECT id FROM up WHERE depth > 0 AND NOT is_domain ORDER BY depth`, id, treeDepth)
}

// below lists all projects under one, upper levels first.
func (s store) below(ctx context.Context, q db.Querier, id string) ([]string, error) {
	return s.walk(ctx, q, `WITH RECURSIVE down (id, depth) AS (
			SELECT id, 0 FROM identity_projects WHERE id = $1
			UNION ALL
			SELECT p.id, down.depth + 1 FROM identity_projects p JOIN down ON p.parent_id = down.id WHERE down.depth < $2)
		SELECT id FROM down WHERE depth > 0 ORDER BY depth, id`, id, treeDepth)
}

// providers lists the identity providers that go with a domain.
func (s store) providers(ctx context.Context, q db.Querier, domain string) ([]string, error) {
	return s.walk(ctx, q, `SELECT id FROM identity_providers WHERE domain_id = $1`, domain)
}

// walk gives the ids that a query finds.
func (s store) walk(ctx context.Context, q db.Querier, query string, args ...any) ([]string, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, db.Translate(err, "walk projects")
	}
	defer rows.Close()
	out := []string{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, db.Translate(err, "scan project")
		}
		out = append(out, id)
	}
	return out, db.Translate(rows.Err(), "walk projects")
}

func (s store) byIDs(ctx context.Context, q db.Querier, ids []string) ([]*identity.Project, error) {
	values := make([]any, len(ids))
	for i, id := range ids {
		values[i] = id
	}
	list, err := s.list(ctx, q, listing.Query{}.And("id", listing.In, values...))
	slices.SortStableFunc(list, func(a, b *identity.Project) int { return slices.Index(ids, a.ID) - slices.Index(ids, b.ID) })
	return list, err
}
