package networkapi_test

import (
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

// TestSharedGroupsStayTheirOwners: whom a security group is shared with uses it,
// and neither adds rules to it nor takes any away.
func TestSharedGroupsStayTheirOwners(t *testing.T) {
	cloud := testcloud.New(t)
	owner, other := cloud.Admin, cloud.Demo
	group := create(owner, "security_group", "security-groups", m{"name": "doors"}).Expect(201).String("security_group.id")
	rule := m{"security_group_id": group, "direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
	made := create(owner, "security_group_rule", "security-group-rules", rule).Expect(201).String("security_group_rule.id")
	create(other, "security_group_rule", "security-group-rules", rule).Expect(404)
	create(owner, "rbac_policy", "rbac-policies", m{"object_type": "security_group", "object_id": group, "action": "access_as_shared",
		"target_tenant": other.ProjectID}).Expect(201)
	other.Get(base + "/security-groups/" + group).Expect(200)
	rule["port_range_min"], rule["port_range_max"] = 80, 80
	create(other, "security_group_rule", "security-group-rules", rule).Expect(403)
	other.Do("DELETE", base+"/security-group-rules/"+made, nil).Expect(404)
	if got := owner.Get(base + "/security-group-rules?security_group_id=" + group).Expect(200); len(got.List("security_group_rules")) != 3 {
		t.Errorf("rules of the group: %s", got.Body)
	}
	network := create(owner, "network", "networks", m{"name": "wan", "router:external": true}).Expect(201).String("network.id")
	subnet := create(owner, "subnet", "subnets", m{"network_id": network, "cidr": "198.51.100.0/24", "ip_version": 4}).Expect(201).String("subnet.id")
	other.Get(base + "/subnets/" + subnet).Expect(404) // of an external network
	if got := other.Get(base + "/subnets?id=" + subnet).Expect(200); len(got.List("subnets")) != 0 {
		t.Errorf("listed: %s", got.Body)
	}
	other.Do("DELETE", base+"/subnets/"+subnet, nil).Expect(404)
	create(other, "subnet", "subnets", m{"network_id": network, "cidr": "198.51.101.0/24", "ip_version": 4}).Expect(403)
}
