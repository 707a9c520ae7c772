package appcreds

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID           string `db:"id"`
	Name         string `db:"name"`
	Description  string `db:"description"`
	UserID       string `db:"user_id"`
	ProjectID    string `db:"project_id"`
	SecretHash   string `db:"secret_hash"`
	Unrestricted bool   `db:"unrestricted"`
	ExpiresAt    int64  `db:"expires_at"`
	CreatedAt    int64  `db:"created_at"`
}

type ruleRow struct {
	ID        string `db:"id"`
	UserID    string `db:"user_id"`
	Service   string `db:"service"`
	Path      string `db:"path"`
	Method    string `db:"method"`
	CreatedAt int64  `db:"created_at"`
}

func (r *ruleRow) rule() *identity.AccessRule {
	return &identity.AccessRule{ID: r.ID, UserID: r.UserID, Service: r.Service, Path: r.Path, Method: r.Method}
}

type store struct {
	table *db.Table[row]
	rules *db.Table[ruleRow]
}

func newStore() store {
	return store{db.NewTable[row]("identity_app_credentials", "id", "Application credential"),
		db.NewTable[ruleRow]("identity_access_rules", "id", "Access rule")}
}

func notFound(id string) error {
	return fault.NotFoundf("Could not find Application Credential: %s.", id)
}

func (s store) get(ctx context.Context, q db.Querier, id string) (*identity.AppCredential, error) {
	list, err := s.list(ctx, q, listing.Query{}.And("id", listing.Eq, id))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, notFound(id)
	}
	return list[0], nil
}

// list loads credentials with their roles and rules; a user has few.
func (s store) list(ctx context.Context, q db.Querier, query listing.Query) ([]*identity.AppCredential, error) {
	rows, err := s.table.List(ctx, q, query)
	if err != nil {
		return nil, err
	}
	out := make([]*identity.AppCredential, len(rows))
	for i, r := range rows {
		c := &identity.AppCredential{ID: r.ID, Name: r.Name, Description: r.Description, UserID: r.UserID, ProjectID: r.ProjectID,
			SecretHash: r.SecretHash, Unrestricted: r.Unrestricted, CreatedAt: clock.FromMicros(r.CreatedAt)}
		if r.ExpiresAt != 0 {
			c.ExpiresAt = clock.FromMicros(r.ExpiresAt)
		}
		if c.Roles, err = s.rolesOf(ctx, q, r.ID); err != nil {
			return nil, err
		}
		if c.Rules, err = s.rulesOf(ctx, q, r.ID); err != nil {
			return nil, err
		}
		out[i] = c
	}
	return out, nil
}

func (s store) rolesOf(ctx context.Context, q db.Querier, id string) ([]identity.Named, error) {
	rows, err := q.QueryContext(ctx, `SELECT r.id, r.name FROM identity_app_credential_roles a JOIN identity_roles r ON r.id = a.role_id
		WHERE a.app_credential_id = $1 ORDER BY r.name`, id)
	if err != nil {
		return nil, db.Translate(err, "read roles of application credential")
	}
	defer rows.Close()
	out := []identity.Named{}
	for rows.Next() {
		var n identity.Named
		if err := rows.Scan(&n.ID, &n.Name); err != nil {
			return nil, db.Translate(err, "scan role of application credential")
		}
		out = append(out, n)
	}
	return out, db.Translate(rows.Err(), "read roles of application credential")
}

func (s store) rulesOf(ctx context.Context, q db.Querier, id string) ([]identity.AccessRule, error) {
	list, err := s.rules.List(ctx, q, listing.Query{}, db.Cond{SQL: "id IN (SELECT rule_id FROM identity_app_credential_rules WHERE app_credential_id = ?)", Args: []any{id}})
	if err != nil {
		return nil, err
	}
	var out []identity.AccessRule
	for _, r := range list {
		out = append(out, *r.rule())
	}
	return out, nil
}

func (s store) insert(ctx context.Context, tx *db.Tx, c *identity.AppCredential) error {
	r := &row{ID: c.ID, Name: c.Name, Description: c.Description, UserID: c.UserID, ProjectID: c.ProjectID, SecretHash: c.SecretHash,
		Unrestricted: c.Unrestricted, CreatedAt: clock.Micros(c.CreatedAt)}
	if !c.ExpiresAt.IsZero() {
		r.ExpiresAt = clock.Micros(c.ExpiresAt)
	}
	if err := s.table.Insert(ctx, tx, r); err != nil {
		return err
	}
	for _, role := range c.Roles {
		if _, err := tx.ExecContext(ctx, `INSERT INTO identity_app_credential_roles (app_credential_id, role_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, c.ID, role.ID); err != nil {
			return db.Translate(err, "write role of application credential")
		}
	}
	for i := range c.Rules {
		if err := s.rule(ctx, tx, c, &c.Rules[i]); err != nil {
			return err
		}
	}
	return nil
}

// rule joins a credential with an access rule, which is made unless the user
// has the same one.
func (s store) rule(ctx context.Context, tx *db.Tx, c *identity.AppCredential, r *identity.AccessRule) error {
	have, err := s.same(ctx, tx, c.UserID, *r)
	switch {
	case err == nil:
		*r = *have.rule()
	case !fault.Is(err, fault.NotFound):
		return err
	case r.ID != "":
		return fault.NotFoundf("Could not find Access Rule: %s.", r.ID)
	default:
		r.ID, r.UserID = id.Hex(), c.UserID
		if err := s.rules.Insert(ctx, tx, &ruleRow{r.ID, r.UserID, r.Service, r.Path, r.Method, clock.Micros(c.CreatedAt)}); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO identity_app_credential_rules (app_credential_id, rule_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, c.ID, r.ID)
	return db.Translate(err, "write rule of application credential")
}

func (s store) same(ctx context.Context, tx *db.Tx, user string, r identity.AccessRule) (*ruleRow, error) {
	eq := func(column, value string) listing.Term {
		return listing.Term{Column: column, Op: listing.Eq, Values: []any{value}}
	}
	if r.ID != "" {
		return s.rules.One(ctx, tx, eq("user_id", user), eq("id", r.ID))
	}
	return s.rules.One(ctx, tx, eq("user_id", user), eq("service", r.Service), eq("path", r.Path), eq("method", r.Method))
}

func (s store) listRules(ctx context.Context, q db.Querier, query listing.Query) ([]*identity.AccessRule, error) {
	rows, err := s.rules.List(ctx, q, query)
	if err != nil {
		return nil, err
	}
	out := make([]*identity.AccessRule, len(rows))
	for i, r := range rows {
		out[i] = r.rule()
	}
	return out, nil
}
