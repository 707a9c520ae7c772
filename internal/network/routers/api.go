package routers

import (
	"net/netip"

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
	resource *rest.Resource[network.Router]
}

// Routes are the operations of routers.
func (s *Service) Routes() []rest.Route {
	a := &api{s, resource(s.records, s.zones)}
	const one = "/v2.0/routers/{id}"
	return []rest.Route{
		{Method: "GET", Path: "/v2.0/routers", Rule: "get_router", Handle: a.resource.Index},
		{Method: "POST", Path: "/v2.0/routers", Rule: "create_router", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "get_router", Object: true, Handle: a.resource.Read},
		{Method: "PUT", Path: one, Rule: "update_router", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "delete_router", Object: true, Audit: "delete", Handle: a.remove},
		{Method: "PUT", Path: one + "/add_router_interface", Rule: "add_router_interface", Object: true, Audit: "add_router_interface", Handle: a.addInterface},
		{Method: "PUT", Path: one + "/remove_router_interface", Rule: "remove_router_interface", Object: true, Audit: "remove_router_interface", Handle: a.removeInterface},
		{Method: "PUT", Path: one + "/add_extraroutes", Rule: "add_extraroutes", Object: true, Audit: "add_extraroutes", Handle: a.addRoutes},
		{Method: "PUT", Path: one + "/remove_extraroutes", Rule: "remove_extraroutes", Object: true, Audit: "remove_extraroutes", Handle: a.removeRoutes},
	}
}

type gatewayBody struct {
	NetworkID  string     `json:"network_id"`
	EnableSNAT *rest.Bool `json:"enable_snat"`
	FixedIPs   []struct {
		SubnetID *string `json:"subnet_id"`
		Address  *string `json:"ip_address"`
	} `json:"external_fixed_ips"`
	QoSPolicy rest.Opt[string] `json:"qos_policy_id" v:"uuid"`
}

type body struct {
	Name         *string                `json:"name" v:"max=255"`
	Description  *string                `json:"description" v:"max=255"`
	AdminStateUp *rest.Bool             `json:"admin_state_up"`
	Gateway      rest.Opt[gatewayBody]  `json:"external_gateway_info"`
	Routes       rest.Opt[[]wire.Route] `json:"routes"`
	Distributed  *rest.Bool             `json:"distributed"`
	HA           *rest.Bool             `json:"ha"`
}

// change is a body's wish in the service's words.
func (b body) change() (Change, error) {
	ch := Change{Name: b.Name, Description: b.Description}
	if b.AdminStateUp != nil {
		up := bool(*b.AdminStateUp)
		ch.AdminStateUp = &up
	}
	if b.Distributed != nil && bool(*b.Distributed) || b.HA != nil && !bool(*b.HA) {
		return ch, fault.Invalidf("Bad router request: routers of this cloud are highly available, and their addresses are translated at the gateway.").With("BadRequest")
	}
	if b.Routes.Set {
		routes, err := wire.ParseRoutes("routes", b.Routes.V)
		if err != nil {
			return ch, err
		}
		ch.Routes = &routes
	}
	if !b.Gateway.Set {
		return ch, nil
	}
	if b.Gateway.Null || b.Gateway.V.NetworkID == "" && b.Gateway.V.EnableSNAT == nil && b.Gateway.V.FixedIPs == nil {
		ch.ClearGateway = true
		return ch, nil
	}
	g := b.Gateway.V
	if g.NetworkID == "" {
		return ch, fault.Invalidf("Invalid input for external_gateway_info. Reason: Validation of dictionary's keys failed. Expected keys: network_id.").With("HTTPBadRequest")
	}
	want := &Gateway{NetworkID: g.NetworkID}
	if g.QoSPolicy.Set {
		policy := g.QoSPolicy.Or("")
		want.QoSPolicyID = &policy
	}
	if g.EnableSNAT != nil {
		snat := bool(*g.EnableSNAT)
		want.EnableSNAT = &snat
	}
	for _, f := range g.FixedIPs {
		var w records.Want
		if f.SubnetID != nil {
			w.SubnetID = *f.SubnetID
		}
		if f.Address != nil {
			a, err := netip.ParseAddr(*f.Address)
			if err != nil {
				return ch, fault.Invalidf("Invalid input for external_gateway_info. Reason: '%s' is not a valid IP address.", *f.Address).With("HTTPBadRequest")
			}
			w.Address = a
		}
		want.Wants = append(want.Wants, w)
	}
	ch.Gateway = want
	return ch, nil
}

func (b body) restricted(c *rest.Call, verb string, target policy.Target) error {
	g := b.Gateway.V
	if err := wire.Restricted(c, target, map[string]bool{
		verb + "_router:distributed": b.Distributed != nil, verb + "_router:ha": b.HA != nil,
		verb + "_router:external_gateway_info:enable_snat":        g.EnableSNAT != nil,
		verb + "_router:external_gateway_info:external_fixed_ips": len(g.FixedIPs) > 0}); err != nil {
		return err
	}
	return nil
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Router struct {
			body
			TenantID  *string  `json:"tenant_id" v:"max=255"`
			ProjectID *string  `json:"project_id" v:"max=255"`
			Hints     []string `json:"availability_zone_hints"`
		} `json:"router" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	owner, err := wire.Owner(c, in.Router.TenantID, in.Router.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := in.Router.restricted(c, "create", wire.Target(owner)); err != nil {
		return rest.Reply{}, err
	}
	ch, err := in.Router.change()
	if err != nil {
		return rest.Reply{}, err
	}
	if err := wire.Zones(in.Router.Hints, a.zones()); err != nil {
		return rest.Reply{}, err
	}
	if err := a.outside(c, in.Router.body); err != nil {
		return rest.Reply{}, err
	}
	r := &network.Router{Standard: network.Standard{ID: id.New(), ProjectID: owner}, AdminStateUp: true, ZoneHints: in.Router.Hints}
	if err := a.Create(c.Context(), r, ch, c.Event("router", r.ID, owner)); err != nil {
		return rest.Reply{}, err
	}
	return a.answer(c, r.ID, rest.Created)
}

// outside refuses a gateway on a network, or with a QoS policy, that the caller
// may not see.
func (a *api) outside(c *rest.Call, b body) error {
	g := b.Gateway.V
	if g.NetworkID == "" {
		return nil
	}
	n, err := a.records.Networks.Get(c.Context(), g.NetworkID)
	if fault.Is(err, fault.NotFound) || err == nil && !c.Allow("get_network", wire.NetworkTarget(c, n)) {
		return fault.NotFoundf("Network %s could not be found.", g.NetworkID).With("NetworkNotFound")
	}
	if err != nil {
		return err
	}
	_, err = wire.Policy(c, a.records, g.QoSPolicy)
	return err
}

// answer shows a router as it now is.
func (a *api) answer(c *rest.Call, routerID string, reply func(any) (rest.Reply, error)) (rest.Reply, error) {
	r, err := a.records.Routers.Get(c.Context(), routerID)
	if err != nil {
		return rest.Reply{}, err
	}
	return reply(a.resource.Body(c, r))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	r, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Router body `json:"router" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if err := in.Router.restricted(c, "update", wire.Target(r.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	if err := a.outside(c, in.Router); err != nil {
		return rest.Reply{}, err
	}
	ch, err := in.Router.change()
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.Update(c.Context(), r.ID, ch, c.Event("router", r.ID, r.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return a.answer(c, r.ID, rest.OK)
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	r, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.Delete(c.Context(), r.ID, c.Event("router", r.ID, r.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

type interfaceBody struct {
	SubnetID *string `json:"subnet_id" v:"uuid"`
	PortID   *string `json:"port_id" v:"uuid"`
}

func interfaceView(r *network.Router, p *network.Port, subnets []string) map[string]any {
	return map[string]any{"id": r.ID, "tenant_id": r.ProjectID, "project_id": r.ProjectID, "port_id": p.ID, "network_id": p.NetworkID,
		"subnet_id": subnets[0], "subnet_ids": subnets}
}

func (a *api) addInterface(c *rest.Call) (rest.Reply, error) {
	r, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in interfaceBody
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	project := r.ProjectID
	if c.Allow("admin_only", c.Caller()) {
		project = ""
	}
	var p *network.Port
	record := c.Event("router", r.ID, r.ProjectID)
	switch {
	case in.SubnetID != nil && in.PortID != nil:
		return rest.Reply{}, fault.Invalidf("Bad router request: Cannot specify both subnet-id and port-id.").With("BadRequest")
	case in.SubnetID != nil:
		if p, err = a.JoinSubnet(c.Context(), r, *in.SubnetID, project, record); err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(interfaceView(r, p, []string{*in.SubnetID}))
	case in.PortID != nil:
		p, err = a.JoinPort(c.Context(), r, *in.PortID, project, record)
	default:
		return rest.Reply{}, fault.Invalidf("Bad router request: Either subnet_id or port_id must be specified.").With("BadRequest")
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(interfaceView(r, p, subnetIDs(p)))
}

func (a *api) removeInterface(c *rest.Call) (rest.Reply, error) {
	r, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in interfaceBody
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if in.SubnetID == nil && in.PortID == nil {
		return rest.Reply{}, fault.Invalidf("Bad router request: Either subnet_id or port_id must be specified.").With("BadRequest")
	}
	p, err := a.Leave(c.Context(), r, in.SubnetID, in.PortID, c.Event("router", r.ID, r.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	if in.PortID == nil {
		return rest.OK(interfaceView(r, p, []string{*in.SubnetID}))
	}
	return rest.OK(interfaceView(r, p, subnetIDs(p)))
}

func subnetIDs(p *network.Port) []string {
	out := make([]string, len(p.FixedIPs))
	for i, ip := range p.FixedIPs {
		out[i] = ip.SubnetID
	}
	return out
}

func (a *api) addRoutes(c *rest.Call) (rest.Reply, error)    { return a.routes(c, true) }
func (a *api) removeRoutes(c *rest.Call) (rest.Reply, error) { return a.routes(c, false) }

func (a *api) routes(c *rest.Call, add bool) (rest.Reply, error) {
	r, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Router struct {
			Routes []wire.Route `json:"routes"`
		} `json:"router" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	routes, err := wire.ParseRoutes("routes", in.Router.Routes)
	if err != nil {
		return rest.Reply{}, err
	}
	ch := Change{AddRoutes: routes}
	if !add {
		ch = Change{RemoveRoutes: routes}
	}
	if err := a.Update(c.Context(), r.ID, ch, c.Event("router", r.ID, r.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return a.answer(c, r.ID, rest.OK)
}
