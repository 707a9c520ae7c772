package legacy

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/rest"
)

func (a *api) roleRoutes() []rest.Route {
	const one = "/v2.0/OS-KSADM/roles/{id}"
	return []rest.Route{
		{Method: "GET", Path: "/v2.0/OS-KSADM/roles", Rule: admin, Extension: true, Handle: a.roles},
		{Method: "POST", Path: "/v2.0/OS-KSADM/roles", Rule: admin, Audit: "create", Extension: true, Handle: a.createRole},
		{Method: "GET", Path: one, Rule: admin, Extension: true, Handle: a.showRole},
		{Method: "DELETE", Path: one, Rule: admin, Audit: "delete", Extension: true, Handle: a.deleteRole},
	}
}

func roleView(r *identity.Role) map[string]any {
	return wire.With(map[string]any{"id": r.ID, "name": r.Name}, r.Extra)
}

// role loads a role of no domain; NotFound.
func (a *api) role(c *rest.Call) (*identity.Role, error) {
	r, err := a.Roles.Get(c.Context(), c.Var("id"))
	if err == nil && r.DomainID != "" {
		err = fault.NotFoundf("Could not find role: %s.", r.ID)
	}
	return r, err
}

func (a *api) roles(c *rest.Call) (rest.Reply, error) {
	all, err := a.Roles.List(c.Context(), listing.Query{})
	global := all[:0]
	for _, r := range all {
		if r.DomainID == "" {
			global = append(global, r)
		}
	}
	return list("roles", roleView)(global, err)
}

func (a *api) createRole(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Name string `json:"name" v:"max=255"`
	}
	extra, err := wire.Body(c, "role", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	if in.Name == "" {
		return rest.Reply{}, fault.Invalidf("Name field is required and cannot be empty")
	}
	return answer("role", roleView)(a.Roles.Create(c.Context(), identity.Role{Name: in.Name, Extra: extra}))
}

func (a *api) showRole(c *rest.Call) (rest.Reply, error) { return answer("role", roleView)(a.role(c)) }

func (a *api) deleteRole(c *rest.Call) (rest.Reply, error) {
	r, err := a.role(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return done(a.Roles.Delete(c.Context(), r.ID))
}
