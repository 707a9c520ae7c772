package networks

import (
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct {
	*Service
	resource *rest.Resource[network.Network]
}

// Routes are the operations of networks.
func (s *Service) Routes() []rest.Route {
	a := &api{s, resource(s.records, s.zones)}
	return []rest.Route{
		{Method: "GET", Path: "/v2.0/networks", Rule: "get_network", Handle: a.resource.Index},
		{Method: "POST", Path: "/v2.0/networks", Rule: "create_network", Audit: "create", Handle: a.create, Variants: []string{"networks"}},
		{Method: "GET", Path: "/v2.0/networks/{id}", Rule: "get_network", Object: true, Handle: a.resource.Read},
		{Method: "PUT", Path: "/v2.0/networks/{id}", Rule: "update_network", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v2.0/networks/{id}", Rule: "delete_network", Object: true, Audit: "delete", Handle: a.remove},
	}
}

type body struct {
	Name         *string          `json:"name" v:"max=255"`
	Description  *string          `json:"description" v:"max=255"`
	AdminStateUp *rest.Bool       `json:"admin_state_up"`
	Shared       *rest.Bool       `json:"shared"`
	External     *rest.Bool       `json:"router:external"`
	IsDefault    *rest.Bool       `json:"is_default"`
	PortSecurity *rest.Bool       `json:"port_security_enabled"`
	MTU          *rest.Int        `json:"mtu" v:"min=0,max=65535"`
	DNSDomain    *string          `json:"dns_domain" v:"max=255"`
	QoSPolicy    rest.Opt[string] `json:"qos_policy_id" v:"uuid"`
}

type createBody struct {
	body
	TenantID  *string          `json:"tenant_id" v:"max=255"`
	ProjectID *string          `json:"project_id" v:"max=255"`
	Type      rest.Opt[string] `json:"provider:network_type" v:"max=255"`
	Physical  rest.Opt[string] `json:"provider:physical_network" v:"max=255"`
	Segment   rest.Opt[int]    `json:"provider:segmentation_id" v:"min=1,max=16777215"`
	ZoneHints []string         `json:"availability_zone_hints"`
}

func (b body) apply(n *network.Network) {
	set(&n.Name, b.Name)
	set(&n.Description, b.Description)
	flag(&n.AdminStateUp, b.AdminStateUp)
	flag(&n.Shared, b.Shared)
	flag(&n.External, b.External)
	flag(&n.IsDefault, b.IsDefault)
	flag(&n.PortSecurity, b.PortSecurity)
	set(&n.DNSDomain, b.DNSDomain)
	if b.QoSPolicy.Set {
		n.QoSPolicyID = b.QoSPolicy.Or("")
	}
	if b.MTU != nil && *b.MTU != 0 {
		n.MTU = int(*b.MTU)
	}
}

// check refuses what a body names and there is not.
func (b body) check(c *rest.Call, a *api) error {
	if b.DNSDomain != nil {
		if _, err := wire.Domain(*b.DNSDomain); err != nil {
			return err
		}
	}
	_, err := wire.Policy(c, a.records, b.QoSPolicy)
	return err
}

func set(to *string, from *string) {
	if from != nil {
		*to = *from
	}
}

func flag(to *bool, from *rest.Bool) {
	if from != nil {
		*to = bool(*from)
	}
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	items, bulk, err := wire.Bulk[createBody](c, "network", "networks")
	if err != nil {
		return rest.Reply{}, err
	}
	made := make([]*network.Network, len(items))
	for i, in := range items {
		if made[i], err = a.build(c, in); err != nil {
			return rest.Reply{}, err
		}
	}
	if err := a.Create(c.Context(), made, c.Event("network", "", "")); err != nil {
		return rest.Reply{}, err
	}
	return wire.Made(c, a.resource, made, bulk)
}

func (a *api) build(c *rest.Call, in createBody) (*network.Network, error) {
	owner, err := wire.Owner(c, in.TenantID, in.ProjectID)
	if err != nil {
		return nil, err
	}
	if err := wire.Restricted(c, wire.Target(owner), map[string]bool{
		"create_network:shared": in.Shared != nil && bool(*in.Shared), "create_network:router:external": in.External != nil && bool(*in.External),
		"create_network:is_default": in.IsDefault != nil, "create_network:provider:network_type": in.Type.Set || in.Physical.Set || in.Segment.Set}); err != nil {
		return nil, err
	}
	if err := in.check(c, a); err != nil {
		return nil, err
	}
	if err := wire.Zones(in.ZoneHints, a.zones()); err != nil {
		return nil, err
	}
	n := &network.Network{Standard: network.Standard{ID: id.New(), ProjectID: owner}, AdminStateUp: true, PortSecurity: true, ZoneHints: in.ZoneHints}
	in.apply(n)
	n.NetworkType, n.PhysicalNetwork, n.SegmentationID = in.Type.V, in.Physical.V, in.Segment.V
	return n, nil
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	n, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Network body `json:"network" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	b := in.Network
	if err := wire.Restricted(c, wire.NetworkTarget(c, n), map[string]bool{"update_network:shared": b.Shared != nil, "update_network:router:external": b.External != nil,
		"update_network:is_default": b.IsDefault != nil, "update_network:port_security_enabled": b.PortSecurity != nil}); err != nil {
		return rest.Reply{}, err
	}
	if b.QoSPolicy.Or("") == n.QoSPolicyID { // it may stay though it is no longer shared
		b.QoSPolicy = rest.Opt[string]{}
	}
	if err := b.check(c, a); err != nil {
		return rest.Reply{}, err
	}
	n, err = a.Update(c.Context(), n.ID, b.apply, c.Event("network", n.ID, n.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.resource.Body(c, n))
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	n, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.Delete(c.Context(), n.ID, c.Event("network", n.ID, n.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
