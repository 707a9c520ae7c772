package networkapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

const base = "/networking/v2.0"

type m = map[string]any

func create(c *testcloud.Client, kind, many string, attributes m) *testcloud.Answer {
	return c.Do("POST", base+"/"+many, m{kind: attributes})
}

// TestLifeOfAProject makes and takes apart what a project has, in the order
// that a user does, with the refusals on the way.
func TestLifeOfAProject(t *testing.T) {
	cloud := testcloud.New(t)
	demo, admin := cloud.Demo, cloud.Admin
	ext := create(admin, "network", "networks", m{"name": "outside", "router:external": true}).Expect(201)
	extID := ext.String("network.id")
	if got := ext.String("network.provider:network_type"); got != "flat" {
		t.Errorf("the external network is %s", got)
	}
	create(admin, "subnet", "subnets", m{"network_id": extID, "cidr": "203.0.113.0/24", "ip_version": 4, "enable_dhcp": false}).Expect(201)

	n := create(demo, "network", "networks", m{"name": "inner"}).Expect(201)
	netID := n.String("network.id")
	for key, want := range (m{"network.status": "ACTIVE", "network.mtu": 1442.0, "network.shared": false, "network.provider:network_type": nil, "network.tenant_id": demo.ProjectID}) {
		if got := n.Value(key); got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	sub := create(demo, "subnet", "subnets", m{"network_id": netID, "cidr": "10.9.0.0/24", "ip_version": 4, "dns_nameservers": []string{"192.0.2.53"}}).Expect(201)
	subID := sub.String("subnet.id")
	if got := fmt.Sprint(sub.Value("subnet.gateway_ip"), sub.Value("subnet.allocation_pools.0.start"), sub.Value("subnet.allocation_pools.0.end")); got != "10.9.0.110.9.0.210.9.0.254" {
		t.Errorf("gateway and pool: %s", got)
	}
	create(demo, "subnet", "subnets", m{"network_id": netID, "cidr": "10.9.0.0/25", "ip_version": 4}).Expect(400)

	port := create(demo, "port", "ports", m{"network_id": netID, "fixed_ips": []m{{"ip_address": "10.9.0.50"}}}).Expect(201)
	portID := port.String("port.id")
	create(demo, "port", "ports", m{"network_id": netID, "fixed_ips": []m{{"ip_address": "10.9.0.50"}}}).Expect(409)
	if len(port.List("port.security_groups")) != 1 || port.Value("port.binding:host_id") != nil {
		t.Errorf("port of a member: %s", port.Body)
	}
	if got := demo.Get(base + "/ports?fixed_ips=ip_address%3D10.9.0.50").Expect(200); len(got.List("ports")) != 1 {
		t.Errorf("ports by address: %s", got.Body)
	}
	if got := demo.Get(base + "/ports?network_id=" + netID + "&device_owner=network:distributed").Expect(200); len(got.List("ports")) != 1 {
		t.Errorf("metadata port: %s", got.Body)
	}

	router := create(demo, "router", "routers", m{"name": "r"}).Expect(201).String("router.id")
	demo.Do("PUT", base+"/routers/"+router+"/add_router_interface", m{"subnet_id": subID}).Expect(200)
	demo.Do("PUT", base+"/routers/"+router+"/add_router_interface", m{"subnet_id": subID}).Expect(400)
	floating := create(demo, "floatingip", "floatingips", m{"floating_network_id": extID}).Expect(201)
	if floating.String("floatingip.status") != "DOWN" || !strings.HasPrefix(floating.String("floatingip.floating_ip_address"), "203.0.113.") {
		t.Errorf("floating address: %s", floating.Body)
	}
	fip := floating.String("floatingip.id")
	demo.Do("PUT", base+"/floatingips/"+fip, m{"floatingip": m{"port_id": portID}}).Expect(404)
	gw := demo.Do("PUT", base+"/routers/"+router, m{"router": m{"external_gateway_info": m{"network_id": extID}}}).Expect(200)
	if gw.Value("router.external_gateway_info.enable_snat") != true || len(gw.List("router.external_gateway_info.external_fixed_ips")) != 1 {
		t.Errorf("gateway: %s", gw.Body)
	}
	up := demo.Do("PUT", base+"/floatingips/"+fip, m{"floatingip": m{"port_id": portID}}).Expect(200)
	if up.String("floatingip.status") != "ACTIVE" || up.String("floatingip.fixed_ip_address") != "10.9.0.50" || up.String("floatingip.router_id") != router {
		t.Errorf("associated: %s", up.Body)
	}
	for path, why := range map[string]string{"/networks/" + netID: "NetworkInUse", "/subnets/" + subID: "SubnetInUse", "/routers/" + router: "RouterInUse"} {
		if got := demo.Do("DELETE", base+path, nil).Expect(409).String("NeutronError.type"); got != why {
			t.Errorf("delete of %s: %s, want %s", path, got, why)
		}
	}
	demo.Do("PUT", base+"/routers/"+router+"/remove_router_interface", m{"subnet_id": subID}).Expect(409)
	demo.Do("PUT", base+"/routers/"+router, m{"router": m{"external_gateway_info": nil}}).Expect(409)
	demo.Do("DELETE", base+"/ports/"+portID, nil).Expect(204)
	if got := demo.Get(base + "/floatingips/" + fip).Expect(200); got.Value("floatingip.port_id") != nil || got.String("floatingip.status") != "DOWN" {
		t.Errorf("after its port went: %s", got.Body)
	}
	demo.Do("DELETE", base+"/floatingips/"+fip, nil).Expect(204)
	demo.Do("DELETE", base+"/floatingips/"+fip, nil).Expect(404)
	demo.Do("PUT", base+"/routers/"+router+"/remove_router_interface", m{"subnet_id": subID}).Expect(200)
	demo.Do("DELETE", base+"/routers/"+router, nil).Expect(204)
	demo.Do("DELETE", base+"/networks/"+netID, nil).Expect(204)
	if got := demo.Get(base + "/ports").Expect(200); len(got.List("ports")) != 0 {
		t.Errorf("ports left: %s", got.Body)
	}
	left := create(demo, "floatingip", "floatingips", m{"floating_network_id": extID}).Expect(201).String("floatingip.id")
	admin.Do("DELETE", base+"/networks/"+extID, nil).Expect(204)
	demo.Get(base + "/floatingips/" + left).Expect(404)
}

// TestParallelAddresses has many callers ask for addresses of a small subnet:
// each gets one of its own, and the others are told that it is full.
func TestParallelAddresses(t *testing.T) {
	cloud := testcloud.New(t)
	demo := cloud.Demo
	netID := create(demo, "network", "networks", m{"name": "small"}).Expect(201).String("network.id")
	create(demo, "subnet", "subnets", m{"network_id": netID, "cidr": "10.8.0.0/28", "ip_version": 4, "enable_dhcp": false}).Expect(201)
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen, full := map[string]bool{}, 0
	for range 20 {
		wg.Go(func() {
			a := create(demo, "port", "ports", m{"network_id": netID})
			mu.Lock()
			defer mu.Unlock()
			if a.Status == 409 && a.String("NeutronError.type") == "IpAddressGenerationFailure" {
				full++
				return
			}
			if a.Status != 201 {
				t.Errorf("status %d: %s", a.Status, a.Body)
				return
			}
			address := a.String("port.fixed_ips.0.ip_address")
			if seen[address] {
				t.Errorf("%s was given out twice", address)
			}
			seen[address] = true
		})
	}
	wg.Wait()
	if len(seen) != 13 || full != 7 {
		t.Errorf("%d addresses given out and %d refused, want 13 and 7", len(seen), full)
	}
}

// TestQuota lets exactly as many through as are left.
func TestQuota(t *testing.T) {
	cloud := testcloud.New(t)
	cloud.Admin.Do("PUT", base+"/quotas/"+cloud.Demo.ProjectID, m{"quota": m{"network": 3}}).Expect(200)
	var mu sync.Mutex
	var wg sync.WaitGroup
	count := map[int]int{}
	for range 8 {
		wg.Go(func() {
			a := create(cloud.Demo, "network", "networks", m{"name": "n"})
			mu.Lock()
			defer mu.Unlock()
			count[a.Status]++
			if a.Status == 409 && a.String("NeutronError.type") != "OverQuota" {
				t.Errorf("refused: %s", a.Body)
			}
		})
	}
	wg.Wait()
	if count[201] != 3 || count[409] != 5 {
		t.Errorf("answers: %v", count)
	}
	details := cloud.Demo.Get(base + "/quotas/" + cloud.Demo.ProjectID + "/details").Expect(200)
	if details.Value("quota.network.used") != 3.0 || details.Value("quota.network.limit") != 3.0 {
		t.Errorf("details: %s", details.Body)
	}
	cloud.Demo.Get(base + "/quotas/" + cloud.Admin.ProjectID).Expect(403)
}

func TestSecurityGroups(t *testing.T) {
	cloud := testcloud.New(t)
	demo := cloud.Demo
	list := demo.Get(base + "/security-groups").Expect(200)
	if len(list.List("security_groups")) != 1 || list.String("security_groups.0.name") != "default" || len(list.List("security_groups.0.security_group_rules")) != 4 {
		t.Errorf("at first: %s", list.Body)
	}
	demo.Do("DELETE", base+"/security-groups/"+list.String("security_groups.0.id"), nil).Expect(409)
	g := create(demo, "security_group", "security-groups", m{"name": "web", "description": "x"}).Expect(201)
	id := g.String("security_group.id")
	if len(g.List("security_group.security_group_rules")) != 2 || g.Value("security_group.stateful") != true {
		t.Errorf("a new group: %s", g.Body)
	}
	rule := m{"security_group_id": id, "direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22, "remote_ip_prefix": "0.0.0.0/0"}
	made := create(demo, "security_group_rule", "security-group-rules", rule).Expect(201)
	if made.Value("security_group_rule.remote_group_id") != nil || made.String("security_group_rule.ethertype") != "IPv4" {
		t.Errorf("rule: %s", made.Body)
	}
	again := create(demo, "security_group_rule", "security-group-rules", rule).Expect(409)
	if !strings.Contains(again.String("NeutronError.message"), made.String("security_group_rule.id")) {
		t.Errorf("the same again: %s", again.Body)
	}
	for name, bad := range map[string]m{
		"ports without protocol":     {"direction": "ingress", "port_range_min": 1, "port_range_max": 2},
		"range backwards":            {"direction": "ingress", "protocol": "tcp", "port_range_min": 9, "port_range_max": 2},
		"address of another version": {"direction": "ingress", "ethertype": "IPv6", "remote_ip_prefix": "10.0.0.0/8"},
		"no such port":               {"direction": "ingress", "protocol": "tcp", "port_range_min": 80, "port_range_max": 65536},
		"unknown protocol":           {"direction": "ingress", "protocol": "carrier-pigeon"},
		"both remotes":               {"direction": "ingress", "remote_group_id": id, "remote_ip_prefix": "10.0.0.0/8"},
		"code without type":          {"direction": "ingress", "protocol": "icmp", "port_range_max": 3},
		"unknown member":             {"direction": "ingress", "colour": "blue"},
		"newline":                    {"direction": "ingress", "remote_ip_prefix": "10.0.0.0/8\n|| 1"},
	} {
		bad["security_group_id"] = id
		if a := create(demo, "security_group_rule", "security-group-rules", bad); a.Status != 400 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	demo.Do("PUT", base+"/security-groups/"+id, m{"security_group": m{"name": "default"}}).Expect(409)
	other := cloud.Admin
	net := create(demo, "network", "networks", m{}).Expect(201).String("network.id")
	port := create(demo, "port", "ports", m{"network_id": net, "security_groups": []string{id}}).Expect(201).String("port.id")
	if got := demo.Do("DELETE", base+"/security-groups/"+id, nil).Expect(409).String("NeutronError.type"); got != "SecurityGroupInUse" {
		t.Errorf("in use: %s", got)
	}
	create(demo, "port", "ports", m{"network_id": net, "port_security_enabled": false, "security_groups": []string{id}}).Expect(409)
	demo.Do("DELETE", base+"/ports/"+port, nil).Expect(204)
	demo.Do("DELETE", base+"/security-groups/"+id, nil).Expect(204)
	foreign := create(other, "security_group", "security-groups", m{"name": "theirs"}).Expect(201).String("security_group.id")
	demo.Get(base + "/security-groups/" + foreign).Expect(404)
	create(demo, "port", "ports", m{"network_id": net, "security_groups": []string{foreign}}).Expect(404)
}

// TestOtherProjects keeps projects apart.
func TestOtherProjects(t *testing.T) {
	cloud := testcloud.New(t)
	admin, demo := cloud.Admin, cloud.Demo
	theirs := create(admin, "network", "networks", m{"name": "theirs"}).Expect(201).String("network.id")
	sub := create(admin, "subnet", "subnets", m{"network_id": theirs, "cidr": "10.7.0.0/24", "ip_version": 4}).Expect(201).String("subnet.id")
	for _, path := range []string{"/networks/" + theirs, "/subnets/" + sub} {
		demo.Get(base + path).Expect(404)
		demo.Do("DELETE", base+path, nil).Expect(404)
	}
	create(demo, "port", "ports", m{"network_id": theirs}).Expect(404)
	create(demo, "network", "networks", m{"shared": true}).Expect(403)
	create(demo, "network", "networks", m{"project_id": admin.ProjectID}).Expect(403)
	create(demo, "network", "networks", m{"nosuch": 1}).Expect(400)
	admin.Do("PUT", base+"/networks/"+theirs, m{"network": m{"shared": true}}).Expect(200)
	demo.Get(base + "/networks/" + theirs).Expect(200)
	demo.Do("PUT", base+"/networks/"+theirs, m{"network": m{"name": "mine"}}).Expect(403)
	create(demo, "subnet", "subnets", m{"network_id": theirs, "cidr": "10.6.0.0/24", "ip_version": 4}).Expect(403)
	port := create(demo, "port", "ports", m{"network_id": theirs}).Expect(201).String("port.id")
	create(demo, "port", "ports", m{"network_id": theirs, "device_owner": "network:router_gateway"}).Expect(403)
	create(demo, "port", "ports", m{"network_id": theirs, "port_security_enabled": false}).Expect(403)
	admin.Do("PUT", base+"/networks/"+theirs, m{"network": m{"shared": false}}).Expect(409)
	demo.Do("DELETE", base+"/ports/"+port, nil).Expect(204)
	admin.Do("PUT", base+"/networks/"+theirs, m{"network": m{"shared": false}}).Expect(200)
}

func TestListsTagsAndDocuments(t *testing.T) {
	cloud := testcloud.New(t)
	demo := cloud.Demo
	var ids []string
	bulk := demo.Do("POST", base+"/networks", m{"networks": []m{{"name": "a"}, {"name": "b"}, {"name": "c"}}}).Expect(201)
	for i := range 3 {
		ids = append(ids, bulk.String(fmt.Sprintf("networks.%d.id", i)))
	}
	page := demo.Get(base + "/networks?limit=2&sort_key=name&sort_dir=asc&fields=name").Expect(200)
	if len(page.List("networks")) != 2 || page.Value("networks.0.id") != nil || page.String("networks_links.0.rel") != "next" {
		t.Errorf("first page: %s", page.Body)
	}
	next := demo.Get(strings.TrimPrefix(page.String("networks_links.0.href"), cloud.URL)).Expect(200)
	if len(next.List("networks")) != 1 || next.String("networks.0.name") != "c" {
		t.Errorf("second page: %s", next.Body)
	}
	demo.Do("PUT", base+"/networks/"+ids[0]+"/tags", m{"tags": []string{"blue"}}).Expect(200)
	demo.Do("PUT", base+"/networks/"+ids[0]+"/tags/green", nil).Expect(201)
	demo.Get(base + "/networks/" + ids[0] + "/tags/green").Expect(204)
	demo.Get(base + "/networks/" + ids[1] + "/tags/green").Expect(404)
	if got := demo.Get(base + "/networks?tags=blue,green").Expect(200); len(got.List("networks")) != 1 || got.String("networks.0.name") != "a" {
		t.Errorf("by tags: %s", got.Body)
	}
	demo.Do("PUT", base+"/networks/"+ids[1]+"/tags", m{"tags": []string{"red"}}).Expect(200)
	for query, want := range map[string]int{"tags-any=green,red": 2, "not-tags=blue,green": 2, "not-tags-any=green,red": 1, "tags=red": 1} {
		if got := demo.Get(base + "/networks?" + query).Expect(200); len(got.List("networks")) != want {
			t.Errorf("%s: %s", query, got.Body)
		}
	}
	if got := demo.Get(base + "/networks?not-tags=blue").Expect(200); len(got.List("networks")) != 2 {
		t.Errorf("without a tag: %s", got.Body)
	}
	anonymous := cloud.Anonymous()
	if got := anonymous.Get("/networking/").Expect(200); got.String("versions.0.id") != "v2.0" {
		t.Errorf("versions: %s", got.Body)
	}
	anonymous.Get(base + "/").Expect(200)
	anonymous.Get(base + "/networks").Expect(http.StatusUnauthorized)
	demo.Get(base + "/extensions/router").Expect(200)
	demo.Get(base + "/extensions/nosuch").Expect(404)
	demo.Get("/networking/v2.0/v2.0/networks.json").Expect(200)
	if got := demo.Get(base + "/networks/nosuch").Expect(404); got.String("NeutronError.type") != "NetworkNotFound" {
		t.Errorf("a missing network: %s", got.Body)
	}
	demo.Get(base + "/local_ips").Expect(http.StatusNotImplemented)
	if got := demo.Get(base + "/agents").Expect(200); len(got.List("agents")) != 0 {
		t.Errorf("agents for a member: %s", got.Body)
	}
	if got := cloud.Admin.Get(base + "/agents").Expect(200); len(got.List("agents")) != 1 {
		t.Errorf("agents: %s", got.Body)
	}
	cloud.Admin.Get(base + "/network-ip-availabilities/" + ids[0]).Expect(200)
}
