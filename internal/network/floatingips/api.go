package floatingips

import (
	"net/netip"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct {
	*Service
	resource *rest.Resource[network.FloatingIP]
}

// Routes are the operations of floating IPs.
func (s *Service) Routes() []rest.Route {
	a := &api{s, resource(s.records)}
	return []rest.Route{
		{Method: "GET", Path: "/v2.0/floatingips", Rule: "get_floatingip", Handle: a.resource.Index},
		{Method: "POST", Path: "/v2.0/floatingips", Rule: "create_floatingip", Audit: "create", Handle: a.create},
		{Method: "GET", Path: "/v2.0/floatingips/{id}", Rule: "get_floatingip", Object: true, Handle: a.resource.Read},
		{Method: "PUT", Path: "/v2.0/floatingips/{id}", Rule: "update_floatingip", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v2.0/floatingips/{id}", Rule: "delete_floatingip", Object: true, Audit: "delete", Handle: a.remove},
	}
}

type body struct {
	PortID      rest.Opt[string] `json:"port_id"`
	Fixed       rest.Opt[string] `json:"fixed_ip_address"`
	Description *string          `json:"description" v:"max=255"`
	QoSPolicy   rest.Opt[string] `json:"qos_policy_id" v:"uuid"`
	DNSName     *string          `json:"dns_name" v:"max=0"`
	DNSDomain   *string          `json:"dns_domain" v:"max=0"`
}

// wish is what a body asks for in the service's words. The project confines
// whose ports may be meant; empty: all.
func (b body) wish(c *rest.Call, project string) (Wish, error) {
	w := Wish{Description: b.Description, Project: project}
	if c.Allow("admin_only", c.Caller()) {
		w.Project = ""
	}
	if b.Fixed.Or("") != "" {
		a, err := netip.ParseAddr(b.Fixed.V)
		if err != nil {
			return w, fault.Invalidf("Invalid input for fixed_ip_address. Reason: '%s' is not a valid IP address.", b.Fixed.V).With("HTTPBadRequest")
		}
		w.Fixed = a
	}
	if b.QoSPolicy.Set {
		policy := b.QoSPolicy.Or("")
		w.QoSPolicyID = &policy
	}
	if b.PortID.Set {
		port := b.PortID.Or("")
		w.PortID = &port
	}
	return w, nil
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Floating struct {
			body
			TenantID  *string          `json:"tenant_id" v:"max=255"`
			ProjectID *string          `json:"project_id" v:"max=255"`
			NetworkID string           `json:"floating_network_id" v:"required,uuid"`
			Address   rest.Opt[string] `json:"floating_ip_address"`
			SubnetID  rest.Opt[string] `json:"subnet_id"`
		} `json:"floatingip" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	b := in.Floating
	owner, err := wire.Owner(c, b.TenantID, b.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := wire.Restricted(c, wire.Target(owner), map[string]bool{"create_floatingip:floating_ip_address": b.Address.Or("") != ""}); err != nil {
		return rest.Reply{}, err
	}
	if err := a.visible(c, b.NetworkID, b.QoSPolicy); err != nil {
		return rest.Reply{}, err
	}
	w, err := b.wish(c, owner)
	if err != nil {
		return rest.Reply{}, err
	}
	want := records.Want{SubnetID: b.SubnetID.Or("")}
	if text := b.Address.Or(""); text != "" {
		if want.Address, err = netip.ParseAddr(text); err != nil {
			return rest.Reply{}, fault.Invalidf("Invalid input for floating_ip_address. Reason: '%s' is not a valid IP address.", text).With("HTTPBadRequest")
		}
	}
	f := &network.FloatingIP{Standard: network.Standard{ID: id.New(), ProjectID: owner}, NetworkID: b.NetworkID}
	if err := a.Create(c.Context(), f, want, w, c.Event("floatingip", f.ID, owner)); err != nil {
		return rest.Reply{}, err
	}
	return a.answer(c, f.ID, rest.Created)
}

// visible refuses a network or a QoS policy that the caller may not see.
func (a *api) visible(c *rest.Call, networkID string, policy rest.Opt[string]) error {
	n, err := a.records.Networks.Get(c.Context(), networkID)
	if fault.Is(err, fault.NotFound) || err == nil && !c.Allow("get_network", wire.NetworkTarget(c, n)) {
		return fault.NotFoundf("Network %s could not be found.", networkID).With("NetworkNotFound")
	}
	if err != nil {
		return err
	}
	_, err = wire.Policy(c, a.records, policy)
	return err
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	f, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Floating body `json:"floatingip" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if in.Floating.QoSPolicy.Or("") != f.QoSPolicyID {
		if _, err := wire.Policy(c, a.records, in.Floating.QoSPolicy); err != nil {
			return rest.Reply{}, err
		}
	}
	w, err := in.Floating.wish(c, f.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	if f, err = a.Update(c.Context(), f.ID, w, c.Event("floatingip", f.ID, f.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return a.answer(c, f.ID, rest.OK)
}

// answer shows an address as it now is, with what it leads to.
func (a *api) answer(c *rest.Call, floatingID string, reply func(any) (rest.Reply, error)) (rest.Reply, error) {
	f, err := a.records.Floatings.Get(c.Context(), floatingID)
	if err != nil {
		return rest.Reply{}, err
	}
	return reply(a.resource.Body(c, f))
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	f, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.Delete(c.Context(), f.ID, c.Event("floatingip", f.ID, f.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
