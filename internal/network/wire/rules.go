package wire

import "github.com/mekcloud/mek/internal/policy"

// The checks of this service, in upstream's words.
const (
	Member       = policy.ProjectMemberOrAdmin
	Reader       = policy.ProjectReaderOrAdmin
	Admin        = "rule:admin_only"
	NetworkOwner = "rule:admin_or_network_owner"
)

// BaseRules are the rules that others refer to.
func BaseRules() []policy.Rule {
	return []policy.Rule{
		{Name: "owner", Check: "tenant_id:%(tenant_id)s", Description: "The owning project."},
		{Name: "shared", Check: "field:networks:shared=True", Description: "Shared networks."},
		{Name: "external", Check: "field:networks:router:external=True", Description: "External networks."},
		{Name: "network_owner", Check: "tenant_id:%(network:tenant_id)s", Description: "Who owns the network of a port or subnet."},
		{Name: "admin_or_network_owner", Check: "rule:context_is_admin or rule:network_owner", Description: "Administrators, and who owns the network."},
		{Name: "network_device", Check: "field:port:device_owner=~^network:", Description: "Ports of the network's own devices."},
	}
}

// Rules makes rules of one check.
func Rules(check string, names ...string) []policy.Rule {
	out := make([]policy.Rule, len(names))
	for i, n := range names {
		out[i] = policy.Rule{Name: n, Check: check, Scopes: []string{"project"}, Description: "See upstream's documentation of " + n + "."}
	}
	return out
}
