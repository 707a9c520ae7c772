package bindings

import (
	"encoding/json"
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct{ *Service }

// Routes are the operations of port bindings.
func (s *Service) Routes() []rest.Route {
	a := api{s}
	const all, one = "/v2.0/ports/{id}/bindings", "/v2.0/ports/{id}/bindings/{host}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: "get_port_binding", Object: true, Handle: a.list},
		{Method: "POST", Path: all, Rule: "create_port_binding", Object: true, Audit: "create", Handle: a.create},
		{Method: "PUT", Path: one + "/activate", Rule: "activate", Object: true, Audit: "activate", Handle: a.activate},
		{Method: "DELETE", Path: one, Rule: "delete_port_binding", Object: true, Audit: "delete", Handle: a.remove},
	}
}

// port finds the port in the path and asks the route's rule about it.
func (a api) port(c *rest.Call) (*network.Port, error) {
	p, err := a.records.Ports.Get(c.Context(), c.Var("id"))
	if err == nil && c.Allow("get_port", wire.PartTarget(c, a.records, p.ProjectID, p.NetworkID)) {
		return p, c.Authorize(wire.Target(p.ProjectID))
	}
	if err == nil || fault.Is(err, fault.NotFound) {
		err = fault.NotFoundf("Port %s could not be found.", c.Var("id")).With("PortNotFound")
	}
	return nil, err
}

func (a api) list(c *rest.Call) (rest.Reply, error) {
	p, err := a.port(c)
	if err != nil {
		return rest.Reply{}, err
	}
	all, err := a.List(c.Context(), p)
	if err != nil {
		return rest.Reply{}, err
	}
	out := []map[string]any{}
	for _, b := range all {
		if matches(c, b) {
			out = append(out, resource.View(c, b))
		}
	}
	return rest.OK(map[string]any{"bindings": out})
}

func matches(c *rest.Call, b *network.HostBinding) bool {
	for name, of := range filters {
		if want := c.Values()[name]; len(want) > 0 && !slices.Contains(want, of(b)) {
			return false
		}
	}
	return true
}

type body struct {
	Host      string                    `json:"host" v:"required,min=1,max=255"`
	VNICType  rest.Opt[string]          `json:"vnic_type" v:"enum=normal"`
	Profile   rest.Opt[json.RawMessage] `json:"profile"`
	ProjectID *string                   `json:"project_id" v:"max=255"`
	TenantID  *string                   `json:"tenant_id" v:"max=255"`
}

func (a api) create(c *rest.Call) (rest.Reply, error) {
	p, err := a.port(c)
	if err != nil {
		return rest.Reply{}, err
	}
	in, err := wire.One[body](c, "binding")
	if err != nil {
		return rest.Reply{}, err
	}
	b := network.HostBinding{PortID: p.ID, Host: in.Host, VNICType: in.VNICType.Or("normal"), Bound: true}
	if b.Profile, err = wire.Profile("profile", in.Profile); err != nil {
		return rest.Reply{}, err
	}
	if err := a.Create(c.Context(), b, c.Event("port_binding", p.ID, p.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(resource.Body(c, &b))
}

func (a api) activate(c *rest.Call) (rest.Reply, error) {
	p, err := a.port(c)
	if err != nil {
		return rest.Reply{}, err
	}
	now, err := a.Activate(c.Context(), p.ID, c.Var("host"), c.Event("port_binding", p.ID, p.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(resource.Body(c, now))
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	p, err := a.port(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.Delete(c.Context(), p.ID, c.Var("host"), c.Event("port_binding", p.ID, p.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
