package groups

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct {
	*Service
	groups    *rest.Resource[network.SecurityGroup]
	rules     *rest.Resource[network.Rule]
	templates *rest.Resource[network.RuleTemplate]
}

// Routes are the operations of security groups and their rules.
func (s *Service) Routes() []rest.Route {
	a := &api{Service: s, rules: ruleResource(s.records), templates: templateResource(s.records)}
	a.groups = groupResource(s.records, a.rules)
	return append(a.templateRoutes(), []rest.Route{
		{Method: "GET", Path: "/v2.0/security-groups", Rule: "get_security_group", Handle: a.list},
		{Method: "POST", Path: "/v2.0/security-groups", Rule: "create_security_group", Audit: "create", Handle: a.create},
		{Method: "GET", Path: "/v2.0/security-groups/{id}", Rule: "get_security_group", Object: true, Handle: a.groups.Read},
		{Method: "PUT", Path: "/v2.0/security-groups/{id}", Rule: "update_security_group", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v2.0/security-groups/{id}", Rule: "delete_security_group", Object: true, Audit: "delete", Handle: a.remove},
		{Method: "GET", Path: "/v2.0/security-group-rules", Rule: "get_security_group", Handle: a.listRules},
		{Method: "POST", Path: "/v2.0/security-group-rules", Rule: "create_security_group_rule", Object: true, Audit: "create", Handle: a.createRule,
			Variants: []string{"security_group_rules"}},
		{Method: "GET", Path: "/v2.0/security-group-rules/{id}", Rule: "get_security_group_rule", Object: true, Handle: a.rules.Read},
		{Method: "DELETE", Path: "/v2.0/security-group-rules/{id}", Rule: "delete_security_group_rule", Object: true, Audit: "delete", Handle: a.removeRule},
	}...)
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	if err := a.EnsureDefault(c.Context(), c.Auth.ProjectID); err != nil {
		return rest.Reply{}, err
	}
	return a.groups.Index(c)
}

func (a *api) listRules(c *rest.Call) (rest.Reply, error) {
	if err := a.EnsureDefault(c.Context(), c.Auth.ProjectID); err != nil {
		return rest.Reply{}, err
	}
	return a.rules.Index(c)
}

type body struct {
	Name        *string    `json:"name" v:"max=255"`
	Description *string    `json:"description" v:"max=255"`
	Stateful    *rest.Bool `json:"stateful"`
}

func (b body) apply(g *network.SecurityGroup) {
	if b.Name != nil {
		g.Name = *b.Name
	}
	if b.Description != nil {
		g.Description = *b.Description
	}
	if b.Stateful != nil {
		g.Stateful = bool(*b.Stateful)
	}
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Group struct {
			body
			TenantID  *string `json:"tenant_id" v:"max=255"`
			ProjectID *string `json:"project_id" v:"max=255"`
		} `json:"security_group" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	owner, err := wire.Owner(c, in.Group.TenantID, in.Group.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	g := &network.SecurityGroup{Standard: network.Standard{ID: id.New(), ProjectID: owner}}
	in.Group.apply(g)
	if err := a.Create(c.Context(), g, (*bool)(in.Group.Stateful), c.Event("security_group", g.ID, owner)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(a.groups.Body(c, g))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	g, err := a.groups.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Group body `json:"security_group" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if g, err = a.Update(c.Context(), g.ID, in.Group.apply, c.Event("security_group", g.ID, g.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.groups.Body(c, g))
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	g, err := a.groups.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.Delete(c.Context(), g, c.Allow("admin_only", c.Caller()), c.Event("security_group", g.ID, g.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *api) createRule(c *rest.Call) (rest.Reply, error) {
	items, bulk, err := wire.Bulk[ruleBody](c, "security_group_rule", "security_group_rules")
	if err != nil {
		return rest.Reply{}, err
	}
	made := make([]*network.Rule, len(items))
	for i, in := range items {
		g, err := a.groups.Peek(c, in.GroupID)
		if err != nil {
			return rest.Reply{}, err
		}
		if err := c.Authorize(ruleTarget(g.ProjectID)); err != nil { // who shares a group does not let others change it
			return rest.Reply{}, err
		}
		if made[i], err = in.rule(); err != nil {
			return rest.Reply{}, err
		}
		made[i].ID, made[i].ProjectID = id.New(), g.ProjectID
		if err := a.remotes(c, made[i]); err != nil {
			return rest.Reply{}, err
		}
	}
	if err := a.AddRules(c.Context(), made, c.Event("security_group_rule", "", "")); err != nil {
		return rest.Reply{}, err
	}
	return wire.Made(c, a.rules, made, bulk)
}

// remotes refuses a rule about a group that the caller may not see.
func (a *api) remotes(c *rest.Call, r *network.Rule) error {
	if r.RemoteGroupID != "" {
		if _, err := a.groups.Peek(c, r.RemoteGroupID); err != nil {
			return err
		}
	}
	if r.AddressGroupID == "" {
		return nil
	}
	g, err := a.records.AddressGroups.Get(c.Context(), r.AddressGroupID)
	if fault.Is(err, fault.NotFound) || err == nil && !c.Allow("get_address_group", addressTarget(c, g)) {
		return fault.NotFoundf("Address group %s could not be found.", r.AddressGroupID).With("AddressGroupNotFound")
	}
	return err
}

// ruleTarget is what policy asks about a rule of a project's group.
func ruleTarget(project string) policy.Target {
	t := wire.Target(project)
	t["security_group:tenant_id"] = project
	return t
}

func addressTarget(c *rest.Call, g *network.AddressGroup) policy.Target {
	t := wire.Target(g.ProjectID)
	t["shared"] = g.SharedWith.Includes(c.Auth.ProjectID)
	return t
}

func (a *api) removeRule(c *rest.Call) (rest.Reply, error) {
	r, err := a.rules.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.RemoveRule(c.Context(), r, c.Event("security_group_rule", r.ID, r.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
