package ports

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct {
	*Service
	resource *rest.Resource[network.Port]
}

// Routes are the operations of ports.
func (s *Service) Routes() []rest.Route {
	a := &api{Service: s}
	a.resource = resource(s.records, a.target)
	return []rest.Route{
		{Method: "GET", Path: "/v2.0/ports", Rule: "get_port", Handle: a.resource.Index},
		{Method: "POST", Path: "/v2.0/ports", Rule: "create_port", Object: true, Audit: "create", Handle: a.create, Variants: []string{"ports"}},
		{Method: "GET", Path: "/v2.0/ports/{id}", Rule: "get_port", Object: true, Handle: a.resource.Read},
		{Method: "PUT", Path: "/v2.0/ports/{id}", Rule: "update_port", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v2.0/ports/{id}", Rule: "delete_port", Object: true, Audit: "delete", Handle: a.remove},
	}
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	items, bulk, err := wire.Bulk[createBody](c, "port", "ports")
	if err != nil {
		return rest.Reply{}, err
	}
	made, wants := make([]*network.Port, len(items)), make([][]records.Want, len(items))
	for i, in := range items {
		if made[i], wants[i], err = a.build(c, in); err != nil {
			return rest.Reply{}, err
		}
	}
	if err := a.Create(c.Context(), made, wants, c.Event("port", "", "")); err != nil {
		return rest.Reply{}, err
	}
	return wire.Made(c, a.resource, made, bulk)
}

func (a *api) build(c *rest.Call, in createBody) (*network.Port, []records.Want, error) {
	owner, err := wire.Owner(c, in.TenantID, in.ProjectID)
	if err != nil {
		return nil, nil, err
	}
	n, err := wire.Network(c, a.records, in.NetworkID)
	if fault.Is(err, fault.NotFound) || err == nil && !c.Allow("get_network", wire.NetworkTarget(c, n)) {
		return nil, nil, fault.NotFoundf("Network %s could not be found.", in.NetworkID).With("NetworkNotFound")
	}
	if err != nil {
		return nil, nil, err
	}
	p := &network.Port{Standard: network.Standard{ID: id.New(), ProjectID: owner}, NetworkID: n.ID, AdminStateUp: true, PortSecurity: n.PortSecurity}
	t := wire.Target(owner)
	t["network:tenant_id"], t["shared"] = n.ProjectID, n.SharedWith.Includes(c.Auth.ProjectID)
	if err := c.Authorize(t); err != nil {
		return nil, nil, err
	}
	if err := wire.Restricted(c, t, in.restricted("create")); err != nil {
		return nil, nil, err
	}
	if err := in.apply(p); err != nil {
		return nil, nil, err
	}
	if reserved(p.DeviceOwner) || n.External && !n.SharedWith.Includes(c.Auth.ProjectID) && !c.Allow("admin_or_network_owner", t) {
		return nil, nil, fault.Forbiddenf("(rule:create_port) is disallowed by policy").With("PolicyNotAuthorized")
	}
	if _, err := wire.Policy(c, a.records, in.QoSPolicy); err != nil {
		return nil, nil, err
	}
	if p.Tags, err = wire.Tags(in.Tags); err != nil {
		return nil, nil, err
	}
	wants, err := in.wants()
	if !in.Groups.Set && p.PortSecurity {
		p.SecurityGroups = []string{DefaultGroup}
	}
	return p, wants, err
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	p, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Port body `json:"port" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	b := in.Port
	rules := b.restricted("update")
	if b.MAC.Or("") == p.MAC { // some clients repeat what they read
		rules["update_port:mac_address"] = false
	}
	if err := wire.Restricted(c, a.target(c, p), rules); err != nil {
		return rest.Reply{}, err
	}
	if b.DeviceOwner != nil && *b.DeviceOwner != p.DeviceOwner && (reserved(*b.DeviceOwner) || reserved(p.DeviceOwner)) {
		return rest.Reply{}, fault.Forbiddenf("(rule:update_port:device_owner) is disallowed by policy").With("PolicyNotAuthorized")
	}
	if b.QoSPolicy.Or("") != p.QoSPolicyID {
		if _, err := wire.Policy(c, a.records, b.QoSPolicy); err != nil {
			return rest.Reply{}, err
		}
	}
	wants, err := b.wants()
	if err != nil {
		return rest.Reply{}, err
	}
	p, err = a.Update(c.Context(), p.ID, b.apply, wants, c.Event("port", p.ID, p.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.resource.Body(c, p))
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	p, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.Delete(c.Context(), p.ID, c.Event("port", p.ID, p.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

// target is what policy asks: whose port, and whose network.
func (a *api) target(c *rest.Call, p *network.Port) policy.Target {
	return wire.PartTarget(c, a.records, p.ProjectID, p.NetworkID)
}
