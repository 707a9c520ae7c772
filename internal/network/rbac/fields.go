package rbac

import (
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of sharing policies.
func Rules() []policy.Rule {
	out := []policy.Rule{{Name: "restrict_wildcard", Description: "Only administrators share with everybody.",
		Check: "(not field:rbac_policy:target_tenant=* and not field:rbac_policy:target_project=*) or rule:admin_only"}}
	out = append(out, wire.Rules(wire.Member, "create_rbac_policy", "update_rbac_policy", "delete_rbac_policy")...)
	out = append(out, wire.Rules(wire.Reader, "get_rbac_policy")...)
	out = append(out, wire.Rules("rule:admin_only or rule:restrict_wildcard", "create_rbac_policy:target_tenant", "update_rbac_policy:target_tenant")...)
	return append(out, wire.Rules(wire.Admin, "get_rbac_policies:all")...)
}

func target(p *network.SharePolicy) policy.Target {
	t := wire.Target(p.ProjectID)
	t["target_tenant"], t["target_project"] = p.Target, p.Target
	return t
}

func resource(r *records.Records) *rest.Resource[network.SharePolicy] {
	return &rest.Resource[network.SharePolicy]{
		One: "rbac_policy", Many: "rbac_policies", Show: "get_rbac_policy", All: "get_rbac_policies:all", Visible: wire.VisibleTo(1),
		ID: func(p *network.SharePolicy) string { return p.ID }, Target: target, Store: r.Shares,
		NotFound: wire.Missing("RbacPolicyNotFound", "RBAC policy of type unknown with ID %s not found"),
		Fields: []rest.Field[network.SharePolicy]{
			{Name: "id", Column: "id", Get: func(p *network.SharePolicy) any { return p.ID }},
			{Name: "tenant_id", Column: "project_id", Get: func(p *network.SharePolicy) any { return p.ProjectID }},
			{Name: "project_id", Column: "project_id", Get: func(p *network.SharePolicy) any { return p.ProjectID }},
			{Name: "object_type", Column: "object_type", Get: func(p *network.SharePolicy) any { return p.ObjectType }},
			{Name: "object_id", Column: "object_id", Get: func(p *network.SharePolicy) any { return p.ObjectID }},
			{Name: "action", Column: "action", Get: func(p *network.SharePolicy) any { return p.Action }},
			{Name: "target_tenant", Column: "target", Get: func(p *network.SharePolicy) any { return p.Target }},
			{Name: "target_project", Column: "target", Hidden: true},
		},
	}
}
