package addressgroups

import (
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct {
	*Service
	resource *rest.Resource[network.AddressGroup]
}

// Routes are the operations of address groups.
func (s *Service) Routes() []rest.Route {
	a := &api{s, resource(s.records)}
	const all, one = "/v2.0/address-groups", "/v2.0/address-groups/{id}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: "get_address_group", Handle: a.resource.Index},
		{Method: "POST", Path: all, Rule: "create_address_group", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "get_address_group", Object: true, Handle: a.resource.Read},
		{Method: "PUT", Path: one, Rule: "update_address_group", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "delete_address_group", Object: true, Audit: "delete", Handle: a.remove},
		{Method: "PUT", Path: one + "/add_addresses", Rule: "add_addresses", Object: true, Audit: "add_addresses", Handle: a.addresses(true)},
		{Method: "PUT", Path: one + "/remove_addresses", Rule: "remove_addresses", Object: true, Audit: "remove_addresses", Handle: a.addresses(false)},
	}
}

type body struct {
	Name        *string `json:"name" v:"max=255"`
	Description *string `json:"description" v:"max=255"`
}

func (b body) apply(g *network.AddressGroup) {
	if b.Name != nil {
		g.Name = *b.Name
	}
	if b.Description != nil {
		g.Description = *b.Description
	}
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	in, err := wire.One[struct {
		body
		TenantID  *string  `json:"tenant_id" v:"max=255"`
		ProjectID *string  `json:"project_id" v:"max=255"`
		Addresses []string `json:"addresses"`
	}](c, "address_group")
	if err != nil {
		return rest.Reply{}, err
	}
	owner, err := wire.Owner(c, in.TenantID, in.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	list, err := wire.ParsePrefixes("addresses", in.Addresses)
	if err != nil {
		return rest.Reply{}, err
	}
	g := &network.AddressGroup{Standard: network.Standard{ID: id.New(), ProjectID: owner}, Addresses: unique(list)}
	in.apply(g)
	if err := a.Create(c.Context(), g, c.Event("address_group", g.ID, owner)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(a.resource.Body(c, g))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	g, in, err := wire.Change[network.AddressGroup, body](c, a.resource)
	if err != nil {
		return rest.Reply{}, err
	}
	change := func(g *network.AddressGroup) error {
		in.apply(g)
		return nil
	}
	if g, err = a.Update(c.Context(), g.ID, change, c.Event("address_group", g.ID, g.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.resource.Body(c, g))
}

func (a *api) addresses(more bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		g, err := a.resource.Find(c, c.Var("id"))
		if err != nil {
			return rest.Reply{}, err
		}
		var in struct {
			Addresses []string `json:"addresses" v:"required"`
		}
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
		list, err := wire.ParsePrefixes("addresses", in.Addresses)
		if err != nil {
			return rest.Reply{}, err
		}
		change := without(unique(list))
		if more {
			change = with(unique(list))
		}
		if g, err = a.Update(c.Context(), g.ID, change, c.Event("address_group", g.ID, g.ProjectID)); err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(a.resource.Body(c, g))
	}
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	return wire.Remove(c, a.resource, func(g *network.AddressGroup) error {
		return a.Delete(c.Context(), g.ID, c.Event("address_group", g.ID, g.ProjectID))
	})
}
