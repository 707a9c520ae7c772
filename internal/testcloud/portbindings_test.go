package testcloud_test

import (
	"net/http"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

// TestMovesTakeBindingsAlong: a server that moves has its port where it is, and an
// inactive binding of that host has become the active one.
func TestMovesTakeBindingsAlong(t *testing.T) {
	c := testcloud.New(t, testcloud.Hosts(2))
	_, image := server(t, c)
	service := c.Login("service", testcloud.ServicePassword, "service")
	const v2 = "/networking/v2.0"
	network := c.Demo.Do("POST", v2+"/networks", object{"network": object{"name": "n"}}).Expect(http.StatusCreated).String("network.id")
	c.Demo.Do("POST", v2+"/subnets", object{"subnet": object{"network_id": network, "cidr": "10.9.0.0/24", "ip_version": 4}}).Expect(http.StatusCreated)
	id := c.Demo.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": "s", "flavorRef": "f1", "imageRef": image, "networks": []any{object{"uuid": network}}}}).
		Expect(http.StatusAccepted).String("server.id")
	c.RunTasks()
	port := c.Admin.Get(v2 + "/ports?device_id=" + id).Expect(http.StatusOK)
	at := port.String("ports.0.binding:host_id")
	to := map[string]string{"sim-1": "sim-2", "sim-2": "sim-1"}[at]
	bindings := v2 + "/ports/" + port.String("ports.0.id") + "/bindings"
	service.Do("POST", bindings, object{"binding": object{"host": to}}).Expect(http.StatusCreated)
	check := func(host string) {
		t.Helper()
		got := c.Admin.Get(bindings).Expect(http.StatusOK)
		if len(got.List("bindings")) != 1 || got.String("bindings.0.host") != host || got.String("bindings.0.status") != "ACTIVE" {
			t.Errorf("on %s: %s", host, got.Body)
		}
	}
	c.Admin.Do("POST", "/compute/v2.1/servers/"+id+"/action", object{"migrate": nil}).Expect(http.StatusAccepted)
	c.RunTasks()
	if got := status(c, id); got != "VERIFY_RESIZE" {
		t.Fatalf("the server is %s", got)
	}
	check(to)
	act(c, id, object{"revertResize": nil}, http.StatusAccepted)
	c.RunTasks()
	if got := status(c, id); got != "ACTIVE" {
		t.Fatalf("the server is %s", got)
	}
	check(at)
}
