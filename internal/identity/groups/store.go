package groups

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID          string                  `db:"id"`
	Name        string                  `db:"name"`
	DomainID    string                  `db:"domain_id"`
	Description string                  `db:"description"`
	Extra       db.JSON[map[string]any] `db:"extra"`
	CreatedAt   int64                   `db:"created_at"`
}

func toRow(g *identity.Group) *row {
	return &row{g.ID, g.Name, g.DomainID, g.Description, db.J(g.Extra), clock.Micros(g.CreatedAt)}
}

func (r *row) group() *identity.Group {
	return &identity.Group{ID: r.ID, Name: r.Name, DomainID: r.DomainID, Description: r.Description, Extra: r.Extra.V, CreatedAt: clock.FromMicros(r.CreatedAt)}
}

type store struct{ table *db.Table[row] }

func newStore() store { return store{db.NewTable[row]("identity_groups", "id", "Group")} }

func notFound(id string) error { return fault.NotFoundf("Could not find group: %s.", id) }

func (s store) get(ctx context.Context, q db.Querier, id string) (*identity.Group, error) {
	r, err := s.table.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, notFound(id)
	}
	if err != nil {
		return nil, err
	}
	return r.group(), nil
}

func (s store) list(ctx context.Context, q db.Querier, query listing.Query, extra ...db.Cond) ([]*identity.Group, error) {
	rows, err := s.table.List(ctx, q, query, extra...)
	if err != nil {
		return nil, err
	}
	out := make([]*identity.Group, len(rows))
	for i, r := range rows {
		out[i] = r.group()
	}
	return out, nil
}

// ofUser finds the groups that a user is in at a moment, for good or for a time.
func ofUser(user string, now int64) db.Cond {
	return db.Cond{SQL: `(id IN (SELECT group_id FROM identity_group_users WHERE user_id = ?)
		OR id IN (SELECT group_id FROM identity_expiring_memberships WHERE user_id = ? AND expires_at > ?))`, Args: []any{user, user, now}}
}

func (store) join(ctx context.Context, tx *db.Tx, group, user string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO identity_group_users (group_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, group, user)
	return db.Translate(err, "add user to group")
}

// leave tells whether the user was in the group.
func (store) leave(ctx context.Context, tx *db.Tx, group, user string) (bool, error) {
	done, err := tx.ExecContext(ctx, `DELETE FROM identity_group_users WHERE group_id = $1 AND user_id = $2`, group, user)
	if err != nil {
		return false, db.Translate(err, "remove user from group")
	}
	n, err := done.RowsAffected()
	return n > 0, err
}

func (store) has(ctx context.Context, q db.Querier, group, user string, now int64) (bool, error) {
	var n int
	err := q.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM identity_group_users WHERE group_id = $1 AND user_id = $2)
		+ (SELECT COUNT(*) FROM identity_expiring_memberships WHERE group_id = $3 AND user_id = $4 AND expires_at > $5)`, group, user, group, user, now).Scan(&n)
	return n > 0, db.Translate(err, "look for user in group")
}
