package qos

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct {
	*Service
	resource *rest.Resource[network.QoSPolicy]
}

// Routes are the operations of QoS policies and rules.
func (s *Service) Routes() []rest.Route {
	a := &api{s, resource(s.records)}
	const all, one = "/v2.0/qos/policies", "/v2.0/qos/policies/{id}"
	out := []rest.Route{
		{Method: "GET", Path: all, Rule: "get_policy", Handle: a.resource.Index},
		{Method: "POST", Path: all, Rule: "create_policy", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "get_policy", Object: true, Handle: a.resource.Read},
		{Method: "PUT", Path: one, Rule: "update_policy", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "delete_policy", Object: true, Audit: "delete", Handle: a.remove},
		{Method: "GET", Path: "/v2.0/qos/rule-types", Rule: "get_rule_type", Handle: types},
		{Method: "GET", Path: "/v2.0/qos/rule-types/{type}", Rule: "get_rule_type", Handle: oneType},
	}
	for _, k := range kinds() {
		out = append(out, a.ruleRoutes(k)...)
	}
	return out
}

type body struct {
	Name        *string    `json:"name" v:"max=255"`
	Description *string    `json:"description" v:"max=255"`
	Shared      *rest.Bool `json:"shared"`
	IsDefault   *rest.Bool `json:"is_default"`
}

func (b body) apply(p *network.QoSPolicy) {
	if b.Name != nil {
		p.Name = *b.Name
	}
	if b.Description != nil {
		p.Description = *b.Description
	}
	if b.IsDefault != nil {
		p.IsDefault = bool(*b.IsDefault)
	}
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	in, err := wire.One[struct {
		body
		TenantID  *string `json:"tenant_id" v:"max=255"`
		ProjectID *string `json:"project_id" v:"max=255"`
	}](c, "policy")
	if err != nil {
		return rest.Reply{}, err
	}
	owner, err := wire.Owner(c, in.TenantID, in.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	p := &network.QoSPolicy{Standard: network.Standard{ID: id.New(), ProjectID: owner}}
	in.apply(p)
	if err := a.Create(c.Context(), p, in.Shared != nil && bool(*in.Shared), c.Event("policy", p.ID, owner)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(a.resource.Body(c, p))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	p, in, err := wire.Change[network.QoSPolicy, body](c, a.resource)
	if err != nil {
		return rest.Reply{}, err
	}
	if p, err = a.Update(c.Context(), p.ID, in.apply, (*bool)(in.Shared), c.Event("policy", p.ID, p.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.resource.Body(c, p))
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	return wire.Remove(c, a.resource, func(p *network.QoSPolicy) error {
		return a.Delete(c.Context(), p.ID, c.Event("policy", p.ID, p.ProjectID))
	})
}

func types(*rest.Call) (rest.Reply, error) {
	out := []any{}
	for _, k := range kinds() {
		out = append(out, map[string]string{"type": k.name})
	}
	return rest.OK(map[string]any{"rule_types": out})
}

func oneType(c *rest.Call) (rest.Reply, error) {
	for _, k := range kinds() {
		if k.name == c.Var("type") {
			return rest.OK(map[string]any{"rule_type": map[string]any{"type": k.name,
				"drivers": []any{map[string]any{"name": "ovn", "supported_parameters": k.parameters}}}})
		}
	}
	return rest.Reply{}, fault.NotFoundf("Rule type %s could not be found.", c.Var("type")).With("HTTPNotFound")
}
