package trusts

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID            string                  `db:"id"`
	TrustorID     string                  `db:"trustor_id"`
	TrusteeID     string                  `db:"trustee_id"`
	ProjectID     *string                 `db:"project_id"`
	Impersonation bool                    `db:"impersonation"`
	ExpiresAt     int64                   `db:"expires_at"`
	RemainingUses int64                   `db:"remaining_uses"`
	RedelegatedID *string                 `db:"redelegated_id"`
	Redelegations int64                   `db:"redelegation_count"`
	Allow         bool                    `db:"allow_redelegation"`
	Extra         db.JSON[map[string]any] `db:"extra"`
	CreatedAt     int64                   `db:"created_at"`
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

func (r *row) trust() *identity.Trust {
	t := &identity.Trust{ID: r.ID, TrustorID: r.TrustorID, TrusteeID: r.TrusteeID, ProjectID: deref(r.ProjectID), Impersonation: r.Impersonation,
		RemainingUses: int(r.RemainingUses), RedelegatedID: deref(r.RedelegatedID), Redelegations: int(r.Redelegations), AllowRedelegate: r.Allow,
		CreatedAt: clock.FromMicros(r.CreatedAt)}
	if r.ExpiresAt != 0 {
		t.ExpiresAt = clock.FromMicros(r.ExpiresAt)
	}
	return t
}

type store struct{ table *db.Table[row] }

func newStore() store { return store{db.NewTable[row]("identity_trusts", "id", "Trust")} }

func notFound(id string) error { return fault.NotFoundf("Could not find trust: %s.", id) }

func (s store) get(ctx context.Context, q db.Querier, id string) (*identity.Trust, error) {
	r, err := s.table.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, notFound(id)
	}
	if err != nil {
		return nil, err
	}
	t := r.trust()
	rows, err := q.QueryContext(ctx, `SELECT r.id, r.name FROM identity_trust_roles t JOIN identity_roles r ON r.id = t.role_id WHERE t.trust_id = $1 ORDER BY r.name`, id)
	if err != nil {
		return nil, db.Translate(err, "read roles of trust")
	}
	defer rows.Close()
	for rows.Next() {
		var n identity.Named
		if err := rows.Scan(&n.ID, &n.Name); err != nil {
			return nil, db.Translate(err, "scan role of trust")
		}
		t.Roles = append(t.Roles, n)
	}
	return t, db.Translate(rows.Err(), "read roles of trust")
}

func (s store) list(ctx context.Context, q db.Querier, query listing.Query) ([]*identity.Trust, error) {
	rows, err := s.table.List(ctx, q, query)
	if err != nil {
		return nil, err
	}
	out := make([]*identity.Trust, len(rows))
	for i, r := range rows {
		out[i] = r.trust()
	}
	return out, nil
}

func (s store) insert(ctx context.Context, tx *db.Tx, t *identity.Trust) error {
	r := &row{ID: t.ID, TrustorID: t.TrustorID, TrusteeID: t.TrusteeID, ProjectID: ref(t.ProjectID), Impersonation: t.Impersonation,
		RemainingUses: int64(t.RemainingUses), RedelegatedID: ref(t.RedelegatedID), Redelegations: int64(t.Redelegations), Allow: t.AllowRedelegate,
		CreatedAt: clock.Micros(t.CreatedAt)}
	if !t.ExpiresAt.IsZero() {
		r.ExpiresAt = clock.Micros(t.ExpiresAt)
	}
	if err := s.table.Insert(ctx, tx, r); err != nil {
		return err
	}
	for _, role := range t.Roles {
		if _, err := tx.ExecContext(ctx, `INSERT INTO identity_trust_roles (trust_id, role_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, t.ID, role.ID); err != nil {
			return db.Translate(err, "write role of trust")
		}
	}
	return nil
}

// consume takes one use of a limited trust; false when none is left. The
// statement is one, so that two logins cannot take the last use.
func (s store) consume(ctx context.Context, tx *db.Tx, id string) (bool, error) {
	done, err := tx.ExecContext(ctx, `UPDATE identity_trusts SET remaining_uses = remaining_uses - 1 WHERE id = $1 AND remaining_uses > 0`, id)
	if err != nil {
		return false, db.Translate(err, "use trust")
	}
	n, err := done.RowsAffected()
	return n > 0, err
}
