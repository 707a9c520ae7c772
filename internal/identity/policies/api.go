package policies

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are upstream's rules for policies.
func Rules() []policy.Rule {
	rules := []policy.Rule{
		wire.Rule("get_policy", wire.AdminOrSystemReader, wire.SystemProject, "Show a policy."),
		wire.Rule("list_policies", wire.AdminOrSystemReader, wire.SystemProject, "List policies."),
		wire.Rule("get_policy_for_endpoint", wire.AdminOrSystemReader, wire.SystemProject, "Show the policy of an endpoint."),
		wire.Rule("list_endpoints_for_policy", wire.AdminOrSystemReader, wire.SystemProject, "List the endpoints of a policy."),
	}
	for _, verb := range []string{"create", "update", "delete"} {
		rules = append(rules, wire.Rule(verb+"_policy", wire.AdminRequired, wire.SystemProject, "Change policies."))
	}
	for _, target := range []string{"endpoint", "service", "region_and_service"} {
		rules = append(rules,
			wire.Rule("create_policy_association_for_"+target, wire.AdminRequired, wire.SystemProject, "Give a target a policy."),
			wire.Rule("check_policy_association_for_"+target, wire.AdminOrSystemReader, wire.SystemProject, "Check the policy of a target."),
			wire.Rule("delete_policy_association_for_"+target, wire.AdminRequired, wire.SystemProject, "Take a policy from a target."))
	}
	return rules
}

type api struct {
	s        *Service
	endpoint func(*rest.Call, *identity.Endpoint) map[string]any
}

// Routes are the operations on policies. endpoint shows an endpoint.
func (s *Service) Routes(endpoint func(*rest.Call, *identity.Endpoint) map[string]any) []rest.Route {
	a := &api{s, endpoint}
	const all, one = "/v3/policies", "/v3/policies/{id}"
	routes := []rest.Route{
		{Method: "GET", Path: all, Rule: "identity:list_policies", Handle: a.list},
		{Method: "POST", Path: all, Rule: "identity:create_policy", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "identity:get_policy", Handle: a.show},
		{Method: "PATCH", Path: one, Rule: "identity:update_policy", Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "identity:delete_policy", Audit: "delete", Handle: a.delete},
		{Method: "GET", Path: one + "/OS-ENDPOINT-POLICY/endpoints", Rule: "identity:list_endpoints_for_policy", Handle: a.endpoints},
		{Method: "GET", Path: "/v3/endpoints/{endpoint}/OS-ENDPOINT-POLICY/policy", Rule: "identity:get_policy_for_endpoint", Handle: a.of},
	}
	for _, t := range []struct{ path, name string }{{"/endpoints/{endpoint}", "endpoint"}, {"/services/{service}", "service"},
		{"/services/{service}/regions/{region}", "region_and_service"}} {
		path := one + "/OS-ENDPOINT-POLICY" + t.path
		routes = append(routes,
			rest.Route{Method: "PUT", Path: path, Rule: "identity:create_policy_association_for_" + t.name, Audit: "update", Handle: a.tie},
			rest.Route{Method: "GET", Path: path, Rule: "identity:check_policy_association_for_" + t.name, Handle: a.tied},
			rest.Route{Method: "DELETE", Path: path, Rule: "identity:delete_policy_association_for_" + t.name, Audit: "update", Handle: a.untie})
	}
	return routes
}

func view(c *rest.Call, p *identity.Policy) map[string]any {
	return wire.With(map[string]any{"id": p.ID, "type": p.Type, "blob": p.Blob, "links": wire.Self(c, "/policies/"+p.ID)}, p.Extra)
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	return wire.List[identity.Policy]{Many: "policies", Filters: wire.Text("type", "type"), Load: a.s.List, View: view,
		ID: func(p *identity.Policy) string { return p.ID }}.Reply(c)
}

type input struct {
	Type *string `json:"type" v:"max=255"`
	Blob *string `json:"blob"`
}

func (in input) over(p *identity.Policy) {
	if in.Type != nil {
		p.Type = *in.Type
	}
	if in.Blob != nil {
		p.Blob = *in.Blob
	}
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in input
	extra, err := wire.Body(c, "policy", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	if in.Type == nil || in.Blob == nil {
		return rest.Reply{}, fault.Invalidf("'blob' and 'type' are required properties")
	}
	p := identity.Policy{Extra: extra}
	in.over(&p)
	return wire.Made(c, "policy", view)(a.s.Create(c.Context(), p))
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	return wire.Shown(c, "policy", view)(a.s.Get(c.Context(), c.Var("id")))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	var in input
	extra, err := wire.Body(c, "policy", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	return wire.Shown(c, "policy", view)(a.s.Update(c.Context(), c.Var("id"), func(p *identity.Policy) {
		in.over(p)
		p.Extra = wire.Merge(p.Extra, extra)
	}))
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.s.Delete(c.Context(), c.Var("id")))
}

// target reads what the path names.
func target(c *rest.Call) identity.PolicyTarget {
	return identity.PolicyTarget{EndpointID: c.Var("endpoint"), ServiceID: c.Var("service"), RegionID: c.Var("region")}
}

func (a *api) tie(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.s.Tie(c.Context(), c.Var("id"), target(c)))
}

func (a *api) tied(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.s.Tied(c.Context(), c.Var("id"), target(c)))
}

func (a *api) untie(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.s.Untie(c.Context(), c.Var("id"), target(c)))
}

func (a *api) endpoints(c *rest.Call) (rest.Reply, error) {
	return wire.Listed(c, "endpoints", a.endpoint)(a.s.Endpoints(c.Context(), c.Var("id")))
}

func (a *api) of(c *rest.Call) (rest.Reply, error) {
	return wire.Shown(c, "policy", view)(a.s.Of(c.Context(), c.Var("endpoint")))
}
