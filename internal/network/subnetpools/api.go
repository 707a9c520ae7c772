package subnetpools

import (
	"net/netip"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct {
	*Service
	resource *rest.Resource[network.SubnetPool]
}

// Routes are the operations of subnet pools.
func (s *Service) Routes() []rest.Route {
	a := &api{s, resource(s.records)}
	const all, one = "/v2.0/subnetpools", "/v2.0/subnetpools/{id}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: "get_subnetpool", Handle: a.resource.Index},
		{Method: "POST", Path: all, Rule: "create_subnetpool", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "get_subnetpool", Object: true, Handle: a.resource.Read},
		{Method: "PUT", Path: one, Rule: "update_subnetpool", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "delete_subnetpool", Object: true, Audit: "delete", Handle: a.remove},
		{Method: "PUT", Path: one + "/add_prefixes", Rule: "add_prefixes", Object: true, Audit: "add_prefixes", Handle: a.prefixes(a.AddPrefixes)},
		{Method: "PUT", Path: one + "/remove_prefixes", Rule: "remove_prefixes", Object: true, Audit: "remove_prefixes", Handle: a.prefixes(a.RemovePrefixes)},
		{Method: "PUT", Path: one + "/onboard_network_subnets", Rule: "onboard_network_subnets", Object: true, Audit: "onboard_network_subnets", Handle: a.onboard},
	}
}

// body is what a create and an update have in common. Lengths may be text.
type body struct {
	Name        *string            `json:"name" v:"max=255"`
	Description *string            `json:"description" v:"max=255"`
	Prefixes    []string           `json:"prefixes"`
	DefaultBits *rest.Int          `json:"default_prefixlen" v:"min=0,max=128"`
	MinBits     *rest.Int          `json:"min_prefixlen" v:"min=0,max=128"`
	MaxBits     *rest.Int          `json:"max_prefixlen" v:"min=0,max=128"`
	Quota       rest.Opt[rest.Int] `json:"default_quota"`
	Scope       rest.Opt[string]   `json:"address_scope_id"`
	IsDefault   *rest.Bool         `json:"is_default"`
}

// change is what a body asks for; prefixes replace those there are.
func (b body) change() (func(*network.SubnetPool), error) {
	var prefixes []netip.Prefix
	if b.Prefixes != nil {
		var err error
		if prefixes, err = wire.ParsePrefixes("prefixes", b.Prefixes); err != nil {
			return nil, err
		}
	}
	if b.Quota.V < 0 {
		return nil, fault.Invalidf("Invalid input for default_quota. Reason: '%d' should be non-negative.", b.Quota.V).With("HTTPBadRequest")
	}
	return func(p *network.SubnetPool) {
		for _, s := range []struct{ to, from *string }{{&p.Name, b.Name}, {&p.Description, b.Description}} {
			if s.from != nil {
				*s.to = *s.from
			}
		}
		for _, n := range []struct {
			to   *int
			from *rest.Int
		}{{&p.DefaultBits, b.DefaultBits}, {&p.MinBits, b.MinBits}, {&p.MaxBits, b.MaxBits}} {
			if n.from != nil {
				*n.to = int(*n.from)
			}
		}
		if b.Prefixes != nil {
			p.Prefixes = prefixes
		}
		if b.Quota.Set {
			p.Quota = int(b.Quota.V)
		}
		if b.Scope.Set {
			p.AddressScopeID = b.Scope.Or("")
		}
		if b.IsDefault != nil {
			p.IsDefault = bool(*b.IsDefault)
		}
	}, nil
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	in, err := wire.One[struct {
		body
		TenantID  *string    `json:"tenant_id" v:"max=255"`
		ProjectID *string    `json:"project_id" v:"max=255"`
		Shared    *rest.Bool `json:"shared"`
	}](c, "subnetpool")
	if err != nil {
		return rest.Reply{}, err
	}
	owner, err := wire.Owner(c, in.TenantID, in.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	shared := in.Shared != nil && bool(*in.Shared)
	if err := wire.Restricted(c, wire.Target(owner), map[string]bool{"create_subnetpool:shared": shared,
		"create_subnetpool:is_default": in.IsDefault != nil && bool(*in.IsDefault)}); err != nil {
		return rest.Reply{}, err
	}
	if in.Name == nil {
		return rest.Reply{}, fault.Invalidf("Failed to parse request. Required attribute 'name' not specified").With("HTTPBadRequest")
	}
	change, err := in.change()
	if err != nil {
		return rest.Reply{}, err
	}
	p := &network.SubnetPool{Standard: network.Standard{ID: id.New(), ProjectID: owner}, DefaultBits: -1, MinBits: -1, MaxBits: -1}
	change(p)
	if err := a.Create(c.Context(), p, shared, a.reach(c), c.Event("subnetpool", p.ID, owner)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(a.resource.Body(c, p))
}

// reach is whose address scopes the caller may use; empty: all.
func (a *api) reach(c *rest.Call) string {
	if c.Allow("admin_only", c.Caller()) {
		return ""
	}
	return c.Auth.ProjectID
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	p, in, err := wire.Change[network.SubnetPool, body](c, a.resource)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := wire.Restricted(c, wire.Target(p.ProjectID), map[string]bool{"update_subnetpool:is_default": in.IsDefault != nil}); err != nil {
		return rest.Reply{}, err
	}
	change, err := in.change()
	if err != nil {
		return rest.Reply{}, err
	}
	p, err = a.Update(c.Context(), p.ID, change, a.reach(c), c.Event("subnetpool", p.ID, p.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.resource.Body(c, p))
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	return wire.Remove(c, a.resource, func(p *network.SubnetPool) error {
		return a.Delete(c.Context(), p.ID, c.Event("subnetpool", p.ID, p.ProjectID))
	})
}

func (a *api) prefixes(change prefixChange) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		p, err := a.resource.Find(c, c.Var("id"))
		if err != nil {
			return rest.Reply{}, err
		}
		var in struct {
			Prefixes []string `json:"prefixes" v:"required"`
		}
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
		list, err := wire.ParsePrefixes("prefixes", in.Prefixes)
		if err != nil {
			return rest.Reply{}, err
		}
		p, err = change(c.Context(), p.ID, list, a.reach(c), c.Event("subnetpool", p.ID, p.ProjectID))
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(map[string]any{"prefixes": wire.Prefixes(p.Prefixes)})
	}
}

func (a *api) onboard(c *rest.Call) (rest.Reply, error) {
	p, err := a.resource.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		NetworkID string `json:"network_id" v:"required,uuid"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	subnets, err := a.Onboard(c.Context(), p.ID, in.NetworkID, a.reach(c), c.Event("subnetpool", p.ID, p.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	out := []any{}
	for _, s := range subnets {
		out = append(out, map[string]string{"id": s.ID, "cidr": s.CIDR.String()})
	}
	return rest.OK(out)
}
