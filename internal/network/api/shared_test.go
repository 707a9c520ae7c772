package networkapi_test

import (
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/testcloud"
)

// TestSharing shares a network with one project, then with all: who may see
// and use it follows, and what is used cannot be taken back.
func TestSharing(t *testing.T) { dbtest.EachOne(t, onSharing) }

func onSharing(t *testing.T) {
	cloud := testcloud.New(t)
	admin, demo := cloud.Admin, cloud.Demo
	netID := create(admin, "network", "networks", m{"name": "mine"}).Expect(201).String("network.id")
	create(admin, "subnet", "subnets", m{"network_id": netID, "cidr": "10.1.0.0/24", "ip_version": 4}).Expect(201)
	demo.Get(base + "/networks/" + netID).Expect(404)
	policy := m{"object_type": "network", "object_id": netID, "action": "access_as_shared", "target_tenant": demo.ProjectID}
	create(demo, "rbac_policy", "rbac-policies", policy).Expect(404)
	one := create(admin, "rbac_policy", "rbac-policies", policy).Expect(201).String("rbac_policy.id")
	create(admin, "rbac_policy", "rbac-policies", policy).Expect(409)
	if got := demo.Get(base + "/networks/" + netID).Expect(200); got.Value("network.shared") != true {
		t.Errorf("as its target sees it: %s", got.Body)
	}
	if got := admin.Get(base + "/networks/" + netID).Expect(200); got.Value("network.shared") != false {
		t.Errorf("as its owner sees it: %s", got.Body)
	}
	if got := demo.Get(base + "/networks?shared=true").Expect(200); len(got.List("networks")) != 1 {
		t.Errorf("shared ones: %s", got.Body)
	}
	if got := demo.Get(base + "/subnets").Expect(200); len(got.List("subnets")) != 1 {
		t.Errorf("its subnets: %s", got.Body)
	}
	port := create(demo, "port", "ports", m{"network_id": netID}).Expect(201).String("port.id")
	if got := admin.Do("DELETE", base+"/rbac-policies/"+one, nil).Expect(409); got.String("NeutronError.type") != "RbacPolicyInUse" {
		t.Errorf("while it is used: %s", got.Body)
	}
	policy["target_tenant"] = "*"
	create(admin, "rbac_policy", "rbac-policies", policy).Expect(201)
	if got := admin.Get(base + "/networks/" + netID).Expect(200); got.Value("network.shared") != true {
		t.Errorf("shared with all: %s", got.Body)
	}
	admin.Do("DELETE", base+"/rbac-policies/"+one, nil).Expect(204)
	admin.Do("PUT", base+"/networks/"+netID, m{"network": m{"shared": false}}).Expect(409)
	demo.Do("DELETE", base+"/ports/"+port, nil).Expect(204)
	admin.Do("PUT", base+"/networks/"+netID, m{"network": m{"shared": false}}).Expect(200)
	demo.Get(base + "/networks/" + netID).Expect(404)
	if got := admin.Get(base + "/rbac-policies?object_id=" + netID).Expect(200); len(got.List("rbac_policies")) != 0 {
		t.Errorf("policies left: %s", got.Body)
	}
	for name, bad := range map[string]m{
		"type":   {"object_type": "router", "action": "access_as_shared", "target_tenant": "*"},
		"action": {"object_type": "network", "action": "access_as_mine", "target_tenant": "*"},
		"target": {"object_type": "network", "action": "access_as_shared", "target_tenant": "all"},
		"none":   {"object_type": "network", "action": "access_as_shared"},
	} {
		bad["object_id"] = netID
		if got := create(admin, "rbac_policy", "rbac-policies", bad); got.Status != 400 {
			t.Errorf("bad %s: %d %s", name, got.Status, got.Body)
		}
	}
	own := create(demo, "network", "networks", m{"name": "own"}).Expect(201).String("network.id")
	create(demo, "rbac_policy", "rbac-policies", m{"object_type": "network", "object_id": own, "action": "access_as_shared", "target_tenant": "*"}).Expect(403)
}

func TestSubnetPools(t *testing.T) { dbtest.EachOne(t, onSubnetPools) }

func onSubnetPools(t *testing.T) {
	cloud := testcloud.New(t)
	demo, admin := cloud.Demo, cloud.Admin
	scope := create(demo, "address_scope", "address-scopes", m{"name": "s", "ip_version": 4}).Expect(201).String("address_scope.id")
	made := create(demo, "subnetpool", "subnetpools", m{"name": "p", "prefixes": []string{"10.8.0.0/24", "10.8.1.0/24"}, "default_prefixlen": 26, "address_scope_id": scope, "default_quota": 192}).Expect(201)
	pool := made.String("subnetpool.id")
	if got := made.String("subnetpool.prefixes.0") + " " + made.String("subnetpool.min_prefixlen") + " " + made.String("subnetpool.max_prefixlen"); got != "10.8.0.0/23 8 32" {
		t.Errorf("pool: %s", made.Body)
	}
	create(demo, "subnetpool", "subnetpools", m{"name": "q", "prefixes": []string{"10.8.1.128/25"}, "address_scope_id": scope}).Expect(409)
	create(demo, "subnetpool", "subnetpools", m{"name": "q", "prefixes": []string{"10.9.0.0/24", "2001:db8::/48"}}).Expect(400)
	create(demo, "subnetpool", "subnetpools", m{"name": "q", "prefixes": []string{"10.9.0.0/24"}, "min_prefixlen": 28, "max_prefixlen": 24}).Expect(400)
	create(demo, "subnetpool", "subnetpools", m{"name": "q", "prefixes": []string{"10.9.0.0/24"}, "is_default": true}).Expect(403)
	netID := create(demo, "network", "networks", m{"name": "n"}).Expect(201).String("network.id")
	sub := create(demo, "subnet", "subnets", m{"network_id": netID, "ip_version": 4, "subnetpool_id": pool}).Expect(201)
	if sub.String("subnet.cidr") != "10.8.0.0/26" || sub.String("subnet.gateway_ip") != "10.8.0.1" || sub.String("subnet.subnetpool_id") != pool {
		t.Errorf("cut: %s", sub.Body)
	}
	exact := create(demo, "subnet", "subnets", m{"network_id": netID, "ip_version": 4, "subnetpool_id": pool, "cidr": "10.8.1.0/25"}).Expect(201)
	create(demo, "subnet", "subnets", m{"network_id": netID, "ip_version": 4, "subnetpool_id": pool, "cidr": "10.8.1.0/26"}).Expect(409)
	if got := create(demo, "subnet", "subnets", m{"network_id": netID, "ip_version": 4, "subnetpool_id": pool}); got.Status != 409 || !strings.Contains(got.String("NeutronError.message"), "quota") {
		t.Errorf("over the quota of the pool: %d %s", got.Status, got.Body)
	}
	create(demo, "subnet", "subnets", m{"network_id": netID, "ip_version": 4, "cidr": "10.99.0.0/24"}).Expect(400)
	create(demo, "subnet", "subnets", m{"network_id": netID, "ip_version": 4, "use_default_subnetpool": true}).Expect(400)
	if got := demo.Get(base + "/networks/" + netID).Expect(200); got.String("network.ipv4_address_scope") != scope {
		t.Errorf("scope of the network: %s", got.Body)
	}
	demo.Do("DELETE", base+"/subnetpools/"+pool, nil).Expect(400)
	demo.Do("DELETE", base+"/address-scopes/"+scope, nil).Expect(409)
	demo.Do("PUT", base+"/subnetpools/"+pool, m{"subnetpool": m{"prefixes": []string{"10.8.0.0/24"}}}).Expect(400)
	demo.Do("PUT", base+"/subnetpools/"+pool+"/remove_prefixes", m{"prefixes": []string{"10.8.0.0/26"}}).Expect(400)
	if got := demo.Do("PUT", base+"/subnetpools/"+pool+"/add_prefixes", m{"prefixes": []string{"10.8.2.0/23"}}).Expect(200); len(got.List("prefixes")) != 1 || got.String("prefixes.0") != "10.8.0.0/22" {
		t.Errorf("more: %s", got.Body)
	}
	admin.Get(base + "/subnetpools/" + pool).Expect(200)
	demo.Do("DELETE", base+"/subnets/"+sub.String("subnet.id"), nil).Expect(204)
	demo.Do("DELETE", base+"/subnets/"+exact.String("subnet.id"), nil).Expect(204)
	other := create(demo, "network", "networks", m{"name": "o"}).Expect(201).String("network.id")
	create(demo, "subnet", "subnets", m{"network_id": other, "ip_version": 4, "cidr": "172.20.0.0/24"}).Expect(201)
	demo.Do("PUT", base+"/subnetpools/"+pool+"/onboard_network_subnets", m{"network_id": other}).Expect(200)
	if got := demo.Get(base + "/subnets?subnetpool_id=" + pool).Expect(200); len(got.List("subnets")) != 1 {
		t.Errorf("onboarded: %s", got.Body)
	}
	demo.Do("DELETE", base+"/networks/"+other, nil).Expect(204)
	demo.Do("DELETE", base+"/subnetpools/"+pool, nil).Expect(204)
	demo.Do("DELETE", base+"/address-scopes/"+scope, nil).Expect(204)
}

func TestQoSTrunksForwardings(t *testing.T) { dbtest.EachOne(t, onQoSTrunksForwardings) }

func onQoSTrunksForwardings(t *testing.T) {
	cloud := testcloud.New(t)
	demo, admin := cloud.Demo, cloud.Admin
	netID := create(demo, "network", "networks", m{"name": "n"}).Expect(201).String("network.id")
	subnet := create(demo, "subnet", "subnets", m{"network_id": netID, "ip_version": 4, "cidr": "10.4.0.0/24"}).Expect(201).String("subnet.id")
	create(demo, "policy", "qos/policies", m{"name": "fast"}).Expect(403)
	policy := create(admin, "policy", "qos/policies", m{"name": "slow"}).Expect(201).String("policy.id")
	rules := base + "/qos/policies/" + policy
	rule := admin.Do("POST", rules+"/bandwidth_limit_rules", m{"bandwidth_limit_rule": m{"max_kbps": 1000}}).Expect(201).String("bandwidth_limit_rule.id")
	admin.Do("POST", rules+"/bandwidth_limit_rules", m{"bandwidth_limit_rule": m{"max_kbps": 1000}}).Expect(409)
	admin.Do("POST", rules+"/bandwidth_limit_rules", m{"bandwidth_limit_rule": m{"max_kbps": 0, "direction": "ingress"}}).Expect(400)
	admin.Do("POST", rules+"/dscp_marking_rules", m{"dscp_marking_rule": m{"dscp_mark": 7}}).Expect(400)
	admin.Do("POST", rules+"/dscp_marking_rules", m{"dscp_marking_rule": m{"dscp_mark": 26}}).Expect(201)
	admin.Do("POST", rules+"/minimum_bandwidth_rules", m{"minimum_bandwidth_rule": m{"min_kbps": 1}}).Expect(501)
	admin.Do("PUT", base+"/qos/alias_bandwidth_limit_rules/"+rule, m{"alias_bandwidth_limit_rule": m{"max_kbps": 2000}}).Expect(200)
	if got := admin.Get(rules).Expect(200); len(got.List("policy.rules")) != 2 || got.Value("policy.rules.0.max_kbps") != 2000.0 {
		t.Errorf("policy: %s", got.Body)
	}
	create(demo, "port", "ports", m{"network_id": netID, "qos_policy_id": policy}).Expect(404)
	admin.Do("PUT", rules, m{"policy": m{"shared": true}}).Expect(200)
	port := create(demo, "port", "ports", m{"network_id": netID, "qos_policy_id": policy, "dns_name": "Web"}).Expect(201)
	portID := port.String("port.id")
	if port.String("port.dns_name") != "web" || port.String("port.dns_assignment.0.fqdn") != "web.openstacklocal." {
		t.Errorf("names: %s", port.Body)
	}
	create(demo, "port", "ports", m{"network_id": netID, "dns_name": "a_b"}).Expect(400)
	admin.Do("DELETE", rules, nil).Expect(409)
	sub := create(demo, "port", "ports", m{"network_id": netID}).Expect(201).String("port.id")
	trunk := create(demo, "trunk", "trunks", m{"port_id": portID, "sub_ports": []m{{"port_id": sub, "segmentation_type": "vlan", "segmentation_id": 7}}}).Expect(201).String("trunk.id")
	create(demo, "trunk", "trunks", m{"port_id": portID}).Expect(409)
	another := create(demo, "port", "ports", m{"network_id": netID}).Expect(201).String("port.id")
	put := func(verb, id string, tag int) *testcloud.Answer {
		return demo.Do("PUT", base+"/trunks/"+trunk+"/"+verb, m{"sub_ports": []m{{"port_id": id, "segmentation_type": "vlan", "segmentation_id": tag}}})
	}
	put("add_subports", another, 7).Expect(409)
	put("add_subports", another, 5000).Expect(400)
	put("add_subports", another, 8).Expect(200)
	if got := demo.Get(base + "/ports/" + portID).Expect(200); len(got.List("port.trunk_details.sub_ports")) != 2 {
		t.Errorf("details: %s", got.Body)
	}
	demo.Do("DELETE", base+"/ports/"+portID, nil).Expect(409)
	demo.Do("DELETE", base+"/ports/"+sub, nil).Expect(409)
	put("remove_subports", another, 8).Expect(200)
	demo.Do("DELETE", base+"/trunks/"+trunk, nil).Expect(204)
	if got := demo.Get(base + "/ports/" + sub).Expect(200); got.String("port.device_owner") != "" {
		t.Errorf("after its trunk: %s", got.Body)
	}
	ext := create(admin, "network", "networks", m{"name": "outside", "router:external": true}).Expect(201).String("network.id")
	create(admin, "subnet", "subnets", m{"network_id": ext, "cidr": "203.0.113.0/24", "ip_version": 4, "enable_dhcp": false}).Expect(201)
	router := create(demo, "router", "routers", m{"name": "r", "external_gateway_info": m{"network_id": ext}}).Expect(201).String("router.id")
	floating := create(demo, "floatingip", "floatingips", m{"floating_network_id": ext}).Expect(201).String("floatingip.id")
	forward := func(body m) *testcloud.Answer {
		return demo.Do("POST", base+"/floatingips/"+floating+"/port_forwardings", m{"port_forwarding": body})
	}
	body := m{"internal_port_id": portID, "internal_port": 80, "external_port": 8080, "protocol": "tcp"}
	forward(body).Expect(400) // no router leads there yet
	demo.Do("PUT", base+"/routers/"+router+"/add_router_interface", m{"subnet_id": subnet}).Expect(200)
	made := forward(body).Expect(201).String("port_forwarding.id")
	forward(body).Expect(400)
	forward(m{"internal_port_id": portID, "internal_port_range": "90:91", "external_port_range": "90:95", "protocol": "tcp"}).Expect(400)
	if got := demo.Get(base + "/floatingips/" + floating).Expect(200); got.String("floatingip.router_id") != router || len(got.List("floatingip.port_forwardings")) != 1 {
		t.Errorf("with a forwarding: %s", got.Body)
	}
	demo.Do("PUT", base+"/floatingips/"+floating, m{"floatingip": m{"port_id": portID}}).Expect(409)
	demo.Do("PUT", base+"/routers/"+router+"/remove_router_interface", m{"subnet_id": subnet}).Expect(409)
	demo.Do("PUT", base+"/floatingips/"+floating+"/port_forwardings/"+made, m{"port_forwarding": m{"external_port": 8081}}).Expect(200)
	demo.Do("DELETE", base+"/ports/"+portID, nil).Expect(204)
	if got := demo.Get(base + "/floatingips/" + floating).Expect(200); got.Value("floatingip.router_id") != nil || got.String("floatingip.status") != "DOWN" {
		t.Errorf("after the port: %s", got.Body)
	}
	demo.Do("DELETE", base+"/floatingips/"+floating, nil).Expect(204)
	admin.Do("DELETE", rules, nil).Expect(204)
}

// TestIPv6OnRouters has one port of a router carry all IPv6 subnets of a
// network, and ports address themselves on subnets that come later.
func TestIPv6OnRouters(t *testing.T) {
	cloud := testcloud.New(t)
	demo := cloud.Demo
	netID := create(demo, "network", "networks", m{"name": "n"}).Expect(201).String("network.id")
	port := create(demo, "port", "ports", m{"network_id": netID}).Expect(201).String("port.id")
	six := func(cidr string) string {
		return create(demo, "subnet", "subnets", m{"network_id": netID, "ip_version": 6, "cidr": cidr, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}).Expect(201).String("subnet.id")
	}
	a, b := six("2001:db8:1::/64"), six("2001:db8:2::/64")
	if got := demo.Get(base + "/ports/" + port).Expect(200); len(got.List("port.fixed_ips")) != 2 {
		t.Errorf("addresses of its own: %s", got.Body)
	}
	router := create(demo, "router", "routers", m{"name": "r"}).Expect(201).String("router.id")
	first := demo.Do("PUT", base+"/routers/"+router+"/add_router_interface", m{"subnet_id": a}).Expect(200).String("port_id")
	second := demo.Do("PUT", base+"/routers/"+router+"/add_router_interface", m{"subnet_id": b}).Expect(200)
	if second.String("port_id") != first || second.String("subnet_id") != b {
		t.Errorf("the second subnet: %s", second.Body)
	}
	demo.Do("PUT", base+"/routers/"+router+"/remove_router_interface", m{"subnet_id": a}).Expect(200)
	if got := demo.Get(base + "/ports/" + first).Expect(200); len(got.List("port.fixed_ips")) != 1 {
		t.Errorf("left: %s", got.Body)
	}
	demo.Do("PUT", base+"/routers/"+router+"/remove_router_interface", m{"subnet_id": b}).Expect(200)
	demo.Get(base + "/ports/" + first).Expect(404)
}

// TestConditions changes an object only at the revision that was named.
func TestConditions(t *testing.T) {
	cloud := testcloud.New(t)
	demo, admin := cloud.Demo, cloud.Admin
	made := create(demo, "network", "networks", m{"name": "n"}).Expect(201)
	path := base + "/networks/" + made.String("network.id")
	if got := demo.Do("PUT", path, m{"network": m{"name": "x"}}, "If-Match", "revision_number=7").Expect(412); got.String("NeutronError.type") != "RevisionNumberConstraintFailed" {
		t.Errorf("at another revision: %s", got.Body)
	}
	demo.Do("PUT", path, m{"network": m{"name": "x"}}, "If-Match", "rev=7").Expect(400)
	demo.Do("PUT", path, m{"network": m{"name": "x"}}, "If-Match", "revision_number=0").Expect(200)
	demo.Do("DELETE", path, nil, "If-Match", "revision_number=0").Expect(412)
	demo.Do("DELETE", path, nil, "If-Match", "revision_number=1").Expect(204)

	create(admin, "network", "networks", m{"name": "a"}).Expect(201)
	quotas := base + "/quotas/" + admin.ProjectID
	admin.Do("PUT", quotas, m{"quota": m{"network": 0, "check_limit": true}}).Expect(400)
	admin.Do("PUT", quotas, m{"quota": m{"network": 0}}).Expect(200)

	rules := base + "/default-security-group-rules"
	if got := admin.Get(rules).Expect(200); len(got.List("default_security_group_rules")) != 4 {
		t.Errorf("templates at first: %s", got.Body)
	}
	create(demo, "default_security_group_rule", "default-security-group-rules", m{"direction": "ingress", "protocol": "icmp"}).Expect(403)
	template := create(admin, "default_security_group_rule", "default-security-group-rules", m{"direction": "ingress", "protocol": "icmp"}).Expect(201).String("default_security_group_rule.id")
	if got := create(demo, "security_group", "security-groups", m{"name": "g"}).Expect(201); len(got.List("security_group.security_group_rules")) != 3 {
		t.Errorf("a group by the templates: %s", got.Body)
	}
	admin.Do("DELETE", rules+"/"+template, nil).Expect(204)

	group := create(demo, "address_group", "address-groups", m{"name": "ag", "addresses": []string{"10.0.0.0/8"}}).Expect(201).String("address_group.id")
	add := func(verb, address string) *testcloud.Answer {
		return demo.Do("PUT", base+"/address-groups/"+group+"/"+verb, m{"addresses": []string{address}})
	}
	add("add_addresses", "10.0.0.0/8").Expect(400)
	add("remove_addresses", "172.16.0.0/12").Expect(404)
	add("add_addresses", "192.0.2.1").Expect(200)
	add("add_addresses", "192.0.2.1 || 1").Expect(400)
	sg := demo.Get(base + "/security-groups?name=g").Expect(200).String("security_groups.0.id")
	rule := m{"security_group_id": sg, "direction": "ingress", "remote_address_group_id": group}
	made = create(demo, "security_group_rule", "security-group-rules", rule).Expect(201)
	rule["remote_ip_prefix"] = "10.0.0.0/8"
	create(demo, "security_group_rule", "security-group-rules", rule).Expect(400)
	demo.Do("DELETE", base+"/address-groups/"+group, nil).Expect(409)
	demo.Do("DELETE", base+"/security-group-rules/"+made.String("security_group_rule.id"), nil).Expect(204)
	demo.Do("DELETE", base+"/address-groups/"+group, nil).Expect(204)
}
