package tagging

import (
	"context"
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Service is tags behind the API.
type Service struct{ records *records.Records }

// New makes the service.
func New(r *records.Records) *Service { return &Service{r} }

// Rules are the policy rules of tags.
func Rules() []policy.Rule {
	var out []policy.Rule
	add := func(read, change string, kinds ...string) {
		for _, kind := range kinds {
			out = append(out, wire.Rules(read, "get_"+kind+":tags")...)
			out = append(out, wire.Rules(change, "update_"+kind+":tags", "delete_"+kind+":tags")...)
		}
	}
	const service, own = " or rule:context_is_advsvc", " or (role:member and project_id:%(project_id)s)"
	add(wire.Reader, wire.Member, "floatingip", "router", "trunk")
	add(wire.Reader+" or rule:shared or rule:external"+service, wire.Member, "network")
	add(wire.Reader+" or rule:shared_security_group", wire.Member, "security_group")
	add(wire.Reader+" or rule:shared_subnetpools", wire.Member, "subnetpool")
	add(wire.Reader+" or rule:shared_address_groups", wire.Member, "address_group")
	add(wire.Reader+" or rule:shared_qos_policy", wire.Manager, "policy")
	add(wire.Reader+" or rule:shared or rule:external_network or (role:reader and rule:network_owner)", wire.NetworkMember+own, "subnet")
	out = append(out, wire.Rules(wire.Reader+" or (role:reader and rule:network_owner)"+service, "get_port:tags")...)
	out = append(out, wire.Rules(wire.Member+service, "update_port:tags")...)
	return append(out, wire.Rules(wire.NetworkMember+own+service, "delete_port:tags")...)
}

// words are what rules call the kinds.
var words = map[string]string{"networks": "network", "subnets": "subnet", "ports": "port", "routers": "router", "floatingips": "floatingip", "trunks": "trunk",
	"security-groups": "security_group", "subnetpools": "subnetpool", "policies": "policy", "address-groups": "address_group"}

// Routes are the operations of tags. The kind of resource is part of the path,
// so an unknown one is an unknown route.
func (s *Service) Routes() []rest.Route {
	var out []rest.Route
	for _, kind := range slices.Sorted(maps.Keys(s.kinds())) {
		path := kind
		if kind == "policies" {
			path = "qos/policies"
		}
		word := words[kind] + ":tags"
		getTags, updateTags, deleteTags := "get_"+word, "update_"+word, "delete_"+word
		all, one := "/v2.0/"+path+"/{id}/tags", "/v2.0/"+path+"/{id}/tags/{tag}"
		out = append(out,
			rest.Route{Method: "GET", Path: all, Rule: getTags, Object: true, Handle: s.list(kind)},
			rest.Route{Method: "PUT", Path: all, Rule: updateTags, Object: true, Audit: "update", Handle: s.replace(kind)},
			rest.Route{Method: "POST", Path: all, Rule: updateTags, Object: true, Audit: "update", Handle: s.more(kind)},
			rest.Route{Method: "DELETE", Path: all, Rule: deleteTags, Object: true, Audit: "update", Handle: s.change(kind, 204, func(c *rest.Call, _ []string) ([]string, error) { return []string{}, nil })},
			rest.Route{Method: "GET", Path: one, Rule: getTags, Object: true, Handle: s.has(kind)},
			rest.Route{Method: "PUT", Path: one, Rule: updateTags, Object: true, Audit: "update", Handle: s.change(kind, 201, add)},
			rest.Route{Method: "DELETE", Path: one, Rule: deleteTags, Object: true, Audit: "update", Handle: s.change(kind, 204, drop)})
	}
	return out
}

// standard finds what tags are about. What the caller may not see is missing.
func (s *Service) standard(c *rest.Call, kind string) (network.Standard, error) {
	id := c.Var("id")
	std, target, err := s.kinds()[kind](c, id)
	if fault.Is(err, fault.NotFound) || err == nil && !c.Allow("get_"+words[kind]+":tags", target) {
		return std, fault.NotFoundf("Resource %s %s could not be found.", kind, id).With("TagResourceNotFound")
	}
	if err != nil {
		return std, err
	}
	return std, c.Authorize(target)
}

// kinds is every kind of resource with tags, by the word in the path.
func (s *Service) kinds() map[string]finder {
	r := s.records
	return map[string]finder{
		"networks": find(r.Networks.Get, func(c *rest.Call, n *network.Network) (network.Standard, policy.Target) {
			return n.Standard, wire.NetworkTarget(c, n)
		}),
		"subnets":         find(r.Subnets.Get, onNetwork(r, func(v *network.Subnet) (network.Standard, string) { return v.Standard, v.NetworkID })),
		"ports":           find(r.Ports.Get, onNetwork(r, func(v *network.Port) (network.Standard, string) { return v.Standard, v.NetworkID })),
		"routers":         find(r.Routers.Get, own(func(v *network.Router) network.Standard { return v.Standard })),
		"floatingips":     find(r.Floatings.Get, own(func(v *network.FloatingIP) network.Standard { return v.Standard })),
		"trunks":          find(r.Trunks.Get, own(func(v *network.Trunk) network.Standard { return v.Standard })),
		"security-groups": find(r.Groups.Get, shared(func(v *network.SecurityGroup) (network.Standard, network.Audience) { return v.Standard, v.SharedWith })),
		"subnetpools":     find(r.Pools.Get, shared(func(v *network.SubnetPool) (network.Standard, network.Audience) { return v.Standard, v.SharedWith })),
		"policies":        find(r.Policies.Get, shared(func(v *network.QoSPolicy) (network.Standard, network.Audience) { return v.Standard, v.SharedWith })),
		"address-groups":  find(r.AddressGroups.Get, shared(func(v *network.AddressGroup) (network.Standard, network.Audience) { return v.Standard, v.SharedWith })),
	}
}

// finder loads what tags are about, and what policy asks about it.
type finder func(c *rest.Call, id string) (network.Standard, policy.Target, error)

func find[T any](get func(context.Context, string) (*T, error), about func(*rest.Call, *T) (network.Standard, policy.Target)) finder {
	return func(c *rest.Call, id string) (network.Standard, policy.Target, error) {
		v, err := get(c.Context(), id)
		if err != nil {
			return network.Standard{}, nil, err
		}
		std, target := about(c, v)
		return std, target, nil
	}
}

func own[T any](std func(*T) network.Standard) func(*rest.Call, *T) (network.Standard, policy.Target) {
	return func(_ *rest.Call, v *T) (network.Standard, policy.Target) {
		return std(v), wire.Target(std(v).ProjectID)
	}
}

// onNetwork is own for what lies on a network, whose owner has a say.
func onNetwork[T any](r *records.Records, of func(*T) (network.Standard, string)) func(*rest.Call, *T) (network.Standard, policy.Target) {
	return func(c *rest.Call, v *T) (network.Standard, policy.Target) {
		std, on := of(v)
		target := wire.Target(std.ProjectID)
		if n, err := r.Networks.Get(c.Context(), on); err == nil { // otherwise it was just deleted: only the owner and administrators see the object
			target["network:tenant_id"], target["shared"] = n.ProjectID, n.SharedWith.Includes(c.Auth.ProjectID)
			target["router:external"] = n.ExternalTo.Includes(c.Auth.ProjectID)
		}
		return std, target
	}
}

func shared[T any](of func(*T) (network.Standard, network.Audience)) func(*rest.Call, *T) (network.Standard, policy.Target) {
	return func(c *rest.Call, v *T) (network.Standard, policy.Target) {
		std, audience := of(v)
		target := wire.Target(std.ProjectID)
		target["shared"] = audience.Includes(c.Auth.ProjectID)
		return std, target
	}
}

func (s *Service) list(kind string) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		std, err := s.standard(c, kind)
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(map[string]any{"tags": wire.List(std.Tags)})
	}
}

func (s *Service) has(kind string) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		std, err := s.standard(c, kind)
		if err == nil && !slices.Contains(std.Tags, c.Var("tag")) {
			err = fault.NotFoundf("Tag %s could not be found.", c.Var("tag")).With("TagNotFound")
		}
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.NoContent()
	}
}

func add(c *rest.Call, tags []string) ([]string, error) {
	if slices.Contains(tags, c.Var("tag")) {
		return tags, nil
	}
	return append(slices.Clone(tags), c.Var("tag")), nil
}

func drop(c *rest.Call, tags []string) ([]string, error) {
	if !slices.Contains(tags, c.Var("tag")) {
		return nil, fault.NotFoundf("Tag %s could not be found.", c.Var("tag")).With("TagNotFound")
	}
	return slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return t == c.Var("tag") }), nil
}

func (s *Service) replace(kind string) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		var in struct {
			Tags []string `json:"tags" v:"required"`
		}
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
		tags := slices.Compact(slices.Sorted(slices.Values(in.Tags)))
		return s.write(c, kind, func(*rest.Call, []string) ([]string, error) { return tags, nil }, func() (rest.Reply, error) {
			return rest.OK(map[string]any{"tags": wire.List(tags)})
		})
	}
}

// more adds tags to those there are.
func (s *Service) more(kind string) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		var in struct {
			Tags []string `json:"tags" v:"required"`
		}
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
		var now []string
		return s.write(c, kind, func(_ *rest.Call, have []string) ([]string, error) {
			now = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(have), in.Tags...))))
			return now, nil
		}, func() (rest.Reply, error) { return rest.Created(map[string]any{"tags": wire.List(now)}) })
	}
}

func (s *Service) change(kind string, status int, fn func(*rest.Call, []string) ([]string, error)) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		return s.write(c, kind, fn, func() (rest.Reply, error) { return rest.Answer(status, nil) })
	}
}

func (s *Service) write(c *rest.Call, kind string, fn func(*rest.Call, []string) ([]string, error), done func() (rest.Reply, error)) (rest.Reply, error) {
	if _, err := s.standard(c, kind); err != nil {
		return rest.Reply{}, err
	}
	err := s.records.DB.Write(c.Context(), func(tx *db.Tx) error {
		std, _, err := s.kinds()[kind](c, c.Var("id"))
		if err != nil {
			return err
		}
		tags, err := fn(c, std.Tags)
		if err != nil {
			return err
		}
		if _, err := wire.Tags(tags); err != nil {
			return err
		}

		if err := s.records.SetTags(c.Context(), tx, kind, std.ID, std.Revision, tags); err != nil {
			return err
		}
		return outbox.Write(c.Context(), tx, c.Event(kind, std.ID, std.ProjectID))
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return done()
}
