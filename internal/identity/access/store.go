package access

import (
	"context"
	"database/sql"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/identity"
)

// store reads rows of all features of identity, for one computation.
type store struct {
	q     db.Querier
	now   int64 // µs
	until int64 // µs, when what was read first changes by itself; 0: never
}

type userRow struct {
	identity.Named
	domain            identity.Named
	enabled           bool
	shadow            bool
	passwordExpiresAt int64
}

func (s *store) user(ctx context.Context, id string) (userRow, error) {
	var u userRow
	var enabled, domainEnabled bool
	err := s.q.QueryRowContext(ctx, `SELECT u.id, u.name, u.enabled, u.shadow, u.password_expires_at, d.id, d.name, d.enabled
		FROM identity_users u JOIN identity_projects d ON d.id = u.domain_id WHERE u.id = $1`, id).
		Scan(&u.ID, &u.Name, &enabled, &u.shadow, &u.passwordExpiresAt, &u.domain.ID, &u.domain.Name, &domainEnabled)
	u.enabled = enabled && domainEnabled
	return u, db.Translate(err, "read user")
}

type projectRow struct {
	identity.Named
	domain   identity.Named
	isDomain bool
	enabled  bool
}

// project reads a project with its domain; a domain's own domain is itself.
func (s *store) project(ctx context.Context, id string) (projectRow, error) {
	var p projectRow
	var enabled, domainEnabled bool
	err := s.q.QueryRowContext(ctx, `SELECT p.id, p.name, p.is_domain, p.enabled, d.id, d.name, d.enabled
		FROM identity_projects p JOIN identity_projects d ON d.id = COALESCE(p.domain_id, p.id) WHERE p.id = $1`, id).
		Scan(&p.ID, &p.Name, &p.isDomain, &enabled, &p.domain.ID, &p.domain.Name, &domainEnabled)
	p.enabled = enabled && domainEnabled
	return p, db.Translate(err, "read project")
}

// ancestors lists the projects above one, its domain among them.
func (s *store) ancestors(ctx context.Context, id string) ([]string, error) {
	rows, err := s.q.QueryContext(ctx, `WITH RECURSIVE up (id, parent_id, domain_id, depth) AS (
			SELECT id, parent_id, domain_id, 0 FROM identity_projects WHERE id = $1
			UNION ALL
			SELECT p.id, p.parent_id, p.domain_id, up.depth + 1 FROM identity_projects p JOIN up ON p.id = up.parent_id WHERE up.depth < 64)
		SELECT COALESCE(parent_id, ''), COALESCE(domain_id, '') FROM up`, id)
	if err != nil {
		return nil, db.Translate(err, "read parents of project")
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var parent, domain string
		if err := rows.Scan(&parent, &domain); err != nil {
			return nil, db.Translate(err, "scan parents of project")
		}
		for _, id := range []string{parent, domain} {
			if id != "" {
				out = append(out, id)
			}
		}
	}
	return out, db.Translate(rows.Err(), "read parents of project")
}

// given is an assignment as queries here select it; what must be added is when a
// membership of the user ends.
const given = `SELECT COALESCE(user_id, ''), COALESCE(group_id, ''), COALESCE(project_id, ''), COALESCE(domain_id, ''), system, role_id, inherited, `

// assignments lists what is assigned to a user, to the user's groups and to others
// that an identity provider said the user is in. Of memberships that end it notes
// when the first one does.
func (s *store) assignments(ctx context.Context, user string, groups []string) ([]identity.Assignment, error) {
	out, err := s.read(ctx, given+`(SELECT COALESCE(MIN(expires_at), 0) FROM identity_expiring_memberships WHERE user_id = $1 AND expires_at > $2)
		FROM identity_assignments
		WHERE user_id = $3 OR group_id IN (SELECT group_id FROM identity_group_users WHERE user_id = $4)
			OR group_id IN (SELECT group_id FROM identity_expiring_memberships WHERE user_id = $5 AND expires_at > $6)`,
		user, s.now, user, user, user, s.now)
	if err != nil || len(groups) == 0 {
		return out, err
	}
	query, args := db.OneOf(s.q, given+`0 FROM identity_assignments WHERE group_id IN (?)`, groups)
	more, err := s.read(ctx, query, args...)
	return append(out, more...), err
}

// read reads assignments.
func (s *store) read(ctx context.Context, query string, args ...any) ([]identity.Assignment, error) {
	rows, err := s.q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, db.Translate(err, "read assignments of user")
	}
	defer rows.Close()
	var out []identity.Assignment
	for rows.Next() {
		var a identity.Assignment
		var until int64
		if err := rows.Scan(&a.UserID, &a.GroupID, &a.ProjectID, &a.DomainID, &a.System, &a.RoleID, &a.Inherited, &until); err != nil {
			return nil, db.Translate(err, "scan assignment")
		}
		if until != 0 && (s.until == 0 || until < s.until) {
			s.until = until
		}
		out = append(out, a)
	}
	return out, db.Translate(rows.Err(), "read assignments of user")
}

func (s *store) graph(ctx context.Context) (Graph, error) {
	g := Graph{Roles: map[string]identity.Role{}, Implied: map[string][]string{}}
	rows, err := s.q.QueryContext(ctx, `SELECT id, name, COALESCE(domain_id, '') FROM identity_roles`)
	if err != nil {
		return g, db.Translate(err, "read roles")
	}
	defer rows.Close()
	for rows.Next() {
		var r identity.Role
		if err := rows.Scan(&r.ID, &r.Name, &r.DomainID); err != nil {
			return g, db.Translate(err, "scan role")
		}
		g.Roles[r.ID] = r
	}
	if err := rows.Err(); err != nil {
		return g, db.Translate(err, "read roles")
	}
	pairs, err := s.pairs(ctx, `SELECT prior_id, implied_id FROM identity_implied_roles`)
	for _, p := range pairs {
		g.Implied[p.ID] = append(g.Implied[p.ID], p.Name)
	}
	return g, err
}

// pairs reads two text columns.
func (s *store) pairs(ctx context.Context, query string, args ...any) ([]identity.Named, error) {
	rows, err := s.q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, db.Translate(err, "read identity rows")
	}
	defer rows.Close()
	out := []identity.Named{}
	for rows.Next() {
		var n identity.Named
		if err := rows.Scan(&n.ID, &n.Name); err != nil {
			return nil, db.Translate(err, "scan identity row")
		}
		out = append(out, n)
	}
	return out, db.Translate(rows.Err(), "read identity rows")
}

func (s *store) appCredential(ctx context.Context, id string) (*identity.AppCredential, error) {
	c := &identity.AppCredential{ID: id}
	var expires int64
	err := s.q.QueryRowContext(ctx, `SELECT name, user_id, project_id, unrestricted, expires_at FROM identity_app_credentials WHERE id = $1`, id).
		Scan(&c.Name, &c.UserID, &c.ProjectID, &c.Unrestricted, &expires)
	if err != nil {
		return nil, db.Translate(err, "read application credential")
	}
	if expires != 0 {
		c.ExpiresAt = clock.FromMicros(expires)
	}
	c.Roles, err = s.pairs(ctx, `SELECT r.id, r.name FROM identity_app_credential_roles a JOIN identity_roles r ON r.id = a.role_id
		WHERE a.app_credential_id = $1 ORDER BY r.name`, id)
	if err != nil {
		return nil, err
	}
	c.Rules, err = s.rules(ctx, id)
	return c, err
}

func (s *store) rules(ctx context.Context, appCredential string) ([]identity.AccessRule, error) {
	rows, err := s.q.QueryContext(ctx, `SELECT r.id, r.user_id, r.service, r.path, r.method FROM identity_app_credential_rules a
		JOIN identity_access_rules r ON r.id = a.rule_id WHERE a.app_credential_id = $1 ORDER BY r.created_at, r.id`, appCredential)
	if err != nil {
		return nil, db.Translate(err, "read access rules")
	}
	defer rows.Close()
	var out []identity.AccessRule
	for rows.Next() {
		var r identity.AccessRule
		if err := rows.Scan(&r.ID, &r.UserID, &r.Service, &r.Path, &r.Method); err != nil {
			return nil, db.Translate(err, "scan access rule")
		}
		out = append(out, r)
	}
	return out, db.Translate(rows.Err(), "read access rules")
}

func (s *store) trust(ctx context.Context, id string) (*identity.Trust, error) {
	t := &identity.Trust{ID: id}
	var project sql.NullString
	var expires int64
	err := s.q.QueryRowContext(ctx, `SELECT trustor_id, trustee_id, project_id, impersonation, expires_at, remaining_uses, redelegation_count,
			COALESCE(redelegated_id, '') FROM identity_trusts WHERE id = $1`, id).
		Scan(&t.TrustorID, &t.TrusteeID, &project, &t.Impersonation, &expires, &t.RemainingUses, &t.Redelegations, &t.RedelegatedID)
	if err != nil {
		return nil, db.Translate(err, "read trust")
	}
	t.ProjectID = project.String
	if expires != 0 {
		t.ExpiresAt = clock.FromMicros(expires)
	}
	t.Roles, err = s.pairs(ctx, `SELECT r.id, r.name FROM identity_trust_roles t JOIN identity_roles r ON r.id = t.role_id
		WHERE t.trust_id = $1 ORDER BY r.name`, id)
	return t, err
}

// oauth reads an OAuth access token without its secret.
func (s *store) oauth(ctx context.Context, id string) (*identity.OAuthAccess, error) {
	o := &identity.OAuthAccess{ID: id}
	var roles db.JSON[[]string]
	var expires int64
	err := s.q.QueryRowContext(ctx, `SELECT consumer_id, user_id, project_id, roles, expires_at FROM identity_oauth_accesses WHERE id = $1`, id).
		Scan(&o.ConsumerID, &o.UserID, &o.ProjectID, &roles, &expires)
	o.RoleIDs, o.ExpiresAt = roles.V, clock.FromMicros(expires)
	return o, db.Translate(err, "read access token")
}

// projectsBelow lists the projects in a domain, or under a project, without itself.
func (s *store) projectsBelow(ctx context.Context, id string) ([]string, error) {
	rows, err := s.q.QueryContext(ctx, `WITH RECURSIVE down (id, depth) AS (
			SELECT id, 0 FROM identity_projects WHERE id = $1
			UNION ALL
			SELECT p.id, down.depth + 1 FROM identity_projects p JOIN down ON p.parent_id = down.id WHERE down.depth < 64)
		SELECT id FROM down WHERE depth > 0`, id)
	if err != nil {
		return nil, db.Translate(err, "read projects below")
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, db.Translate(err, "scan project below")
		}
		out = append(out, id)
	}
	return out, db.Translate(rows.Err(), "read projects below")
}
