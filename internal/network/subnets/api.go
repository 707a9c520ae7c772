package subnets

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct {
	*Service
	resource *rest.Resource[network.Subnet]
}

// Routes are the operations of subnets.
func (s *Service) Routes() []rest.Route {
	a := &api{Service: s}
	a.resource = resource(s.records, a.target)
	return []rest.Route{
		{Method: "GET", Path: "/v2.0/subnets", Rule: "get_subnet", Handle: a.resource.Index},
		{Method: "POST", Path: "/v2.0/subnets", Rule: "create_subnet", Object: true, Audit: "create", Handle: a.create, Variants: []string{"subnets"}},
		{Method: "GET", Path: "/v2.0/subnets/{id}", Rule: "get_subnet", Object: true, Handle: a.resource.Read},
		{Method: "PUT", Path: "/v2.0/subnets/{id}", Rule: "update_subnet", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v2.0/subnets/{id}", Rule: "delete_subnet", Object: true, Audit: "delete", Handle: a.remove},
	}
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	items, bulk, err := wire.Bulk[createBody](c, "subnet", "subnets")
	if err != nil {
		return rest.Reply{}, err
	}
	made, drafts := make([]*network.Subnet, len(items)), make([]*Draft, len(items))
	for i, in := range items {
		if drafts[i], err = in.draft(); err != nil {
			return rest.Reply{}, err
		}
		made[i] = drafts[i].Subnet
		if made[i].ProjectID, err = wire.Owner(c, in.TenantID, in.ProjectID); err != nil {
			return rest.Reply{}, err
		}
		made[i].ID = id.New()
		if err := a.onNetwork(c, made[i]); err != nil {
			return rest.Reply{}, err
		}
	}
	if err := a.Create(c.Context(), drafts, a.reach(c), c.Event("subnet", "", "")); err != nil {
		return rest.Reply{}, err
	}
	return wire.Made(c, a.resource, made, bulk)
}

// reach is whose subnet pools the caller may use; empty: all.
func (a *api) reach(c *rest.Call) string {
	if c.Allow("admin_only", c.Caller()) {
		return ""
	}
	return c.Auth.ProjectID
}

// onNetwork lets only who owns the network put a subnet on it. A network that
// the caller may not see does not exist.
func (a *api) onNetwork(c *rest.Call, s *network.Subnet) error {
	n, err := wire.Network(c, a.records, s.NetworkID)
	if fault.Is(err, fault.NotFound) || err == nil && !c.Allow("get_network", wire.NetworkTarget(c, n)) {
		return fault.NotFoundf("Network %s could not be found.", s.NetworkID).With("NetworkNotFound")
	}
	if err != nil {
		return err
	}
	t := wire.Target(s.ProjectID)
	t["network:tenant_id"] = n.ProjectID
	return c.Authorize(t)
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	s, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Subnet body `json:"subnet" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	s, err = a.Update(c.Context(), s.ID, in.Subnet.apply, c.Event("subnet", s.ID, s.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.resource.Body(c, s))
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	s, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.Delete(c.Context(), s.ID, c.Event("subnet", s.ID, s.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

// target is what policy asks: whose subnet, and whose network.
func (a *api) target(c *rest.Call, s *network.Subnet) policy.Target {
	return wire.PartTarget(c, a.records, s.ProjectID, s.NetworkID)
}
