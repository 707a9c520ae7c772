package addressscopes

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct {
	*Service
	resource *rest.Resource[network.AddressScope]
}

// Routes are the operations of address scopes.
func (s *Service) Routes() []rest.Route {
	a := &api{s, resource(s.records)}
	const all, one = "/v2.0/address-scopes", "/v2.0/address-scopes/{id}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: "get_address_scope", Handle: a.resource.Index},
		{Method: "POST", Path: all, Rule: "create_address_scope", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "get_address_scope", Object: true, Handle: a.resource.Read},
		{Method: "PUT", Path: one, Rule: "update_address_scope", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "delete_address_scope", Object: true, Audit: "delete", Handle: a.remove},
	}
}

type body struct {
	Name   *string    `json:"name" v:"max=255"`
	Shared *rest.Bool `json:"shared"`
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	in, err := wire.One[struct {
		body
		TenantID  *string  `json:"tenant_id" v:"max=255"`
		ProjectID *string  `json:"project_id" v:"max=255"`
		IPVersion rest.Int `json:"ip_version" v:"required"`
	}](c, "address_scope")
	if err != nil {
		return rest.Reply{}, err
	}
	owner, err := wire.Owner(c, in.TenantID, in.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	if in.IPVersion != 4 && in.IPVersion != 6 {
		return rest.Reply{}, fault.Invalidf("Invalid input for ip_version. Reason: '%d' is not in [4, 6].", in.IPVersion).With("HTTPBadRequest")
	}
	shared := in.Shared != nil && bool(*in.Shared)
	if err := wire.Restricted(c, wire.Target(owner), map[string]bool{"create_address_scope:shared": shared}); err != nil {
		return rest.Reply{}, err
	}
	s := &network.AddressScope{Standard: network.Standard{ID: id.New(), ProjectID: owner}, IPVersion: int(in.IPVersion)}
	if in.Name != nil {
		s.Name = *in.Name
	}
	if err := a.Create(c.Context(), s, shared, c.Event("address_scope", s.ID, owner)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(a.resource.Body(c, s))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	s, in, err := wire.Change[network.AddressScope, body](c, a.resource)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := wire.Restricted(c, wire.Target(s.ProjectID), map[string]bool{"update_address_scope:shared": in.Shared != nil}); err != nil {
		return rest.Reply{}, err
	}
	s, err = a.Update(c.Context(), s.ID, in.Name, (*bool)(in.Shared), c.Event("address_scope", s.ID, s.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.resource.Body(c, s))
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	return wire.Remove(c, a.resource, func(s *network.AddressScope) error {
		return a.Delete(c.Context(), s.ID, c.Event("address_scope", s.ID, s.ProjectID))
	})
}
