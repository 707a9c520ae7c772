package legacy

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

func (a *api) tenantRoutes() []rest.Route {
	const one, role = "/v2.0/tenants/{id}", "/v2.0/tenants/{id}/users/{user}/roles/OS-KSADM/{role}"
	return []rest.Route{
		{Method: "GET", Path: "/v2.0/tenants", Rule: own, Handle: a.tenants},
		{Method: "POST", Path: "/v2.0/tenants", Rule: admin, Audit: "create", Extension: true, Handle: a.createTenant},
		{Method: "GET", Path: one, Rule: admin, Extension: true, Handle: a.showTenant},
		{Method: "POST", Path: one, Rule: admin, Audit: "update", Extension: true, Handle: a.updateTenant},
		{Method: "PUT", Path: one, Rule: admin, Audit: "update", Extension: true, Handle: a.updateTenant},
		{Method: "DELETE", Path: one, Rule: admin, Audit: "delete", Extension: true, Handle: a.deleteTenant},
		{Method: "GET", Path: one + "/users", Rule: admin, Handle: a.usersOfTenant},
		{Method: "GET", Path: one + "/users/{user}/roles", Rule: admin, Handle: a.rolesOnTenant},
		{Method: "PUT", Path: role, Rule: admin, Audit: "update", Extension: true, Handle: a.giveRole},
		{Method: "DELETE", Path: role, Rule: admin, Audit: "update", Extension: true, Handle: a.takeRole},
	}
}

func tenantView(p *identity.Project) map[string]any {
	return wire.With(map[string]any{"id": p.ID, "name": p.Name, "description": p.Description, "enabled": p.Enabled}, p.Extra)
}

// tenants lists all to administrators, and their own to users.
func (a *api) tenants(c *rest.Call) (rest.Reply, error) {
	q, err := page(c, listing.Query{}.And("domain_id", listing.Eq, identity.DefaultDomainID).And("is_domain", listing.Eq, false))
	if err != nil {
		return rest.Reply{}, err
	}
	if asAdmin(c) {
		if !c.Allow(admin, policy.Target{}) {
			return rest.Reply{}, wire.Refuse(admin)
		}
		if name := c.Values().Get("name"); name != "" {
			return answer("tenant", tenantView)(a.Projects.ByName(c.Context(), identity.DefaultDomainID, name))
		}
		return list("tenants", tenantView)(a.Projects.List(c.Context(), q))
	}
	ids, err := a.Reach(c.Context(), c.Auth.UserID)
	if err != nil {
		return rest.Reply{}, err
	}
	if len(ids) == 0 {
		return list("tenants", tenantView)(nil, nil)
	}
	values := make([]any, len(ids))
	for i, id := range ids {
		values[i] = id
	}
	return list("tenants", tenantView)(a.Projects.List(c.Context(), q.And("id", listing.In, values...).And("enabled", listing.Eq, true)))
}

func (a *api) showTenant(c *rest.Call) (rest.Reply, error) {
	return answer("tenant", tenantView)(a.tenant(c.Context(), c.Var("id")))
}

type tenantInput struct {
	Name        *string          `json:"name" v:"max=64"`
	Description rest.Opt[string] `json:"description"`
	Enabled     *bool            `json:"enabled"`
}

func readTenant(c *rest.Call) (in tenantInput, extra map[string]any, err error) {
	extra, err = wire.Body(c, "tenant", &in)
	if err == nil && in.Name != nil && *in.Name == "" {
		err = fault.Invalidf("Name field is required and cannot be empty")
	}
	return in, extra, err
}

func (a *api) createTenant(c *rest.Call) (rest.Reply, error) {
	in, extra, err := readTenant(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if in.Name == nil {
		return rest.Reply{}, fault.Invalidf("Name field is required and cannot be empty")
	}
	return answer("tenant", tenantView)(a.Projects.Create(c.Context(), identity.Project{Name: *in.Name, DomainID: identity.DefaultDomainID,
		Description: in.Description.V, Enabled: in.Enabled == nil || *in.Enabled, Extra: extra}))
}

func (a *api) updateTenant(c *rest.Call) (rest.Reply, error) {
	p, err := a.tenant(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	in, extra, err := readTenant(c)
	if err != nil {
		return rest.Reply{}, err
	}
	change := ProjectChange{Name: in.Name, Enabled: in.Enabled, Extra: extra}
	if in.Description.Set {
		change.Description = &in.Description.V
	}
	return answer("tenant", tenantView)(a.UpdateProject(c.Context(), p.ID, change))
}

func (a *api) deleteTenant(c *rest.Call) (rest.Reply, error) {
	p, err := a.tenant(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return done(a.Projects.Delete(c.Context(), p.ID))
}

// usersOfTenant lists the users of the default domain with a role there.
func (a *api) usersOfTenant(c *rest.Call) (rest.Reply, error) {
	p, err := a.tenant(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	ids, err := a.UsersOn(c.Context(), p.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	out := []*identity.User{}
	for _, id := range ids {
		u, err := a.user(c.Context(), id)
		if fault.Is(err, fault.NotFound) {
			continue // of another domain
		}
		if err != nil {
			return rest.Reply{}, err
		}
		out = append(out, u)
	}
	return list("users", userView)(out, nil)
}

// on loads what an assignment of the path is about.
func (a *api) on(c *rest.Call) (identity.Assignment, error) {
	p, err := a.tenant(c.Context(), c.Var("id"))
	if err != nil {
		return identity.Assignment{}, err
	}
	u, err := a.user(c.Context(), c.Var("user"))
	if err != nil {
		return identity.Assignment{}, err
	}
	return identity.Assignment{UserID: u.ID, ProjectID: p.ID}, nil
}

func (a *api) rolesOnTenant(c *rest.Call) (rest.Reply, error) {
	grant, err := a.on(c)
	if err != nil {
		return rest.Reply{}, err
	}
	ids, err := a.Grants.Direct(c.Context(), grant)
	if err != nil {
		return rest.Reply{}, err
	}
	out := []*identity.Role{}
	for _, id := range ids {
		r, err := a.Roles.Get(c.Context(), id)
		if err != nil {
			return rest.Reply{}, err
		}
		out = append(out, r)
	}
	return list("roles", roleView)(out, nil)
}

func (a *api) giveRole(c *rest.Call) (rest.Reply, error) {
	grant, err := a.on(c)
	if err != nil {
		return rest.Reply{}, err
	}
	r, err := a.Roles.Get(c.Context(), c.Var("role"))
	if err != nil {
		return rest.Reply{}, err
	}
	grant.RoleID = r.ID
	switch err := a.Grants.Has(c.Context(), grant); {
	case err == nil:
		return rest.Reply{}, fault.Conflictf("Conflict occurred attempting to store role grant - User %s already has role %s in tenant %s.", grant.UserID, r.ID, grant.ProjectID)
	case !fault.Is(err, fault.NotFound):
		return rest.Reply{}, err
	}
	return answer("role", roleView)(r, a.Grants.Assign(c.Context(), grant))
}

func (a *api) takeRole(c *rest.Call) (rest.Reply, error) {
	grant, err := a.on(c)
	if err != nil {
		return rest.Reply{}, err
	}
	r, err := a.Roles.Get(c.Context(), c.Var("role"))
	if err != nil {
		return rest.Reply{}, err
	}
	grant.RoleID = r.ID
	return done(a.Grants.Revoke(c.Context(), grant))
}
