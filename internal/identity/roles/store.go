package roles

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// Options are the resource options of a role.
type Options struct {
	Immutable *bool `json:"immutable,omitempty" v:"null"`
}

type row struct {
	ID          string                  `db:"id"`
	Name        string                  `db:"name"`
	DomainID    *string                 `db:"domain_id"`
	Description string                  `db:"description"`
	Options     db.JSON[Options]        `db:"options"`
	Extra       db.JSON[map[string]any] `db:"extra"`
	CreatedAt   int64                   `db:"created_at"`
}

func toRow(r *identity.Role) *row {
	out := &row{ID: r.ID, Name: r.Name, Description: r.Description, Options: db.J(Options{r.Immutable}), Extra: db.J(r.Extra), CreatedAt: clock.Micros(r.CreatedAt)}
	if r.DomainID != "" {
		out.DomainID = &r.DomainID
	}
	return out
}

func (r *row) role() *identity.Role {
	out := &identity.Role{ID: r.ID, Name: r.Name, Description: r.Description, Immutable: r.Options.V.Immutable, Extra: r.Extra.V, CreatedAt: clock.FromMicros(r.CreatedAt)}
	if r.DomainID != nil {
		out.DomainID = *r.DomainID
	}
	return out
}

type store struct{ table *db.Table[row] }

func newStore() store { return store{db.NewTable[row]("identity_roles", "id", "Role")} }

func notFound(id string) error { return fault.NotFoundf("Could not find role: %s.", id) }

func (s store) get(ctx context.Context, q db.Querier, id string) (*identity.Role, error) {
	r, err := s.table.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, notFound(id)
	}
	if err != nil {
		return nil, err
	}
	return r.role(), nil
}

func (s store) list(ctx context.Context, q db.Querier, query listing.Query) ([]*identity.Role, error) {
	rows, err := s.table.List(ctx, q, query)
	if err != nil {
		return nil, err
	}
	out := make([]*identity.Role, len(rows))
	for i, r := range rows {
		out[i] = r.role()
	}
	return out, nil
}

// implications lists pairs of ids; prior confines them when it is set.
func (store) implications(ctx context.Context, q db.Querier, prior string) ([][2]string, error) {
	query, args := `SELECT prior_id, implied_id FROM identity_implied_roles ORDER BY prior_id, implied_id`, []any{}
	if prior != "" {
		query, args = `SELECT prior_id, implied_id FROM identity_implied_roles WHERE prior_id = $1 ORDER BY implied_id`, []any{prior}
	}
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, db.Translate(err, "read implied roles")
	}
	defer rows.Close()
	var out [][2]string
	for rows.Next() {
		var p [2]string
		if err := rows.Scan(&p[0], &p[1]); err != nil {
			return nil, db.Translate(err, "scan implied role")
		}
		out = append(out, p)
	}
	return out, db.Translate(rows.Err(), "read implied roles")
}

func (store) imply(ctx context.Context, tx *db.Tx, prior, implied string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO identity_implied_roles (prior_id, implied_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, prior, implied)
	return db.Translate(err, "write implied role")
}

func (store) unimply(ctx context.Context, tx *db.Tx, prior, implied string) (bool, error) {
	done, err := tx.ExecContext(ctx, `DELETE FROM identity_implied_roles WHERE prior_id = $1 AND implied_id = $2`, prior, implied)
	if err != nil {
		return false, db.Translate(err, "remove implied role")
	}
	n, err := done.RowsAffected()
	return n > 0, err
}
