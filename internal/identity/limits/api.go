package limits

import (
	"context"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are upstream's rules for limits.
func Rules() []policy.Rule {
	rules := []policy.Rule{
		wire.Rule("get_limit_model", "", wire.AllScopes, "Show how limits are enforced."),
		wire.Rule("get_limit", wire.AdminOrSystemReader+" or (domain_id:%(target.limit.domain.id)s or domain_id:%(target.limit.project.domain_id)s)"+
			" or (project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s)", wire.AllScopes, "Show a limit."),
		wire.Rule("list_limits", "", wire.AllScopes, "List limits."),
		wire.Rule("get_registered_limit", "", wire.AllScopes, "Show a registered limit."),
		wire.Rule("list_registered_limits", "", wire.AllScopes, "List registered limits."),
	}
	for _, name := range []string{"create_limits", "update_limit", "delete_limit", "create_registered_limits", "update_registered_limit", "delete_registered_limit"} {
		rules = append(rules, wire.Rule(name, wire.AdminRequired, wire.SystemProject, "Change limits."))
	}
	return rules
}

type api struct{ s *Service }

// Routes are the operations on limits.
func (s *Service) Routes() []rest.Route {
	a := &api{s}
	const limits, one, registered, oneRegistered = "/v3/limits", "/v3/limits/{id}", "/v3/registered_limits", "/v3/registered_limits/{id}"
	return []rest.Route{
		{Method: "GET", Path: registered, Rule: "identity:list_registered_limits", Handle: a.listRegistered},
		{Method: "POST", Path: registered, Rule: "identity:create_registered_limits", Audit: "create", Handle: a.register},
		{Method: "GET", Path: oneRegistered, Rule: "identity:get_registered_limit", Handle: a.registered},
		{Method: "PATCH", Path: oneRegistered, Rule: "identity:update_registered_limit", Audit: "update", Handle: a.updateRegistered},
		{Method: "DELETE", Path: oneRegistered, Rule: "identity:delete_registered_limit", Audit: "delete", Handle: a.deleteRegistered},
		{Method: "GET", Path: limits + "/model", Rule: "identity:get_limit_model", Handle: a.model},
		{Method: "GET", Path: limits, Rule: "identity:list_limits", Handle: a.list},
		{Method: "POST", Path: limits, Rule: "identity:create_limits", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "identity:get_limit", Object: true, Handle: a.show},
		{Method: "PATCH", Path: one, Rule: "identity:update_limit", Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "identity:delete_limit", Audit: "delete", Handle: a.delete},
	}
}

func registeredView(c *rest.Call, l *identity.RegisteredLimit) map[string]any {
	return map[string]any{"id": l.ID, "service_id": l.ServiceID, "region_id": wire.OrNull(l.RegionID), "resource_name": l.ResourceName,
		"default_limit": l.DefaultLimit, "description": l.Description, "links": wire.Self(c, "/registered_limits/"+l.ID)}
}

func view(c *rest.Call, l *identity.Limit) map[string]any {
	return map[string]any{"id": l.ID, "project_id": wire.OrNull(l.ProjectID), "domain_id": wire.OrNull(l.DomainID), "service_id": l.ServiceID,
		"region_id": wire.OrNull(l.RegionID), "resource_name": l.ResourceName, "resource_limit": l.ResourceLimit, "description": l.Description,
		"links": wire.Self(c, "/limits/"+l.ID)}
}

func (a *api) model(c *rest.Call) (rest.Reply, error) {
	return rest.OK(map[string]any{"model": map[string]any{"name": "flat",
		"description": "Limit enforcement and validation does not take project hierarchy into consideration."}, "links": wire.Self(c, "/limits/model")})
}

func (a *api) listRegistered(c *rest.Call) (rest.Reply, error) {
	return wire.List[identity.RegisteredLimit]{Many: "registered_limits", Load: a.s.ListRegistered, View: registeredView,
		ID: func(l *identity.RegisteredLimit) string { return l.ID },
		Filters: append(wire.Text("resource_name", "resource_name"), wire.Text("service_id", "service_id")[0],
			wire.Text("region_id", "region_id")[0])}.Reply(c)
}

type registeredInput struct {
	ServiceID    string           `json:"service_id" v:"max=64"`
	RegionID     rest.Opt[string] `json:"region_id" v:"max=255"`
	ResourceName string           `json:"resource_name" v:"min=1,max=255"`
	DefaultLimit *int64           `json:"default_limit" v:"min=-1,max=2147483647"`
	Description  rest.Opt[string] `json:"description"`
}

func (in registeredInput) over(l *identity.RegisteredLimit) {
	if in.ServiceID != "" {
		l.ServiceID = in.ServiceID
	}
	if in.RegionID.Set {
		l.RegionID = in.RegionID.V
	}
	if in.ResourceName != "" {
		l.ResourceName = in.ResourceName
	}
	if in.DefaultLimit != nil {
		l.DefaultLimit = *in.DefaultLimit
	}
	l.Description = text(in.Description, l.Description)
}

func text(in rest.Opt[string], old *string) *string {
	if !in.Set {
		return old
	}
	if in.Null {
		return nil
	}
	return &in.V
}

func (a *api) register(c *rest.Call) (rest.Reply, error) {
	var in struct {
		List []registeredInput `json:"registered_limits" v:"required,min=1,max=1000"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	list := make([]identity.RegisteredLimit, len(in.List))
	for i, one := range in.List {
		if one.ServiceID == "" || one.ResourceName == "" || one.DefaultLimit == nil {
			return rest.Reply{}, fault.Invalidf("'service_id', 'resource_name' and 'default_limit' are required properties")
		}
		one.over(&list[i])
	}
	made, err := a.s.Register(c.Context(), list)
	if err != nil {
		return rest.Reply{}, err
	}
	views := make([]map[string]any, len(made))
	for i, l := range made {
		views[i] = registeredView(c, l)
	}
	return rest.Created(wire.Collection(c, "registered_limits", views))
}

func (a *api) registered(c *rest.Call) (rest.Reply, error) {
	l, err := a.s.Registered(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"registered_limit": registeredView(c, l)})
}

func (a *api) updateRegistered(c *rest.Call) (rest.Reply, error) {
	var in registeredInput
	if err := wire.Strict(c, "registered_limit", &in); err != nil {
		return rest.Reply{}, err
	}
	l, err := a.s.UpdateRegistered(c.Context(), c.Var("id"), in.over)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"registered_limit": registeredView(c, l)})
}

func (a *api) deleteRegistered(c *rest.Call) (rest.Reply, error) {
	if err := a.s.DeleteRegistered(c.Context(), c.Var("id")); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

// target is what the rule of a limit asks about.
func (a *api) target(ctx context.Context, l *identity.Limit) policy.Target {
	t := policy.Target{"target.limit.project_id": wire.OrNull(l.ProjectID)}
	if l.DomainID != "" {
		t["target.limit.domain.id"] = l.DomainID
	} else if p, err := a.s.others.Project(ctx, l.ProjectID); err == nil { // without it the rule sees no domain
		t["target.limit.project.domain_id"] = p.DomainID
	}
	return t
}

// list shows everything to those who may show any limit, and their own to others.
func (a *api) list(c *rest.Call) (rest.Reply, error) {
	return wire.List[identity.Limit]{Many: "limits", View: view, ID: func(l *identity.Limit) string { return l.ID },
		Filters: []rest.Filter{wire.Text("project_id", "project_id")[0], wire.Text("domain_id", "domain_id")[0]},
		Load: func(ctx context.Context, q listing.Query) ([]*identity.Limit, error) {
			all, err := a.s.ListLimits(ctx, q)
			seen := all[:0]
			for _, l := range all {
				if c.Allow("identity:get_limit", a.target(ctx, l)) && fits(c, l) {
					seen = append(seen, l)
				}
			}
			return seen, err
		}}.Reply(c)
}

// fits applies the filters that are columns of the registered limit.
func fits(c *rest.Call, l *identity.Limit) bool {
	for name, value := range map[string]string{"service_id": l.ServiceID, "region_id": l.RegionID, "resource_name": l.ResourceName} {
		if want := c.Values().Get(name); want != "" && want != value {
			return false
		}
	}
	return true
}

type limitInput struct {
	ProjectID    rest.Opt[string] `json:"project_id" v:"max=64"`
	DomainID     rest.Opt[string] `json:"domain_id" v:"max=64"`
	ServiceID    string           `json:"service_id" v:"required,max=64"`
	RegionID     rest.Opt[string] `json:"region_id" v:"max=255"`
	ResourceName string           `json:"resource_name" v:"required,min=1,max=255"`
	Limit        int64            `json:"resource_limit" v:"required,min=-1,max=2147483647"`
	Description  rest.Opt[string] `json:"description"`
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in struct {
		List []limitInput `json:"limits" v:"required,min=1,max=1000"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	list := make([]identity.Limit, len(in.List))
	for i, one := range in.List {
		if (one.ProjectID.V == "") == (one.DomainID.V == "") {
			return rest.Reply{}, fault.Invalidf("A limit is of one project or of one domain")
		}
		list[i] = identity.Limit{ProjectID: one.ProjectID.V, DomainID: one.DomainID.V, ServiceID: one.ServiceID, RegionID: one.RegionID.V,
			ResourceName: one.ResourceName, ResourceLimit: one.Limit, Description: text(one.Description, nil)}
	}
	made, err := a.s.Create(c.Context(), list)
	if err != nil {
		return rest.Reply{}, err
	}
	views := make([]map[string]any, len(made))
	for i, l := range made {
		views[i] = view(c, l)
	}
	return rest.Created(wire.Collection(c, "limits", views))
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	l, err := wire.Find(c, func() (*identity.Limit, error) { return a.s.Limit(c.Context(), c.Var("id")) },
		func(l *identity.Limit) policy.Target { return a.target(c.Context(), l) })
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"limit": view(c, l)})
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Limit       *int64           `json:"resource_limit" v:"min=-1,max=2147483647"`
		Description rest.Opt[string] `json:"description"`
	}
	if err := wire.Strict(c, "limit", &in); err != nil {
		return rest.Reply{}, err
	}
	l, err := a.s.Update(c.Context(), c.Var("id"), in.Limit, text(in.Description, nil))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"limit": view(c, l)})
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	if err := a.s.Delete(c.Context(), c.Var("id")); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
