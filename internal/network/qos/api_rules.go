package qos

import (
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

// ruleAPI is the operations of one kind of rules.
type ruleAPI struct {
	*api
	kind  kind
	rules *rest.Resource[network.QoSRule]
}

func (a *api) ruleRoutes(k kind) []rest.Route {
	r := &ruleAPI{a, k, k.resource(a.records)}
	all := "/v2.0/qos/policies/{policy}/" + k.many
	one, alias := all+"/{id}", "/v2.0/qos/alias_"+k.many+"/{id}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: "get_policy_" + k.one, Object: true, Handle: r.list},
		{Method: "POST", Path: all, Rule: "create_policy_" + k.one, Object: true, Audit: "create", Handle: r.create},
		{Method: "GET", Path: one, Rule: "get_policy_" + k.one, Object: true, Handle: r.show},
		{Method: "PUT", Path: one, Rule: "update_policy_" + k.one, Object: true, Audit: "update", Handle: r.update},
		{Method: "DELETE", Path: one, Rule: "delete_policy_" + k.one, Object: true, Audit: "delete", Handle: r.remove},
		{Method: "GET", Path: alias, Rule: "get_alias_" + k.one, Object: true, Handle: r.show},
		{Method: "PUT", Path: alias, Rule: "update_alias_" + k.one, Object: true, Audit: "update", Handle: r.update},
		{Method: "DELETE", Path: alias, Rule: "delete_alias_" + k.one, Object: true, Audit: "delete", Handle: r.remove},
	}
}

// policy finds the policy in the path and asks the route's rule about it.
func (r *ruleAPI) policy(c *rest.Call) (*network.QoSPolicy, error) {
	p, err := r.resource.Peek(c, c.Var("policy"))
	if err != nil {
		return nil, err
	}
	return p, c.Authorize(wire.ParentTarget(p.ProjectID))
}

// rule finds the rule in the path, of the policy in the path if it names one.
func (r *ruleAPI) rule(c *rest.Call) (*network.QoSRule, error) {
	missing := func(policyID string) error {
		return fault.NotFoundf("QoS rule %s for policy %s could not be found.", c.Var("id"), policyID).With("QosRuleNotFound")
	}
	policyID := c.Var("policy")
	if policyID != "" {
		if _, err := r.policy(c); err != nil {
			return nil, err
		}
	}
	rule, err := r.records.QoSRules.Get(c.Context(), c.Var("id"))
	if fault.Is(err, fault.NotFound) || err == nil && (rule.Kind != r.kind.name || policyID != "" && rule.PolicyID != policyID) {
		return nil, missing(policyID)
	}
	if err != nil {
		return nil, err
	}
	if policyID == "" {
		if _, err := r.resource.Peek(c, rule.PolicyID); err != nil {
			return nil, missing("")
		}
	}
	return rule, c.Authorize(wire.ParentTarget(rule.ProjectID))
}

func (r *ruleAPI) list(c *rest.Call) (rest.Reply, error) {
	p, err := r.policy(c)
	if err != nil {
		return rest.Reply{}, err
	}
	body, err := r.rules.ListBody(c, records.Is("policy_id", p.ID), records.Is("kind", r.kind.name))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(body)
}

func (r *ruleAPI) show(c *rest.Call) (rest.Reply, error) {
	rule, err := r.rule(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(r.rules.Body(c, rule))
}

type ruleBody struct {
	Rate      *rest.Int `json:"max_kbps"`
	Burst     *rest.Int `json:"max_burst_kbps"`
	Direction *string   `json:"direction" v:"enum=egress|ingress"`
	Mark      *rest.Int `json:"dscp_mark"`
	TenantID  *string   `json:"tenant_id"`
	ProjectID *string   `json:"project_id"`
}

// apply writes what a body names into a rule and refuses what its kind has not,
// or what the engine cannot do.
func (b ruleBody) apply(r *network.QoSRule) error {
	bad := func(what, format string, args ...any) error {
		return fault.Invalidf("Invalid input for "+what+". Reason: "+format, args...).With("HTTPBadRequest")
	}
	if r.Kind == network.DSCPMarking {
		if b.Rate != nil || b.Burst != nil || b.Direction != nil {
			return bad("dscp_marking_rule", "it has the attribute dscp_mark and no other.")
		}
		if b.Mark != nil {
			r.Rate = int(*b.Mark)
		}
		if !slices.Contains(marks(), r.Rate) {
			return bad("dscp_mark", "'%d' is not in %v.", r.Rate, marks())
		}
		return nil
	}
	if b.Mark != nil {
		return bad("bandwidth_limit_rule", "it has no attribute dscp_mark.")
	}
	for _, n := range []struct {
		to   *int
		from *rest.Int
	}{{&r.Rate, b.Rate}, {&r.Burst, b.Burst}} {
		if n.from != nil {
			*n.to = int(*n.from)
		}
	}
	if b.Direction != nil {
		r.Direction = *b.Direction
	}
	if r.Rate < 1 || r.Rate > maxRate {
		return bad("max_kbps", "'%d' is not in range 1 through %d.", r.Rate, maxRate)
	}
	if r.Burst < 0 || r.Burst > maxRate {
		return bad("max_burst_kbps", "'%d' is not in range 0 through %d.", r.Burst, maxRate)
	}
	return nil
}

func (r *ruleAPI) create(c *rest.Call) (rest.Reply, error) {
	p, err := r.policy(c)
	if err != nil {
		return rest.Reply{}, err
	}
	in, err := wire.One[ruleBody](c, r.kind.one)
	if err != nil {
		return rest.Reply{}, err
	}
	rule := &network.QoSRule{Standard: network.Standard{ID: id.New(), ProjectID: p.ProjectID}, PolicyID: p.ID, Kind: r.kind.name, Direction: network.Egress, Rate: -1}
	if err := in.apply(rule); err != nil {
		return rest.Reply{}, err
	}
	if err := r.AddRule(c.Context(), rule, c.Event(r.kind.one, rule.ID, p.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(r.rules.Body(c, rule))
}

func (r *ruleAPI) update(c *rest.Call) (rest.Reply, error) {
	rule, err := r.rule(c)
	if err != nil {
		return rest.Reply{}, err
	}
	in, err := wire.One[ruleBody](c, r.bodyName(c))
	if err != nil {
		return rest.Reply{}, err
	}
	if rule, err = r.UpdateRule(c.Context(), rule, in.apply, c.Event(r.kind.one, rule.ID, rule.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(r.rules.Body(c, rule))
}

// bodyName is the envelope: of aliases it has another name.
func (r *ruleAPI) bodyName(c *rest.Call) string {
	if c.Var("policy") == "" {
		return "alias_" + r.kind.one
	}
	return r.kind.one
}

func (r *ruleAPI) remove(c *rest.Call) (rest.Reply, error) {
	rule, err := r.rule(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := r.RemoveRule(c.Context(), rule, c.Event(r.kind.one, rule.ID, rule.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
