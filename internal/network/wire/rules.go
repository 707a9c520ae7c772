package wire

import "github.com/mekcloud/mek/internal/policy"

// The checks of this service, in upstream's words.
const (
	Member        = policy.ProjectMemberOrAdmin
	Reader        = policy.ProjectReaderOrAdmin
	Manager       = "rule:project_manager_or_admin"
	Admin         = "rule:admin_only"
	ParentReader  = "rule:admin_only or (role:reader and rule:ext_parent_owner)"
	ParentMember  = "rule:admin_only or (role:member and rule:ext_parent_owner)"
	ParentManager = "rule:admin_only or (role:manager and rule:ext_parent_owner)"
	NetworkMember = "rule:admin_only or (role:member and rule:network_owner)"
	Service       = "rule:admin_only or rule:service_api"
)

// BaseRules are the rules that others refer to.
func BaseRules() []policy.Rule {
	return []policy.Rule{
		{Name: "owner", Check: "tenant_id:%(tenant_id)s", Description: "The owning project."},
		{Name: "default", Check: "rule:admin_or_owner", Description: "Rules without a default of their own."},
		{Name: "regular_user", Check: "", Description: "Everyone."},
		{Name: "context_is_advsvc", Check: "role:advsvc", Description: "Services, by an older name of their role."},
		{Name: "external_network", Check: "field:subnets:router:external=True", Description: "Subnets of external networks."},
		{Name: "sg_owner", Check: "tenant_id:%(security_group:tenant_id)s", Description: "Who owns the security group of a rule."},
		{Name: "admin_or_sg_owner", Check: "rule:context_is_admin or rule:sg_owner", Description: "Administrators, and who owns the security group."},
		{Name: "admin_owner_or_sg_owner", Check: "rule:owner or rule:admin_or_sg_owner", Description: "As admin_or_sg_owner, and the owning project."},
		{Name: "admin_owner_or_network_owner", Check: "rule:owner or rule:admin_or_network_owner", Description: "As admin_or_network_owner, and the owning project."},
		{Name: "admin_or_ext_parent_owner", Check: "rule:context_is_admin or rule:ext_parent_owner", Description: "Administrators, and who owns what an object is part of."},
		{Name: "shared", Check: "field:networks:shared=True", Description: "Shared networks."},
		{Name: "external", Check: "field:networks:router:external=True", Description: "External networks."},
		{Name: "network_owner", Check: "tenant_id:%(network:tenant_id)s", Description: "Who owns the network of a port or subnet."},
		{Name: "admin_or_network_owner", Check: "rule:context_is_admin or rule:network_owner", Description: "Administrators, and who owns the network."},
		{Name: "ext_parent_owner", Check: "tenant_id:%(ext_parent:tenant_id)s", Description: "Who owns what an object is part of."},
		{Name: "network_device", Check: "field:port:device_owner=~^network:", Description: "Ports of the network's own devices."},
	}
}

// ParentTarget is what policy asks about a part of a resource of a project.
func ParentTarget(project string) policy.Target {
	t := Target(project)
	t["ext_parent:tenant_id"], t["ext_parent:project_id"] = project, project
	return t
}

// Rules makes rules of one check.
func Rules(check string, names ...string) []policy.Rule {
	out := make([]policy.Rule, len(names))
	for i, n := range names {
		out[i] = policy.Rule{Name: n, Check: check, Scopes: []string{"project"}, Description: "See upstream's documentation of " + n + "."}
	}
	return out
}
