package trunks

import (
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct {
	*Service
	resource *rest.Resource[network.Trunk]
}

// Routes are the operations of trunks.
func (s *Service) Routes() []rest.Route {
	a := &api{s, resource(s.records)}
	const all, one = "/v2.0/trunks", "/v2.0/trunks/{id}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: "get_trunk", Handle: a.resource.Index},
		{Method: "POST", Path: all, Rule: "create_trunk", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "get_trunk", Object: true, Handle: a.resource.Read},
		{Method: "PUT", Path: one, Rule: "update_trunk", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "delete_trunk", Object: true, Audit: "delete", Handle: a.remove},
		{Method: "PUT", Path: one + "/add_subports", Rule: "add_subports", Object: true, Audit: "add_subports", Handle: a.add},
		{Method: "PUT", Path: one + "/remove_subports", Rule: "remove_subports", Object: true, Audit: "remove_subports", Handle: a.drop},
		{Method: "GET", Path: one + "/get_subports", Rule: "get_subports", Object: true, Handle: a.list},
	}
}

type body struct {
	Name         *string    `json:"name" v:"max=255"`
	Description  *string    `json:"description" v:"max=255"`
	AdminStateUp *rest.Bool `json:"admin_state_up"`
}

func (b body) apply(t *network.Trunk) {
	if b.Name != nil {
		t.Name = *b.Name
	}
	if b.Description != nil {
		t.Description = *b.Description
	}
	if b.AdminStateUp != nil {
		t.AdminStateUp = bool(*b.AdminStateUp)
	}
}

type subPort struct {
	PortID string           `json:"port_id" v:"required,uuid"`
	Type   rest.Opt[string] `json:"segmentation_type"`
	Tag    rest.Int         `json:"segmentation_id"`
}

func subPorts(in []subPort) []network.SubPort {
	out := make([]network.SubPort, len(in))
	for i, s := range in {
		out[i] = network.SubPort{PortID: s.PortID, SegmentationType: s.Type.Or(""), SegmentationID: int(s.Tag)}
	}
	return out
}

// reach is whose ports the caller may use; empty: all.
func reach(c *rest.Call) string {
	if c.Allow("admin_only", c.Caller()) {
		return ""
	}
	return c.Auth.ProjectID
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	in, err := wire.One[struct {
		body
		TenantID  *string   `json:"tenant_id" v:"max=255"`
		ProjectID *string   `json:"project_id" v:"max=255"`
		PortID    string    `json:"port_id" v:"required,uuid"`
		SubPorts  []subPort `json:"sub_ports"`
	}](c, "trunk")
	if err != nil {
		return rest.Reply{}, err
	}
	owner, err := wire.Owner(c, in.TenantID, in.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	t := &network.Trunk{Standard: network.Standard{ID: id.New(), ProjectID: owner}, PortID: in.PortID, AdminStateUp: true, SubPorts: subPorts(in.SubPorts)}
	in.apply(t)
	if err := a.Create(c.Context(), t, reach(c), c.Event("trunk", t.ID, owner)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(a.resource.Body(c, t))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	t, in, err := wire.Change[network.Trunk, body](c, a.resource)
	if err != nil {
		return rest.Reply{}, err
	}
	if t, err = a.Update(c.Context(), t.ID, in.apply, c.Event("trunk", t.ID, t.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.resource.Body(c, t))
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	return wire.Remove(c, a.resource, func(t *network.Trunk) error {
		return a.Delete(c.Context(), t.ID, c.Event("trunk", t.ID, t.ProjectID))
	})
}

func (a *api) add(c *rest.Call) (rest.Reply, error) {
	t, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		SubPorts []subPort `json:"sub_ports" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if t, err = a.Add(c.Context(), t.ID, subPorts(in.SubPorts), reach(c), c.Event("trunk", t.ID, t.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.resource.View(c, t))
}

func (a *api) drop(c *rest.Call) (rest.Reply, error) {
	t, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		SubPorts []subPort `json:"sub_ports" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	ids := make([]string, len(in.SubPorts))
	for i, s := range in.SubPorts {
		ids[i] = s.PortID
	}
	if t, err = a.Remove(c.Context(), t.ID, ids, c.Event("trunk", t.ID, t.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.resource.View(c, t))
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	t, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"sub_ports": views(t)})
}
