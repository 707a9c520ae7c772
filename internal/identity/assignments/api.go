package assignments

import (
	"context"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// pairsOf joins a role with the four pairs of actor and target that a caller's
// own domain must hold.
func pairsOf(role string) string {
	const u, g, p, d = "domain_id:%(target.user.domain_id)s", "domain_id:%(target.group.domain_id)s",
		"domain_id:%(target.project.domain_id)s", "domain_id:%(target.domain.id)s"
	one := func(a, b string) string { return "(role:" + role + " and " + a + " and " + b + ")" }
	return one(u, p) + " or " + one(u, d) + " or " + one(g, p) + " or " + one(g, d)
}

// Rules are upstream's rules for assignments.
func Rules() []policy.Rule {
	const ownRole = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"
	change := "(rule:admin_required) or (" + pairsOf("admin") + ") and " + ownRole + " or (" + pairsOf("manager") + ") and rule:domain_managed_target_role"
	list := "(rule:admin_required) or " + wire.SystemReader + " or (role:reader and domain_id:%(target.domain_id)s)"
	rules := []policy.Rule{
		wire.Rule("check_grant", "(rule:admin_required) or ("+wire.SystemReader+" or ("+pairsOf("reader")+") and "+ownRole+")", wire.AllScopes, "Check an assignment."),
		wire.Rule("list_grants", "(rule:admin_required) or ("+wire.SystemReader+" or "+pairsOf("reader")+")", wire.AllScopes, "List the roles of an actor on a target."),
		wire.Rule("create_grant", change, wire.AllScopes, "Give a role."),
		wire.Rule("revoke_grant", change, wire.AllScopes, "Take a role away."),
		wire.Rule("list_role_assignments", list, wire.AllScopes, "List assignments."),
		wire.Rule("list_role_assignments_for_tree", list, wire.AllScopes, "List assignments on a tree of projects."),
		wire.Rule("list_user_projects", "(rule:admin_required) or "+wire.SystemReader+
			" or (role:reader and domain_id:%(target.user.domain_id)s) or user_id:%(target.user.id)s", wire.AllScopes, "List the projects of a user."),
	}
	for _, who := range []string{"user", "group"} {
		rules = append(rules, wire.Rule("list_system_grants_for_"+who, wire.AdminOrSystemReader, wire.SystemProject, "List roles on the system."),
			wire.Rule("check_system_grant_for_"+who, wire.AdminOrSystemReader, wire.SystemProject, "Check a role on the system."),
			wire.Rule("create_system_grant_for_"+who, wire.AdminRequired, wire.SystemProject, "Give a role on the system."),
			wire.Rule("revoke_system_grant_for_"+who, wire.AdminRequired, wire.SystemProject, "Take a role on the system away."))
	}
	return rules
}

// Others finds what assignments refer to, and shows it.
type Others struct {
	User        func(ctx context.Context, id string) (*identity.User, error)
	Group       func(ctx context.Context, id string) (*identity.Group, error)
	Project     func(ctx context.Context, id string) (*identity.Project, error)
	Role        func(ctx context.Context, id string) (*identity.Role, error)
	RoleView    func(*rest.Call, *identity.Role) map[string]any
	ProjectView func(*rest.Call, *identity.Project) map[string]any
	DomainView  func(*rest.Call, *identity.Project) map[string]any
	// Reach lists the projects and domains a user has roles on, as a member of
	// further groups, too.
	Reach func(ctx context.Context, user string, groups []string) (projects, domains []string, system bool, err error)
}

// API answers for assignments.
type API struct {
	s *Service
	o Others
}

// New makes the API.
func New(s *Service, o Others) *API { return &API{s, o} }

// Routes are the operations on assignments.
func (a *API) Routes() []rest.Route {
	routes := []rest.Route{
		{Method: "GET", Path: "/v3/role_assignments", Rule: "identity:list_role_assignments", Object: true, Handle: a.list},
		{Method: "GET", Path: "/v3/users/{user}/projects", Rule: "identity:list_user_projects", Object: true, Handle: a.userProjects},
	}
	for _, actor := range []string{"user", "group"} {
		for _, target := range []string{"project", "domain"} {
			tail := target + "s/{" + target + "}/" + actor + "s/{" + actor + "}/roles"
			routes = append(routes, a.grants("/v3/"+tail, "/{role}", false)...)
			routes = append(routes, a.grants("/v3/OS-INHERIT/"+tail, "/{role}/inherited_to_projects", true)...)
		}
		routes = append(routes, a.systemGrants(actor)...)
	}
	return routes
}

func (a *API) grants(many, one string, inherited bool) []rest.Route {
	list := many
	if inherited {
		list += "/inherited_to_projects"
	}
	do := func(fn func(*rest.Call, identity.Assignment) (rest.Reply, error)) rest.Handler {
		return func(c *rest.Call) (rest.Reply, error) {
			g, err := a.grant(c, inherited)
			if err != nil {
				return rest.Reply{}, err
			}
			return fn(c, g)
		}
	}
	return []rest.Route{
		{Method: "GET", Path: list, Rule: "identity:list_grants", Object: true, Handle: do(a.direct)},
		{Method: "PUT", Path: many + one, Rule: "identity:create_grant", Object: true, Audit: "create", Handle: do(a.assign)},
		{Method: "HEAD", Path: many + one, Rule: "identity:check_grant", Object: true, Handle: do(a.check)},
		{Method: "GET", Path: many + one, Rule: "identity:check_grant", Object: true, Extension: true, Handle: do(a.check)},
		{Method: "DELETE", Path: many + one, Rule: "identity:revoke_grant", Object: true, Audit: "delete", Handle: do(a.revoke)},
	}
}

func (a *API) systemGrants(actor string) []rest.Route {
	many := "/v3/system/" + actor + "s/{" + actor + "}/roles"
	do := func(fn func(*rest.Call, identity.Assignment) (rest.Reply, error)) rest.Handler {
		return func(c *rest.Call) (rest.Reply, error) {
			if err := a.exists(c); err != nil {
				return rest.Reply{}, err
			}
			return fn(c, identity.Assignment{UserID: c.Var("user"), GroupID: c.Var("group"), System: true, RoleID: c.Var("role")})
		}
	}
	return []rest.Route{
		{Method: "GET", Path: many, Rule: "identity:list_system_grants_for_" + actor, Handle: do(a.direct)},
		{Method: "PUT", Path: many + "/{role}", Rule: "identity:create_system_grant_for_" + actor, Audit: "create", Handle: do(a.assign)},
		{Method: "HEAD", Path: many + "/{role}", Rule: "identity:check_system_grant_for_" + actor, Handle: do(a.check)},
		{Method: "GET", Path: many + "/{role}", Rule: "identity:check_system_grant_for_" + actor, Handle: do(a.check)},
		{Method: "DELETE", Path: many + "/{role}", Rule: "identity:revoke_system_grant_for_" + actor, Audit: "delete", Handle: do(a.revoke)},
	}
}

// exists checks what a system grant refers to.
func (a *API) exists(c *rest.Call) error {
	if id := c.Var("user"); id != "" {
		if _, err := a.o.User(c.Context(), id); err != nil {
			return err
		}
	}
	if id := c.Var("group"); id != "" {
		if _, err := a.o.Group(c.Context(), id); err != nil {
			return err
		}
	}
	if id := c.Var("role"); id != "" {
		r, err := a.o.Role(c.Context(), id)
		if err != nil {
			return err
		}
		if r.DomainID != "" {
			return fault.Invalidf("Role %s is a domain-specific role. Unable to use a domain-specific role in a system assignment.", id)
		}
	}
	return nil
}

// grant reads the path, loads what it names and asks the rule about it.
func (a *API) grant(c *rest.Call, inherited bool) (identity.Assignment, error) {
	g := identity.Assignment{UserID: c.Var("user"), GroupID: c.Var("group"), ProjectID: c.Var("project"), DomainID: c.Var("domain"),
		RoleID: c.Var("role"), Inherited: inherited}
	target, missing := policy.Target{}, error(nil)
	note := func(err error) bool {
		if err != nil && missing == nil {
			missing = err
		}
		return err == nil
	}
	if g.UserID != "" {
		if u, err := a.o.User(c.Context(), g.UserID); note(err) {
			target["target.user.id"], target["target.user.domain_id"] = u.ID, u.DomainID
		}
	} else if gr, err := a.o.Group(c.Context(), g.GroupID); note(err) {
		target["target.group.id"], target["target.group.domain_id"] = gr.ID, gr.DomainID
	}
	if c.Method == "DELETE" { // what is left of somebody who is gone can be taken away
		missing = nil
	}
	domain := ""
	if p, err := a.o.Project(c.Context(), g.ProjectID+g.DomainID); note(err) {
		if g.DomainID != "" && !p.IsDomain {
			note(fault.NotFoundf("Could not find domain: %s.", g.DomainID))
		}
		domain = p.DomainID
		if p.IsDomain {
			domain = p.ID
			target["target.domain.id"] = p.ID
		}
		if g.ProjectID != "" {
			target["target.project.id"], target["target.project.domain_id"] = p.ID, domain
		}
	}
	if g.RoleID != "" {
		if r, err := a.o.Role(c.Context(), g.RoleID); note(err) {
			target["target.role.id"], target["target.role.name"], target["target.role.domain_id"] = r.ID, r.Name, wire.OrNull(r.DomainID)
			if c.Method == "PUT" {
				note(mismatch(r, domain))
			}
		}
	}
	if err := c.Authorize(target); err != nil {
		return g, err
	}
	return g, missing
}

func (a *API) direct(c *rest.Call, g identity.Assignment) (rest.Reply, error) {
	ids, err := a.s.Direct(c.Context(), g)
	if err != nil {
		return rest.Reply{}, err
	}
	views := []map[string]any{}
	for _, id := range ids {
		r, err := a.o.Role(c.Context(), id)
		if fault.Is(err, fault.NotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return rest.Reply{}, err
		}
		views = append(views, a.o.RoleView(c, r))
	}
	return rest.OK(wire.Collection(c, "roles", views))
}

func (a *API) assign(c *rest.Call, g identity.Assignment) (rest.Reply, error) {
	if err := a.s.Assign(c.Context(), g); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *API) check(c *rest.Call, g identity.Assignment) (rest.Reply, error) {
	if err := a.s.Has(c.Context(), g); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *API) revoke(c *rest.Call, g identity.Assignment) (rest.Reply, error) {
	if err := a.s.Revoke(c.Context(), g); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *API) list(c *rest.Call) (rest.Reply, error) {
	v := c.Values()
	f := Filter{UserID: v.Get("user.id"), GroupID: v.Get("group.id"), RoleID: v.Get("role.id"), ProjectID: v.Get("scope.project.id"),
		DomainID: v.Get("scope.domain.id"), System: v.Get("scope.system") != "", Effective: flag(c, "effective"), Subtree: flag(c, "include_subtree"),
		InDomain: c.Auth.DomainID}
	if to, ok := v["scope.OS-INHERIT:inherited_to"]; ok {
		yes := to[0] == "projects"
		f.Inherited = &yes
	}
	if err := a.mayList(c, f); err != nil {
		return rest.Reply{}, err
	}
	if err := f.sensible(); err != nil {
		return rest.Reply{}, err
	}
	list, err := a.s.List(c.Context(), f)
	if err != nil {
		return rest.Reply{}, err
	}
	var names map[string]map[string]label
	if flag(c, "include_names") {
		if names, err = a.s.names(c.Context()); err != nil {
			return rest.Reply{}, err
		}
	}
	views := make([]map[string]any, len(list))
	for i, l := range list {
		views[i] = view(c, l, names)
	}
	return rest.OK(wire.Collection(c, "role_assignments", views))
}

// mayList asks the rule of the list, or that of lists of a tree.
func (a *API) mayList(c *rest.Call, f Filter) error {
	target := policy.Target{}
	if c.Auth.DomainID != "" {
		target["target.domain_id"] = c.Auth.DomainID
	}
	if !f.Subtree {
		return c.Authorize(target)
	}
	if f.ProjectID != "" {
		p, err := a.o.Project(c.Context(), f.ProjectID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err == nil {
			target["target.domain_id"] = p.DomainID
		}
	}
	if err := c.Authorize(target); err != nil && !c.Allow("identity:list_role_assignments_for_tree", target) {
		return err
	}
	if f.ProjectID == "" {
		return fault.Invalidf("scope.project.id must be specified if include_subtree is also specified")
	}
	return nil
}

// sensible refuses filters that contradict each other.
func (f Filter) sensible() error {
	switch {
	case f.DomainID != "" && f.ProjectID != "":
		return fault.Invalidf("Specify a domain or project, not both")
	case f.DomainID != "" && f.System:
		return fault.Invalidf("Specify system or domain, not both")
	case f.ProjectID != "" && f.System:
		return fault.Invalidf("Specify system or project, not both")
	case f.UserID != "" && f.GroupID != "":
		return fault.Invalidf("Specify a user or group, not both")
	case f.Effective && f.GroupID != "":
		return fault.Invalidf("Combining effective and group filter will always result in an empty list.")
	case f.Effective && f.DomainID != "" && f.Inherited != nil && *f.Inherited:
		return fault.Invalidf("Combining effective, domain and inherited filters will always result in an empty list.")
	}
	return nil
}
