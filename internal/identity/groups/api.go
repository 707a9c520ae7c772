package groups

import (
	"context"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	readCheck    = "(rule:admin_required) or " + wire.SystemReader + " or (role:reader and domain_id:%(target.group.domain_id)s)"
	writeCheck   = "(rule:admin_required) or (role:manager and domain_id:%(target.group.domain_id)s)"
	sameDomain   = "domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s"
	checkMember  = "(rule:admin_required) or " + wire.SystemReader + " or (role:reader and " + sameDomain + ")"
	changeMember = "(rule:admin_required) or (role:manager and " + sameDomain + ")"
)

// Users finds and shows users.
type Users interface {
	Get(ctx context.Context, id string) (*identity.User, error)
	ListInGroup(c *rest.Call, group string) (rest.Reply, error)
}

// Rules are upstream's rules for groups.
func Rules() []policy.Rule {
	return []policy.Rule{
		wire.Rule("get_group", readCheck, wire.AllScopes, "Show a group."),
		wire.Rule("list_groups", readCheck, wire.AllScopes, "List groups."),
		wire.Rule("list_groups_for_user", "(rule:admin_required) or "+wire.SystemReader+
			" or (role:reader and domain_id:%(target.user.domain_id)s) or user_id:%(user_id)s", wire.AllScopes, "List the groups of a user."),
		wire.Rule("create_group", writeCheck, wire.AllScopes, "Create a group."),
		wire.Rule("update_group", writeCheck, wire.AllScopes, "Update a group."),
		wire.Rule("delete_group", writeCheck, wire.AllScopes, "Delete a group."),
		wire.Rule("list_users_in_group", readCheck, wire.AllScopes, "List the users of a group."),
		wire.Rule("remove_user_from_group", changeMember, wire.AllScopes, "Remove a user from a group."),
		wire.Rule("check_user_in_group", checkMember, wire.AllScopes, "Check whether a user is in a group."),
		wire.Rule("add_user_to_group", changeMember, wire.AllScopes, "Add a user to a group."),
	}
}

type api struct{ s *Service }

// Routes are the operations on groups.
func (s *Service) Routes() []rest.Route {
	a := &api{s}
	const one, member = "/v3/groups/{id}", "/v3/groups/{id}/users/{user}"
	return []rest.Route{
		{Method: "GET", Path: "/v3/groups", Rule: "identity:list_groups", Object: true, Handle: a.list},
		{Method: "POST", Path: "/v3/groups", Rule: "identity:create_group", Object: true, Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "identity:get_group", Object: true, Handle: a.show},
		{Method: "PATCH", Path: one, Rule: "identity:update_group", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "identity:delete_group", Object: true, Audit: "delete", Handle: a.delete},
		{Method: "GET", Path: one + "/users", Rule: "identity:list_users_in_group", Object: true, Handle: a.members},
		{Method: "PUT", Path: member, Rule: "identity:add_user_to_group", Object: true, Audit: "update", Handle: a.join},
		{Method: "GET", Path: member, Rule: "identity:check_user_in_group", Object: true, Handle: a.check},
		{Method: "DELETE", Path: member, Rule: "identity:remove_user_from_group", Object: true, Audit: "update", Handle: a.leave},
		{Method: "GET", Path: "/v3/users/{user}/groups", Rule: "identity:list_groups_for_user", Object: true, Handle: a.ofUser},
	}
}

// View is a group as the API shows it.
func View(c *rest.Call, g *identity.Group) map[string]any {
	return wire.With(map[string]any{"id": g.ID, "name": g.Name, "domain_id": g.DomainID, "description": g.Description,
		"links": wire.Self(c, "/groups/"+g.ID)}, g.Extra)
}

func target(g *identity.Group) policy.Target {
	return policy.Target{"target.group.id": g.ID, "target.group.domain_id": g.DomainID}
}

func (a *api) find(c *rest.Call) (*identity.Group, error) {
	return wire.Find(c, func() (*identity.Group, error) { return a.s.Get(c.Context(), c.Var("id")) }, target)
}

func (a *api) index() wire.List[identity.Group] {
	return wire.List[identity.Group]{Many: "groups", Filters: append(wire.Text("name", "name"), wire.Text("domain_id", "domain_id")[0]),
		Load: a.s.List, View: View, ID: func(g *identity.Group) string { return g.ID }}
}

func inDomain(c *rest.Call) []listing.Term {
	if c.Auth.DomainID == "" {
		return nil
	}
	return []listing.Term{{Column: "domain_id", Op: listing.Eq, Values: []any{c.Auth.DomainID}}}
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	tgt := policy.Target{}
	if c.Auth.DomainID != "" {
		tgt["target.group.domain_id"] = c.Auth.DomainID
	}
	if err := c.Authorize(tgt); err != nil {
		return rest.Reply{}, err
	}
	return a.index().Reply(c, inDomain(c)...)
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	g, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"group": View(c, g)})
}

type input struct {
	Name        string           `json:"name" v:"min=1,max=64,match=\\S"`
	DomainID    rest.Opt[string] `json:"domain_id" v:"max=64"`
	Description rest.Opt[string] `json:"description"`
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in input
	extra, err := wire.Body(c, "group", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	domain := in.DomainID.V
	if domain == "" {
		domain = c.Auth.DomainID
	}
	if err := c.Authorize(policy.Target{"target.group.domain_id": domain}); err != nil {
		return rest.Reply{}, err
	}
	if in.Name == "" {
		return rest.Reply{}, fault.Invalidf("'name' is a required property")
	}
	domain = wire.DomainOf(c, domain)
	g, err := a.s.Create(c.Context(), identity.Group{Name: in.Name, DomainID: domain, Description: in.Description.V, Extra: extra})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(map[string]any{"group": View(c, g)})
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	g, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in input
	extra, err := wire.Body(c, "group", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	if in.DomainID.Set && in.DomainID.V != g.DomainID {
		return rest.Reply{}, fault.Invalidf("Update of `domain_id` is not allowed.")
	}
	g, err = a.s.Update(c.Context(), g.ID, func(g *identity.Group) {
		if in.Name != "" {
			g.Name = in.Name
		}
		if in.Description.Set {
			g.Description = in.Description.V
		}
		g.Extra = wire.Merge(g.Extra, extra)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"group": View(c, g)})
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	g, err := wire.Find(c, func() (*identity.Group, error) { return a.s.Get(c.Context(), c.Var("id")) }, target)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Delete(c.Context(), g.ID); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *api) members(c *rest.Call) (rest.Reply, error) {
	g, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return a.s.users.ListInGroup(c, g.ID)
}

// pair authorises a group and a user together.
func (a *api) pair(c *rest.Call) error {
	tgt := policy.Target{}
	g, missing := a.s.Get(c.Context(), c.Var("id"))
	if missing == nil {
		tgt["target.group.domain_id"] = g.DomainID
	}
	u, noUser := a.s.users.Get(c.Context(), c.Var("user"))
	if noUser == nil {
		tgt["target.user.domain_id"] = u.DomainID
	}
	if err := c.Authorize(tgt); err != nil {
		return err
	}
	if missing != nil {
		return missing
	}
	return noUser
}

func (a *api) join(c *rest.Call) (rest.Reply, error) {
	if err := a.pair(c); err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Join(c.Context(), c.Var("id"), c.Var("user")); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *api) check(c *rest.Call) (rest.Reply, error) {
	if err := a.pair(c); err != nil {
		return rest.Reply{}, err
	}
	in, err := a.s.Has(c.Context(), c.Var("id"), c.Var("user"))
	if err != nil {
		return rest.Reply{}, err
	}
	if !in {
		return rest.Reply{}, fault.NotFoundf("User '%s' not found in group '%s'.", c.Var("user"), c.Var("id"))
	}
	return rest.NoContent()
}

func (a *api) leave(c *rest.Call) (rest.Reply, error) {
	if err := a.pair(c); err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Leave(c.Context(), c.Var("id"), c.Var("user")); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *api) ofUser(c *rest.Call) (rest.Reply, error) {
	u, err := wire.Find(c, func() (*identity.User, error) { return a.s.users.Get(c.Context(), c.Var("user")) }, func(u *identity.User) policy.Target {
		return policy.Target{"target.user.domain_id": u.DomainID, "user_id": u.ID}
	})
	if err != nil {
		return rest.Reply{}, err
	}
	l := a.index()
	l.Load = func(ctx context.Context, q listing.Query) ([]*identity.Group, error) { return a.s.OfUser(ctx, u.ID, q) }
	ends, err := a.s.ends(c.Context(), u.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	l.View = func(c *rest.Call, g *identity.Group) map[string]any {
		view := View(c, g)
		view["membership_expires_at"] = nil
		if at, ok := ends[g.ID]; ok {
			view["membership_expires_at"] = at.Format("2006-01-02T15:04:05.000000")
		}
		return view
	}
	return l.Reply(c, inDomain(c)...)
}
