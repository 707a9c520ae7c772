package testcloud_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

// TestServersOnAnyNetwork: who says "auto" gets the only network of the project,
// else one that is made while the server is; a server that is refused makes none.
func TestServersOnAnyNetwork(t *testing.T) {
	c := testcloud.New(t, testcloud.Hosts(2))
	_, image := server(t, c) // and its flavor
	const v2, servers, header, v = "/networking/v2.0", "/compute/v2.1/servers", "OpenStack-API-Version", "compute 2.37"
	boot := func(more object, status int) *testcloud.Answer {
		t.Helper()
		body := object{"name": "s", "flavorRef": "f1", "imageRef": image, "networks": "auto"}
		for k, v := range more {
			body[k] = v
		}
		return c.Demo.Do("POST", servers, object{"server": body}, header, v).Expect(status)
	}
	networks := func(want int) []any {
		t.Helper()
		got := c.Demo.Get(v2 + "/networks?project_id=" + c.Demo.ProjectID).Expect(http.StatusOK)
		if len(got.List("networks")) != want {
			t.Errorf("%d networks: %s", want, got.Body)
		}
		return got.List("networks")
	}
	if got := boot(nil, http.StatusBadRequest); got.String("badRequest.message") != "Unable to automatically allocate a network for project "+c.Demo.ProjectID {
		t.Errorf("without what it needs: %s", got.Body)
	}
	wan := c.Admin.Do("POST", v2+"/networks", object{"network": object{"name": "wan", "router:external": true, "is_default": true}}).Expect(http.StatusCreated).String("network.id")
	c.Admin.Do("POST", v2+"/subnets", object{"subnet": object{"network_id": wan, "cidr": "203.0.113.0/24", "ip_version": 4}}).Expect(http.StatusCreated)
	boot(nil, http.StatusBadRequest)
	c.Admin.Do("POST", v2+"/subnetpools", object{"subnetpool": object{"name": "p", "prefixes": []string{"10.50.0.0/16"}, "default_prefixlen": 26, "is_default": true, "shared": true}}).
		Expect(http.StatusCreated)

	quota := "/compute/v2.1/os-quota-sets/" + c.Demo.ProjectID
	c.Admin.Do("PUT", quota, object{"quota_set": object{"instances": 1}}).Expect(http.StatusOK)
	boot(nil, http.StatusForbidden)
	c.RunTasks()
	networks(0)
	c.Admin.Do("PUT", quota, object{"quota_set": object{"instances": 10}}).Expect(http.StatusOK)
	boot(object{"min_count": 4, "max_count": 4, "name": "many"}, http.StatusAccepted)
	c.RunTasks()
	if n := networks(1)[0].(object); n["name"] != "auto_allocated_network" {
		t.Errorf("made: %v", n)
	}
	if got := c.Demo.Get(v2 + "/routers").Expect(http.StatusOK); len(got.List("routers")) != 1 {
		t.Errorf("routers: %s", got.Body)
	}
	var ids []string
	for _, one := range c.Demo.Get(servers + "/detail?name=many").Expect(http.StatusOK).List("servers") {
		s := one.(object)
		ids = append(ids, s["id"].(string))
		on, _ := s["addresses"].(object)["auto_allocated_network"].([]any)
		if s["status"] != "ACTIVE" || len(on) != 1 || !strings.HasPrefix(on[0].(object)["addr"].(string), "10.50.") {
			t.Errorf("a server: %v", s)
		}
	}
	if len(ids) != 4 {
		t.Fatalf("servers: %v", ids)
	}

	boot(object{"name": "later"}, http.StatusAccepted)
	c.RunTasks()
	networks(1)
	topology := v2 + "/auto-allocated-topology/None"
	c.Demo.Do("DELETE", topology, nil).Expect(http.StatusConflict)
	c.Demo.Do("POST", v2+"/networks", object{"network": object{"name": "more"}}).Expect(http.StatusCreated)
	if got := boot(nil, http.StatusConflict).String("conflictingRequest.message"); got != "Multiple possible networks found, use a Network ID to be more specific." {
		t.Errorf("of two: %s", got)
	}
	for _, s := range c.Demo.Get(servers).Expect(http.StatusOK).List("servers") {
		c.Demo.Do("DELETE", servers+"/"+s.(object)["id"].(string), nil).Expect(http.StatusNoContent)
	}
	c.RunTasks()
	c.Demo.Do("DELETE", topology, nil).Expect(http.StatusNoContent)
	networks(1)
}

// TestAnyNetworkThatCannotBeMade: the outside network is full when the server's
// ports are made. The server says so, and no part is left.
func TestAnyNetworkThatCannotBeMade(t *testing.T) {
	c := testcloud.New(t)
	_, image := server(t, c)
	const v2 = "/networking/v2.0"
	wan := c.Admin.Do("POST", v2+"/networks", object{"network": object{"name": "wan", "router:external": true, "is_default": true}}).Expect(http.StatusCreated).String("network.id")
	c.Admin.Do("POST", v2+"/subnetpools", object{"subnetpool": object{"name": "p", "prefixes": []string{"10.50.0.0/16"}, "default_prefixlen": 26, "is_default": true, "shared": true}}).
		Expect(http.StatusCreated)
	c.Demo.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": "s", "flavorRef": "f1", "imageRef": image}}).Expect(http.StatusAccepted) // with none, as ever
	id := c.Demo.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": "s", "flavorRef": "f1", "imageRef": image, "networks": "auto"}},
		"OpenStack-API-Version", "compute 2.37").Expect(http.StatusAccepted).String("server.id")
	c.RunTasks()
	got := c.Demo.Get("/compute/v2.1/servers/" + id).Expect(http.StatusOK)
	if got.String("server.status") != "ERROR" || !strings.Contains(string(got.Body), "Unable to automatically allocate a network") {
		t.Errorf("on %s: %s", wan, got.Body)
	}
	for _, many := range []string{"networks", "subnets", "routers", "ports"} {
		if got := c.Demo.Get(v2 + "/" + many + "?project_id=" + c.Demo.ProjectID).Expect(http.StatusOK); len(got.List(many)) != 0 {
			t.Errorf("left: %s", got.Body)
		}
	}
}
