package forwardings

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct {
	*Service
	resource *rest.Resource[network.Forwarding]
}

// Routes are the operations of port forwardings.
func (s *Service) Routes() []rest.Route {
	a := &api{s, resource(s.records)}
	const all, one = "/v2.0/floatingips/{floating}/port_forwardings", "/v2.0/floatingips/{floating}/port_forwardings/{id}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: "get_floatingip_port_forwarding", Object: true, Handle: a.list},
		{Method: "POST", Path: all, Rule: "create_floatingip_port_forwarding", Object: true, Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "get_floatingip_port_forwarding", Object: true, Handle: a.show},
		{Method: "PUT", Path: one, Rule: "update_floatingip_port_forwarding", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "delete_floatingip_port_forwarding", Object: true, Audit: "delete", Handle: a.remove},
	}
}

// floating finds the address in the path and asks the route's rule about it.
func (a *api) floating(c *rest.Call) (*network.FloatingIP, error) {
	f, err := a.records.Floatings.Get(c.Context(), c.Var("floating"))
	if fault.Is(err, fault.NotFound) || err == nil && !c.Allow("get_floatingip", wire.Target(f.ProjectID)) {
		return nil, fault.NotFoundf("Floating IP %s could not be found", c.Var("floating")).With("FloatingIPNotFound")
	}
	if err != nil {
		return nil, err
	}
	return f, c.Authorize(wire.ParentTarget(f.ProjectID))
}

func (a *api) forwarding(c *rest.Call) (*network.Forwarding, error) {
	floating, err := a.floating(c)
	if err != nil {
		return nil, err
	}
	f, err := a.records.Forwardings.Get(c.Context(), c.Var("id"))
	if fault.Is(err, fault.NotFound) || err == nil && f.FloatingID != floating.ID {
		return nil, fault.NotFoundf("Port Forwarding %s could not be found.", c.Var("id")).With("PortForwardingNotFound")
	}
	return f, err
}

// body is what creates and updates name. Ports stand alone or as "FIRST:LAST".
type body struct {
	PortID        *string          `json:"internal_port_id" v:"uuid"`
	Fixed         rest.Opt[string] `json:"internal_ip_address"`
	Internal      *rest.Int        `json:"internal_port" v:"min=1,max=65535"`
	External      *rest.Int        `json:"external_port" v:"min=1,max=65535"`
	InternalRange *string          `json:"internal_port_range" v:"max=11"`
	ExternalRange *string          `json:"external_port_range" v:"max=11"`
	Protocol      *string          `json:"protocol"`
	Description   *string          `json:"description" v:"max=255"`
	TenantID      *string          `json:"tenant_id"`
	ProjectID     *string          `json:"project_id"`
}

func bad(what, format string, args ...any) error {
	return fault.Invalidf("Invalid input for "+what+". Reason: "+format, args...).With("HTTPBadRequest")
}

// ports reads a port or a range of them into first and last.
func ports(what string, one *rest.Int, span *string, first, last *int) error {
	if one != nil && span != nil {
		return bad(what, "a port and a range of ports exclude each other.")
	}
	if one != nil {
		*first, *last = int(*one), int(*one)
	}
	if span == nil {
		return nil
	}
	low, high, two := strings.Cut(*span, ":")
	if !two {
		high = low
	}
	a, err1 := strconv.Atoi(low)
	b, err2 := strconv.Atoi(high)
	if err1 != nil || err2 != nil || a < 1 || b > 65535 || a > b {
		return bad(what+"_range", "'%s' is not a valid range of ports.", *span)
	}
	*first, *last = a, b
	return nil
}

func (b body) apply(f *network.Forwarding) error {
	if b.PortID != nil {
		f.PortID = *b.PortID
	}
	if b.Description != nil {
		f.Description = *b.Description
	}
	if b.Fixed.Or("") != "" {
		a, err := netip.ParseAddr(b.Fixed.V)
		if err != nil || !a.Is4() {
			return bad("internal_ip_address", "'%s' is not a valid IPv4 address.", b.Fixed.V)
		}
		f.Fixed = a
	}
	if err := ports("internal_port", b.Internal, b.InternalRange, &f.InternalFirst, &f.InternalLast); err != nil {
		return err
	}
	if err := ports("external_port", b.External, b.ExternalRange, &f.ExternalFirst, &f.ExternalLast); err != nil {
		return err
	}
	if b.Protocol != nil {
		f.Protocol = strings.ToLower(*b.Protocol)
	}
	switch {
	case f.Protocol != "tcp" && f.Protocol != "udp" && f.Protocol != "sctp":
		return bad("protocol", "'%s' is not in ['tcp', 'udp', 'sctp'].", f.Protocol)
	case f.PortID == "" || f.InternalFirst == 0 || f.ExternalFirst == 0:
		return fault.Invalidf("Failed to parse request. Required attributes: internal_port_id, internal_port, external_port, protocol.").With("HTTPBadRequest")
	case f.InternalLast-f.InternalFirst != f.ExternalLast-f.ExternalFirst:
		return badRequest("Invalid ranges of ports: they are not of equal length.")
	}
	return nil
}

// reach is whose ports the caller may use; empty: all.
func reach(c *rest.Call) string {
	if c.Allow("admin_only", c.Caller()) {
		return ""
	}
	return c.Auth.ProjectID
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	f, err := a.floating(c)
	if err != nil {
		return rest.Reply{}, err
	}
	body, err := a.resource.ListBody(c, records.Is("floating_id", f.ID))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(body)
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	f, err := a.forwarding(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.resource.Body(c, f))
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	floating, err := a.floating(c)
	if err != nil {
		return rest.Reply{}, err
	}
	in, err := wire.One[body](c, "port_forwarding")
	if err != nil {
		return rest.Reply{}, err
	}
	f := &network.Forwarding{Standard: network.Standard{ID: id.New(), ProjectID: floating.ProjectID}, FloatingID: floating.ID}
	if err := in.apply(f); err != nil {
		return rest.Reply{}, err
	}
	if err := a.Create(c.Context(), f, reach(c), c.Event("port_forwarding", f.ID, f.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(a.resource.Body(c, f))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	f, err := a.forwarding(c)
	if err != nil {
		return rest.Reply{}, err
	}
	in, err := wire.One[body](c, "port_forwarding")
	if err != nil {
		return rest.Reply{}, err
	}
	if f, err = a.Update(c.Context(), f.ID, in.apply, reach(c), c.Event("port_forwarding", f.ID, f.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.resource.Body(c, f))
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	f, err := a.forwarding(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.Delete(c.Context(), f, c.Event("port_forwarding", f.ID, f.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
