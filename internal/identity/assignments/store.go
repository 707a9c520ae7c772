package assignments

import (
	"context"
	"strings"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID        string  `db:"id"`
	UserID    *string `db:"user_id"`
	GroupID   *string `db:"group_id"`
	ProjectID *string `db:"project_id"`
	DomainID  *string `db:"domain_id"`
	System    bool    `db:"system"`
	RoleID    string  `db:"role_id"`
	Inherited bool    `db:"inherited"`
	CreatedAt int64   `db:"created_at"`
}

// keyOf makes the same assignment the same row.
func keyOf(a identity.Assignment) string {
	mark := "."
	if a.Inherited {
		mark = "i"
	}
	if a.System {
		mark = "s"
	}
	return strings.Join([]string{a.UserID, a.GroupID, a.ProjectID, a.DomainID, a.RoleID, mark}, "/")
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

func (r *row) assignment() identity.Assignment {
	return identity.Assignment{UserID: deref(r.UserID), GroupID: deref(r.GroupID), ProjectID: deref(r.ProjectID), DomainID: deref(r.DomainID),
		System: r.System, RoleID: r.RoleID, Inherited: r.Inherited}
}

type store struct{ table *db.Table[row] }

func newStore() store {
	return store{db.NewTable[row]("identity_assignments", "id", "Role assignment")}
}

// add writes an assignment; writing it twice is fine.
func (s store) add(ctx context.Context, tx *db.Tx, a identity.Assignment, at int64) error {
	return s.table.Upsert(ctx, tx, &row{ID: keyOf(a), UserID: ref(a.UserID), GroupID: ref(a.GroupID), ProjectID: ref(a.ProjectID),
		DomainID: ref(a.DomainID), System: a.System, RoleID: a.RoleID, Inherited: a.Inherited, CreatedAt: at})
}

func (s store) remove(ctx context.Context, tx *db.Tx, a identity.Assignment) error {
	return absent(s.table.Delete(ctx, tx, keyOf(a)), a)
}

func (s store) has(ctx context.Context, q db.Querier, a identity.Assignment) error {
	_, err := s.table.Get(ctx, q, keyOf(a))
	return absent(err, a)
}

func absent(err error, a identity.Assignment) error {
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	where := a.ProjectID + a.DomainID
	if a.System {
		where = "system"
	}
	return fault.NotFoundf("Could not find role assignment with role: %s, user or group: %s, project, domain, or system: %s.", a.RoleID, a.UserID+a.GroupID, where)
}

func (s store) find(ctx context.Context, q db.Querier, terms []listing.Term) ([]identity.Assignment, error) {
	rows, err := s.table.Find(ctx, q, terms...)
	if err != nil {
		return nil, err
	}
	out := make([]identity.Assignment, len(rows))
	for i, r := range rows {
		out[i] = r.assignment()
	}
	return out, nil
}

// world is what an effective list is computed from.
type world struct {
	members  map[string][]string // group → users
	children map[string][]string // project or domain → projects right below
	domains  map[string]string   // project → its domain
	implied  map[string][]string
	local    map[string]bool // roles that belong to a domain
}

func (s store) world(ctx context.Context, q db.Querier) (*world, error) {
	w := &world{map[string][]string{}, map[string][]string{}, map[string]string{}, map[string][]string{}, map[string]bool{}}
	for _, load := range []struct {
		query string
		into  func(a, b string)
	}{
		{`SELECT group_id, user_id FROM identity_group_users ORDER BY user_id`, func(a, b string) { w.members[a] = append(w.members[a], b) }},
		{`SELECT parent_id, id FROM identity_projects WHERE parent_id IS NOT NULL ORDER BY id`, func(a, b string) { w.children[a] = append(w.children[a], b) }},
		{`SELECT id, COALESCE(domain_id, id) FROM identity_projects`, func(a, b string) { w.domains[a] = b }},
		{`SELECT prior_id, implied_id FROM identity_implied_roles ORDER BY implied_id`, func(a, b string) { w.implied[a] = append(w.implied[a], b) }},
		{`SELECT id, domain_id FROM identity_roles WHERE domain_id IS NOT NULL`, func(a, _ string) { w.local[a] = true }},
	} {
		if err := pairs(ctx, q, load.into, load.query); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func pairs(ctx context.Context, q db.Querier, into func(a, b string), query string) error {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return db.Translate(err, "read assignments")
	}
	defer rows.Close()
	for rows.Next() {
		var a, b string
		if err := rows.Scan(&a, &b); err != nil {
			return db.Translate(err, "scan assignments")
		}
		into(a, b)
	}
	return db.Translate(rows.Err(), "read assignments")
}

// label is a name with the domain it is unique in.
type label struct{ name, domainID, domain string }

// labels loads the names of all rows of one kind, or of a few.
func (s store) labels(ctx context.Context, q db.Querier, kind string) (map[string]label, error) {
	query, ok := map[string]string{
		"user":    `SELECT t.id, t.name, d.id, d.name FROM identity_users t JOIN identity_projects d ON d.id = t.domain_id`,
		"group":   `SELECT t.id, t.name, d.id, d.name FROM identity_groups t JOIN identity_projects d ON d.id = t.domain_id`,
		"project": `SELECT t.id, t.name, d.id, d.name FROM identity_projects t JOIN identity_projects d ON d.id = COALESCE(t.domain_id, t.id)`,
		"role":    `SELECT t.id, t.name, COALESCE(d.id, ''), COALESCE(d.name, '') FROM identity_roles t LEFT JOIN identity_projects d ON d.id = t.domain_id`,
	}[kind]
	if !ok {
		return nil, fault.Internalf("no names of %s", kind)
	}
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, db.Translate(err, "read names")
	}
	defer rows.Close()
	out := map[string]label{}
	for rows.Next() {
		var id string
		var l label
		if err := rows.Scan(&id, &l.name, &l.domainID, &l.domain); err != nil {
			return nil, db.Translate(err, "scan names")
		}
		out[id] = l
	}
	return out, db.Translate(rows.Err(), "read names")
}
