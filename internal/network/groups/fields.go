package groups

import (
	"context"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of security groups and their rules.
func Rules() []policy.Rule {
	out := wire.Rules(wire.Member, "create_security_group", "update_security_group", "delete_security_group")
	out = append(out, policy.Rule{Name: "shared_security_group", Check: "field:security_groups:shared=True", Description: "Shared security groups."})
	out = append(out, wire.Rules(wire.Reader+" or rule:shared_security_group", "get_security_group")...)
	out = append(out, wire.Rules("rule:admin_only or (role:reader and rule:sg_owner)", "get_security_group_rule")...)
	out = append(out, wire.Rules("rule:admin_only or (role:member and rule:sg_owner)", "create_security_group_rule", "delete_security_group_rule")...)
	out = append(out, wire.Rules("role:reader", "get_default_security_group_rule")...)
	return append(out, wire.Rules(wire.Admin, "get_security_groups:all", "create_default_security_group_rule", "delete_default_security_group_rule")...)
}

func std(g *network.SecurityGroup) *network.Standard { return &g.Standard }

func audience(g *network.SecurityGroup) network.Audience { return g.SharedWith }

func groupResource(r *records.Records, rules *rest.Resource[network.Rule]) *rest.Resource[network.SecurityGroup] {
	return &rest.Resource[network.SecurityGroup]{
		One: "security_group", Many: "security_groups", Show: "get_security_group", All: "get_security_groups:all", Visible: wire.VisibleTo(2),
		ID: func(g *network.SecurityGroup) string { return g.ID }, TargetFor: wire.SharedTarget(std, audience),
		Store: r.Groups, NotFound: wire.Missing("SecurityGroupNotFound", "Security group %s does not exist"), Filters: append(wire.TagFilters(), wire.SharedFilter()),
		Fields: append(wire.Tagged(std), []rest.Field[network.SecurityGroup]{
			{Name: "stateful", Column: "stateful", Kind: rest.Flag, Get: func(g *network.SecurityGroup) any { return g.Stateful }},
			wire.SharedField(audience),
			{Name: "security_group_rules", Get: func(g *network.SecurityGroup) any {
				out := make([]map[string]any, len(g.Rules))
				for i := range g.Rules {
					out[i] = map[string]any{}
					for _, f := range rules.Fields {
						out[i][f.Name] = f.Get(&g.Rules[i])
					}
				}
				return out
			}},
		}...),
	}
}

func ruleResource(r *records.Records) *rest.Resource[network.Rule] {
	target := func(rule *network.Rule) policy.Target {
		t := wire.Target(rule.ProjectID)
		g, err := r.Groups.Get(context.Background(), rule.GroupID)
		if err == nil { // otherwise it was just deleted: only the owner and administrators see the rule
			t["security_group:tenant_id"] = g.ProjectID
		}
		return t
	}
	return &rest.Resource[network.Rule]{
		One: "security_group_rule", Many: "security_group_rules", Show: "get_security_group_rule", All: "get_security_groups:all", Visible: wire.VisibleTo(2),
		ID: func(r *network.Rule) string { return r.ID }, Target: target, Store: r.Rules,
		NotFound: wire.Missing("SecurityGroupRuleNotFound", "Security group rule %s does not exist"),
		Fields: append(wire.Standard(func(r *network.Rule) *network.Standard { return &r.Standard }), []rest.Field[network.Rule]{
			{Name: "security_group_id", Column: "group_id", Get: func(r *network.Rule) any { return r.GroupID }},
			{Name: "direction", Column: "direction", Get: func(r *network.Rule) any { return r.Direction }},
			{Name: "ethertype", Column: "ethertype", Get: func(r *network.Rule) any { return r.EtherType }},
			{Name: "protocol", Column: "protocol", Get: func(r *network.Rule) any { return wire.Text(r.Protocol) }},
			{Name: "port_range_min", Column: "port_min", Kind: rest.Number, Get: func(r *network.Rule) any { return r.PortMin }},
			{Name: "port_range_max", Column: "port_max", Kind: rest.Number, Get: func(r *network.Rule) any { return r.PortMax }},
			{Name: "remote_group_id", Column: "remote_group_id", Get: func(r *network.Rule) any { return wire.Text(r.RemoteGroupID) }},
			{Name: "remote_ip_prefix", Column: "remote_ip_prefix", Get: func(r *network.Rule) any { return remote(r, false) }},
			{Name: "remote_address_group_id", Column: "address_group_id", Get: func(r *network.Rule) any { return wire.Text(r.AddressGroupID) }},
			{Name: "normalized_cidr", Get: func(r *network.Rule) any { return remote(r, true) }},
		}...),
	}
}

func remote(r *network.Rule, normal bool) any {
	if !r.RemotePrefix.IsValid() {
		return nil
	}
	if normal {
		return r.RemotePrefix.Masked().String()
	}
	return r.RemotePrefix.String()
}

func templateResource(r *records.Records) *rest.Resource[network.RuleTemplate] {
	return &rest.Resource[network.RuleTemplate]{
		One: "default_security_group_rule", Many: "default_security_group_rules", Show: "get_default_security_group_rule",
		ID: func(t *network.RuleTemplate) string { return t.ID }, Target: func(*network.RuleTemplate) policy.Target { return policy.Target{} }, Store: r.Templates,
		NotFound: wire.Missing("DefaultSecurityGroupRuleNotFound", "Default Security Group rule %s does not exist"),
		Fields: []rest.Field[network.RuleTemplate]{
			{Name: "id", Column: "id", Get: func(t *network.RuleTemplate) any { return t.ID }},
			{Name: "description", Column: "description", Get: func(t *network.RuleTemplate) any { return t.Description }},
			{Name: "direction", Column: "direction", Get: func(t *network.RuleTemplate) any { return t.Direction }},
			{Name: "ethertype", Column: "ethertype", Get: func(t *network.RuleTemplate) any { return t.EtherType }},
			{Name: "protocol", Column: "protocol", Get: func(t *network.RuleTemplate) any { return wire.Text(t.Protocol) }},
			{Name: "port_range_min", Column: "port_min", Kind: rest.Number, Get: func(t *network.RuleTemplate) any { return t.PortMin }},
			{Name: "port_range_max", Column: "port_max", Kind: rest.Number, Get: func(t *network.RuleTemplate) any { return t.PortMax }},
			{Name: "remote_group_id", Column: "remote_group_id", Get: func(t *network.RuleTemplate) any { return wire.Text(t.RemoteGroupID) }},
			{Name: "remote_ip_prefix", Column: "remote_ip_prefix", Get: func(t *network.RuleTemplate) any { return remote(&t.Rule, false) }},
			{Name: "remote_address_group_id", Column: "address_group_id", Get: func(t *network.RuleTemplate) any { return wire.Text(t.AddressGroupID) }},
			{Name: "used_in_default_sg", Column: "in_default", Kind: rest.Flag, Get: func(t *network.RuleTemplate) any { return t.InDefault }},
			{Name: "used_in_non_default_sg", Column: "in_others", Kind: rest.Flag, Get: func(t *network.RuleTemplate) any { return t.InOthers }},
		},
	}
}
