package tagging

import (
	"context"
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
	return append(wire.Rules(wire.Reader+" or rule:shared or rule:external", "get_tags"), wire.Rules(wire.Member, "update_tags", "delete_tags")...)
}

// The limits of upstream.
const (
	maxTag  = 60
	maxTags = 50
)

// Routes are the operations of tags. The kind of resource is part of the path,
// so an unknown one is an unknown route.
func (s *Service) Routes() []rest.Route {
	var out []rest.Route
	for _, kind := range []string{"networks", "subnets", "ports", "routers", "floatingips", "security-groups"} {
		all, one := "/v2.0/"+kind+"/{id}/tags", "/v2.0/"+kind+"/{id}/tags/{tag}"
		out = append(out,
			rest.Route{Method: "GET", Path: all, Rule: "get_tags", Object: true, Handle: s.list(kind)},
			rest.Route{Method: "PUT", Path: all, Rule: "update_tags", Object: true, Audit: "update", Handle: s.replace(kind)},
			rest.Route{Method: "DELETE", Path: all, Rule: "delete_tags", Object: true, Audit: "update", Handle: s.change(kind, 204, func(c *rest.Call, _ []string) ([]string, error) { return []string{}, nil })},
			rest.Route{Method: "GET", Path: one, Rule: "get_tags", Object: true, Handle: s.has(kind)},
			rest.Route{Method: "PUT", Path: one, Rule: "update_tags", Object: true, Audit: "update", Handle: s.change(kind, 201, add)},
			rest.Route{Method: "DELETE", Path: one, Rule: "delete_tags", Object: true, Audit: "update", Handle: s.change(kind, 204, drop)})
	}
	return out
}

// standard finds what tags are about. What the caller may not see is missing.
func (s *Service) standard(c *rest.Call, kind string) (network.Standard, error) {
	ctx, id := c.Context(), c.Var("id")
	std, target, err := s.find(ctx, kind, id)
	if fault.Is(err, fault.NotFound) || err == nil && !c.Allow("get_tags", target) {
		return std, fault.NotFoundf("Resource %s %s could not be found.", kind, id).With("TagResourceNotFound")
	}
	if err != nil {
		return std, err
	}
	return std, c.Authorize(target)
}

func (s *Service) find(ctx context.Context, kind, id string) (network.Standard, policy.Target, error) {
	var std network.Standard
	target := policy.Target{}
	var err error
	switch kind {
	case "networks":
		var n *network.Network
		if n, err = s.records.Networks.Get(ctx, id); err == nil {
			std, target = n.Standard, policy.Target{"shared": n.Shared, "router:external": n.External}
		}
	case "subnets":
		std, err = standardOf(s.records.Subnets.Get(ctx, id))(func(v *network.Subnet) network.Standard { return v.Standard })
	case "ports":
		std, err = standardOf(s.records.Ports.Get(ctx, id))(func(v *network.Port) network.Standard { return v.Standard })
	case "routers":
		std, err = standardOf(s.records.Routers.Get(ctx, id))(func(v *network.Router) network.Standard { return v.Standard })
	case "floatingips":
		std, err = standardOf(s.records.Floatings.Get(ctx, id))(func(v *network.FloatingIP) network.Standard { return v.Standard })
	default:
		std, err = standardOf(s.records.Groups.Get(ctx, id))(func(v *network.SecurityGroup) network.Standard { return v.Standard })
	}
	target["project_id"], target["tenant_id"] = std.ProjectID, std.ProjectID
	return std, target, err
}

func standardOf[T any](v *T, err error) func(func(*T) network.Standard) (network.Standard, error) {
	return func(of func(*T) network.Standard) (network.Standard, error) {
		if err != nil {
			return network.Standard{}, err
		}
		return of(v), nil
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
		std, _, err := s.find(c.Context(), kind, c.Var("id"))
		if err != nil {
			return err
		}
		tags, err := fn(c, std.Tags)
		if err != nil {
			return err
		}
		if len(tags) > maxTags || slices.ContainsFunc(tags, func(t string) bool { return t == "" || len(t) > maxTag }) {
			return fault.Invalidf("Invalid input for tags. Reason: at most %d tags of 1 to %d characters.", maxTags, maxTag).With("HTTPBadRequest")
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
