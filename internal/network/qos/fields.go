package qos

import (
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of QoS policies and their rules.
func Rules() []policy.Rule {
	out := []policy.Rule{{Name: "shared_qos_policy", Check: "field:policies:shared=True", Description: "Shared QoS policies."}}
	out = append(out, wire.Rules(wire.Manager, "create_policy", "update_policy", "delete_policy")...)
	out = append(out, wire.Rules(wire.Reader+" or rule:shared_qos_policy", "get_policy")...)
	out = append(out, wire.Rules("role:reader", "get_rule_type")...)
	for _, k := range kinds() {
		for _, prefix := range []string{"policy_", "alias_"} {
			out = append(out, wire.Rules(wire.ParentReader, "get_"+prefix+k.one)...)
			out = append(out, wire.Rules(wire.ParentManager, "update_"+prefix+k.one, "delete_"+prefix+k.one)...)
		}
		out = append(out, wire.Rules(wire.ParentManager, "create_policy_"+k.one)...)
	}
	return append(out, wire.Rules(wire.Admin, "get_policies:all")...)
}

func std(p *network.QoSPolicy) *network.Standard { return &p.Standard }

func audience(p *network.QoSPolicy) network.Audience { return p.SharedWith }

func resource(r *records.Records) *rest.Resource[network.QoSPolicy] {
	return &rest.Resource[network.QoSPolicy]{
		One: "policy", Many: "policies", Show: "get_policy", All: "get_policies:all", Visible: wire.VisibleTo(2),
		ID: func(p *network.QoSPolicy) string { return p.ID }, TargetFor: wire.SharedTarget(std, audience), Store: r.Policies,
		NotFound: wire.Missing("QosPolicyNotFound", "QoS policy %s could not be found."), Filters: append(wire.TagFilters(), wire.SharedFilter()),
		Fields: append(wire.Tagged(std), []rest.Field[network.QoSPolicy]{
			{Name: "is_default", Column: "is_default", Kind: rest.Flag, Get: func(p *network.QoSPolicy) any { return p.IsDefault }},
			{Name: "rules", Get: ruleViews},
			wire.SharedField(audience),
		}...),
	}
}

func ruleViews(p *network.QoSPolicy) any {
	out := make([]map[string]any, 0, len(p.Rules))
	for i := range p.Rules {
		r := &p.Rules[i]
		view := map[string]any{"qos_policy_id": r.PolicyID, "type": r.Kind}
		for _, k := range kinds() {
			if k.name == r.Kind {
				for _, f := range k.fields {
					view[f.Name] = f.Get(r)
				}
			}
		}
		out = append(out, view)
	}
	return out
}

// kind is one kind of rules as the API has it.
type kind struct {
	name, one, many string
	fields          []rest.Field[network.QoSRule]
	parameters      []any // what the engine supports of it
}

func kinds() []kind {
	id := rest.Field[network.QoSRule]{Name: "id", Column: "id", Get: func(r *network.QoSRule) any { return r.ID }}
	return []kind{
		{network.BandwidthLimit, "bandwidth_limit_rule", "bandwidth_limit_rules", []rest.Field[network.QoSRule]{id,
			{Name: "max_kbps", Column: "rate", Kind: rest.Number, Get: func(r *network.QoSRule) any { return r.Rate }},
			{Name: "max_burst_kbps", Column: "burst", Kind: rest.Number, Get: func(r *network.QoSRule) any { return r.Burst }},
			{Name: "direction", Column: "direction", Get: func(r *network.QoSRule) any { return r.Direction }}},
			[]any{span("max_kbps", 1, maxRate), span("max_burst_kbps", 0, maxRate), choice("direction", network.Egress, network.Ingress)}},
		{network.DSCPMarking, "dscp_marking_rule", "dscp_marking_rules", []rest.Field[network.QoSRule]{id,
			{Name: "dscp_mark", Column: "rate", Kind: rest.Number, Get: func(r *network.QoSRule) any { return r.Rate }}},
			[]any{choice("dscp_mark", marks()...)}},
	}
}

func span(name string, low, high int) map[string]any {
	return map[string]any{"parameter_name": name, "parameter_type": "range", "parameter_values": map[string]int{"start": low, "end": high}}
}

func choice[T any](name string, values ...T) map[string]any {
	return map[string]any{"parameter_name": name, "parameter_type": "choices", "parameter_values": values}
}

// maxRate is upstream's limit of numbers.
const maxRate = 1<<31 - 1

// marks are the valid marks of packets.
func marks() []int {
	return []int{0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 46, 48, 56}
}

func (k kind) resource(r *records.Records) *rest.Resource[network.QoSRule] {
	return &rest.Resource[network.QoSRule]{
		One: k.one, Many: k.many, Show: "get_policy_" + k.one, ID: func(r *network.QoSRule) string { return r.ID },
		Target: func(r *network.QoSRule) policy.Target { return wire.ParentTarget(r.ProjectID) }, Store: r.QoSRules, Fields: k.fields,
	}
}
