package networkapi_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/testcloud"
)

const topologyPath = base + "/auto-allocated-topology/"

// outside makes the default external network, with room for so many addresses.
func outside(c *testcloud.Client, cidr string) string {
	id := create(c, "network", "networks", m{"name": "wan", "router:external": true, "is_default": true}).Expect(201).String("network.id")
	create(c, "subnet", "subnets", m{"network_id": id, "cidr": cidr, "ip_version": 4, "enable_dhcp": false}).Expect(201)
	return id
}

func pool(c *testcloud.Client, prefix string, shared bool) {
	bits := 26
	if strings.Contains(prefix, ":") {
		bits = 64
	}
	create(c, "subnetpool", "subnetpools", m{"name": "p", "prefixes": []string{prefix}, "default_prefixlen": bits, "is_default": true, "shared": shared}).Expect(201)
}

// nothing tells that a project has no part of a topology.
func nothing(t *testing.T, c *testcloud.Client) {
	t.Helper()
	for _, many := range []string{"networks", "subnets", "routers", "ports"} {
		if got := c.Get(base + "/" + many + "?project_id=" + c.ProjectID).Expect(200); len(got.List(many)) != 0 {
			t.Errorf("left: %s", got.Body)
		}
	}
}

// TestAutoAllocatedTopology makes one as soon as there is what it needs, looks at
// its parts, and takes it apart.
func TestAutoAllocatedTopology(t *testing.T) {
	cloud := testcloud.New(t)
	admin, demo := cloud.Admin, cloud.Demo
	path := topologyPath + demo.ProjectID
	refused := func(query, want string) {
		t.Helper()
		got := demo.Get(path + query).Expect(409)
		if got.String("NeutronError.type") != "AutoAllocationFailure" || got.String("NeutronError.message") != want {
			t.Errorf("%s: %s", query, got.Body)
		}
		nothing(t, demo)
	}
	refused("", "Deployment error: No default router:external network.")
	refused("?fields=dry-run", "Deployment error: No default router:external network.")
	wan := outside(admin, "203.0.113.0/24")
	refused("", "Deployment error: Unable to provide project private network.")
	refused("?fields=dry-run", "Deployment error: No default subnetpools defined.")
	pool(admin, "10.50.0.0/16", false)
	refused("?fields=dry-run", "Deployment error: No default subnetpools defined.") // the pool is another project's
	if got := admin.Get(path + "?fields=dry-run").Expect(200); got.String("auto_allocated_topology.id") != "dry-run=pass" {
		t.Errorf("who may use every pool: %s", got.Body)
	}
	pool(admin, "2001:db8:7::/48", true)
	pass := demo.Get(topologyPath + "None?fields=dry-run").Expect(200)
	if pass.String("auto_allocated_topology.id") != "dry-run=pass" || pass.String("auto_allocated_topology.tenant_id") != demo.ProjectID {
		t.Errorf("dry run: %s", pass.Body)
	}
	nothing(t, demo)
	demo.Get(path + "?fields=id").Expect(400)
	demo.Get(topologyPath + admin.ProjectID).Expect(403)
	demo.Do("DELETE", topologyPath+admin.ProjectID, nil).Expect(403)
	demo.Do("DELETE", path, nil).Expect(204)

	id := demo.Get(path).Expect(200).String("auto_allocated_topology.id")
	for _, again := range []string{path, topologyPath + "None"} {
		if got := demo.Get(again).Expect(200).String("auto_allocated_topology.id"); got != id {
			t.Errorf("again: %s", got)
		}
	}
	if got := demo.Get(base + "/networks/" + id).Expect(200); got.String("network.name") != "auto_allocated_network" || got.Value("network.admin_state_up") != true ||
		got.Value("network.shared") != false || len(got.List("network.subnets")) != 1 {
		t.Errorf("network: %s", got.Body)
	}
	if got := demo.Get(base + "/subnets?network_id=" + id).Expect(200); got.String("subnets.0.name") != "auto_allocated_subnet_v6" || got.Value("subnets.0.enable_dhcp") != true {
		t.Errorf("subnet: %s", got.Body)
	}
	router := demo.Get(base + "/routers").Expect(200)
	if router.String("routers.0.name") != "auto_allocated_router" || router.String("routers.0.external_gateway_info.network_id") != wan ||
		router.Value("routers.0.external_gateway_info.enable_snat") != true || len(router.List("routers")) != 1 {
		t.Errorf("router: %s", router.Body)
	}
	if got := demo.Get(base + "/ports?device_id=" + router.String("routers.0.id") + "&network_id=" + id).Expect(200); len(got.List("ports")) != 1 {
		t.Errorf("interfaces: %s", got.Body)
	}

	port := create(demo, "port", "ports", m{"network_id": id}).Expect(201).String("port.id")
	if got := demo.Do("DELETE", path, nil).Expect(409).String("NeutronError.type"); got != "NetworkInUse" {
		t.Errorf("in use: %s", got)
	}
	if got := demo.Get(base + "/routers").Expect(200); len(got.List("routers")) != 1 || len(got.List("routers.0.external_gateway_info.external_fixed_ips")) != 1 {
		t.Errorf("a refused delete left: %s", got.Body)
	}
	demo.Do("DELETE", base+"/ports/"+port, nil).Expect(204)
	demo.Do("DELETE", path, nil).Expect(204)
	demo.Do("DELETE", path, nil).Expect(204)
	nothing(t, demo)
	if second := demo.Get(path).Expect(200).String("auto_allocated_topology.id"); second == id {
		t.Errorf("a new one is the old one")
	}
}

// TestTopologyOfBothVersions has a subnet of each, cut from pools that were
// shared; what its owner takes away himself does not come back.
func TestTopologyOfBothVersions(t *testing.T) {
	cloud := testcloud.New(t)
	admin, demo := cloud.Admin, cloud.Demo
	outside(admin, "203.0.113.0/24")
	pool(admin, "10.50.0.0/16", true)
	pool(admin, "2001:db8:7::/48", true)
	path := topologyPath + demo.ProjectID
	id := admin.Get(path).Expect(200).String("auto_allocated_topology.id") // for another project
	if got := demo.Get(path).Expect(200).String("auto_allocated_topology.id"); got != id {
		t.Errorf("made by an administrator: %s, found %s", id, got)
	}
	subnets := demo.Get(base + "/subnets?network_id=" + id + "&sort_key=ip_version").Expect(200)
	for i, name := range []string{"auto_allocated_subnet_v4", "auto_allocated_subnet_v6"} {
		if got := subnets.String([]string{"subnets.0.name", "subnets.1.name"}[i]); got != name {
			t.Errorf("subnet %d is %q", i, got)
		}
	}
	router := demo.Get(base + "/routers").Expect(200).String("routers.0.id")
	demo.Do("PUT", base+"/routers/"+router+"/remove_router_interface", m{"subnet_id": subnets.String("subnets.0.id")}).Expect(200)
	demo.Do("DELETE", path, nil).Expect(204) // though a part is gone
	nothing(t, demo)
	id = demo.Get(path).Expect(200).String("auto_allocated_topology.id")
	router = demo.Get(base + "/routers").Expect(200).String("routers.0.id")
	for _, s := range demo.Get(base + "/subnets").Expect(200).List("subnets") {
		demo.Do("PUT", base+"/routers/"+router+"/remove_router_interface", m{"subnet_id": s.(m)["id"]}).Expect(200)
	}
	demo.Do("DELETE", base+"/routers/"+router, nil).Expect(204)
	if got := demo.Get(path).Expect(200).String("auto_allocated_topology.id"); got != id {
		t.Errorf("without its router: %s", got)
	}
	demo.Do("DELETE", base+"/networks/"+id, nil).Expect(204)
	nothing(t, demo)
	if got := demo.Get(path).Expect(200).String("auto_allocated_topology.id"); got == id {
		t.Error("a network that is gone")
	}
	demo.Do("DELETE", path, nil).Expect(204)
}

// TestTopologyIsWholeOrNot: what fails at the last part leaves none, and many who
// ask at once are told of one.
func TestTopologyIsWholeOrNot(t *testing.T) {
	dbtest.EachOne(t, func(t *testing.T) {
		cloud := testcloud.New(t)
		admin, demo := cloud.Admin, cloud.Demo
		wan := outside(admin, "203.0.113.0/29")
		pool(admin, "10.50.0.0/16", true)
		pool(admin, "2001:db8:7::/48", true)
		path := topologyPath + demo.ProjectID
		quota := func(what string, n int) {
			admin.Do("PUT", base+"/quotas/"+demo.ProjectID, m{"quota": m{what: n}}).Expect(200)
		}
		for _, what := range []string{"network", "subnet", "router"} {
			quota(what, 0)
			if got := demo.Get(path).Expect(409); got.String("NeutronError.type") != "OverQuota" {
				t.Errorf("without room for a %s: %s", what, got.Body)
			}
			nothing(t, demo)
			quota(what, 1)
		}
		quota("subnet", 2)
		var taken []string // every outside address: the gateway is the last part that can be refused
		for range 5 {
			taken = append(taken, create(admin, "port", "ports", m{"network_id": wan}).Expect(201).String("port.id"))
		}
		demo.Get(path).Expect(409)
		nothing(t, demo)
		for _, p := range taken {
			admin.Do("DELETE", base+"/ports/"+p, nil).Expect(204)
		}
		var mu sync.Mutex
		var all sync.WaitGroup
		ids := map[string]int{}
		for range 8 { // the quota lets one network be, and who comes second is not over it
			all.Go(func() {
				got := demo.Get(path).Expect(200).String("auto_allocated_topology.id")
				mu.Lock()
				defer mu.Unlock()
				ids[got]++
			})
		}
		all.Wait()
		if len(ids) != 1 || ids[""] > 0 {
			t.Errorf("who asked at once got %v", ids)
		}
		for many, n := range map[string]int{"networks": 1, "subnets": 2, "routers": 1} {
			if got := demo.Get(base + "/" + many + "?project_id=" + demo.ProjectID).Expect(200); len(got.List(many)) != n {
				t.Errorf("%d %s: %s", n, many, got.Body)
			}
		}
		for range 4 {
			all.Go(func() { demo.Do("DELETE", path, nil).Expect(204) })
		}
		all.Wait()
		nothing(t, demo)
	})
}

// TestDefaultExternalNetwork: one network at most is it, and only external ones.
func TestDefaultExternalNetwork(t *testing.T) {
	cloud := testcloud.New(t)
	admin := cloud.Admin
	inner := create(admin, "network", "networks", m{"is_default": true}).Expect(201)
	if inner.Value("network.is_default") != nil {
		t.Errorf("of a network that is not external: %s", inner.Body)
	}
	change := func(id string, body m) *testcloud.Answer {
		return admin.Do("PUT", base+"/networks/"+id, m{"network": body})
	}
	innerID := inner.String("network.id")
	if got := change(innerID, m{"router:external": true}).Expect(200); got.Value("network.is_default") != false {
		t.Errorf("what it was before it was external: %s", got.Body)
	}
	first := create(admin, "network", "networks", m{"router:external": true, "is_default": true}).Expect(201)
	id := first.String("network.id")
	if first.Value("network.is_default") != true {
		t.Errorf("the default one: %s", first.Body)
	}
	again := create(admin, "network", "networks", m{"router:external": true, "is_default": true}).Expect(409)
	if again.String("NeutronError.type") != "DefaultExternalNetworkExists" || again.String("NeutronError.message") != "A default external network already exists: "+id+"." {
		t.Errorf("another one: %s", again.Body)
	}
	change(innerID, m{"is_default": true}).Expect(409)
	change(id, m{"is_default": true, "name": "x"}).Expect(200)
	if got := admin.Get(base + "/networks?is_default=true").Expect(200); len(got.List("networks")) != 1 || got.String("networks.0.id") != id {
		t.Errorf("listed: %s", got.Body)
	}
	change(id, m{"is_default": false}).Expect(200)
	change(innerID, m{"is_default": true}).Expect(200)
	change(innerID, m{"router:external": false}).Expect(200)
	change(id, m{"is_default": true}).Expect(200)
	create(cloud.Demo, "network", "networks", m{"is_default": true}).Expect(403)
}

// TestTopologyOutlivesItsServer: a server that dies before it has committed leaves
// nothing, one that dies right after leaves all, and the next request finds it.
func TestTopologyOutlivesItsServer(t *testing.T) {
	first := testcloud.New(t)
	outside(first.Admin, "203.0.113.0/24")
	pool(first.Admin, "10.50.0.0/16", true)
	var dies, after atomic.Bool
	owner := first.Demo.ProjectID
	cloud := first.Again(first.DB.Faulty(func(ctx context.Context, committed bool) error {
		if dies.Load() && committed == after.Load() && event.ActorOf(ctx).ProjectID == owner {
			return errors.New("the server is dead")
		}
		return nil
	}))
	demo := cloud.Demo
	path := topologyPath + owner
	killed := func(method string, late bool) {
		t.Helper()
		after.Store(late)
		dies.Store(true)
		defer dies.Store(false)
		if got := demo.Do(method, path, nil); got.Status < 500 {
			t.Errorf("%s of a server that dies: %d %s", method, got.Status, got.Body)
		}
	}
	parts := func(want int) {
		t.Helper()
		for _, many := range []string{"networks", "subnets", "routers"} {
			if got := demo.Get(base + "/" + many + "?project_id=" + owner).Expect(200); len(got.List(many)) != want {
				t.Errorf("%d %s: %s", want, many, got.Body)
			}
		}
	}
	killed("GET", false)
	parts(0)
	killed("GET", true)
	parts(1)
	id := demo.Get(base + "/networks?project_id=" + owner).Expect(200).String("networks.0.id")
	if got := demo.Get(path).Expect(200).String("auto_allocated_topology.id"); got != id {
		t.Errorf("afterwards: %s", got)
	}
	killed("DELETE", false)
	parts(1)
	killed("DELETE", true)
	parts(0)
	demo.Get(path).Expect(200)
	parts(1)
}
