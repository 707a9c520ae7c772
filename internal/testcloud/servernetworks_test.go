package testcloud_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/testcloud"
)

// TestServersOnNetworksOfOthers: who administers networks puts servers on any
// of them, outside ones too; other users are told that there is none.
func TestServersOnNetworksOfOthers(t *testing.T) {
	c := testcloud.New(t)
	server(t, c) // for its flavor
	image := c.Admin.Do("POST", "/image/v2/images", object{"name": "all", "disk_format": "raw", "container_format": "bare", "visibility": "public"}).
		Expect(http.StatusCreated).String("id")
	c.Admin.Do("PUT", "/image/v2/images/"+image+"/file", make([]byte, 1<<20), "Content-Type", "application/octet-stream").Expect(http.StatusNoContent)
	network := func(of *testcloud.Client, cidr string, external bool) string {
		body := object{"name": "n"}
		if external {
			body["router:external"] = true
		}
		id := of.Do("POST", "/networking/v2.0/networks", object{"network": body}).Expect(http.StatusCreated).String("network.id")
		of.Do("POST", "/networking/v2.0/subnets", object{"subnet": object{"network_id": id, "cidr": cidr, "ip_version": 4}}).Expect(http.StatusCreated)
		return id
	}
	boot := func(of *testcloud.Client, on string, status int) *testcloud.Answer {
		return of.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": "s", "flavorRef": "f1", "imageRef": image, "networks": []any{object{"uuid": on}}}}).Expect(status)
	}
	demos, admins, outside := network(c.Demo, "10.9.0.0/24", false), network(c.Admin, "10.8.0.0/24", false), network(c.Admin, "198.51.100.0/24", true)
	boot(c.Demo, admins, http.StatusBadRequest)
	boot(c.Demo, outside, http.StatusForbidden)
	first := boot(c.Admin, demos, http.StatusAccepted).String("server.id")
	second := boot(c.Admin, outside, http.StatusAccepted).String("server.id")
	c.RunTasks()
	if got := c.Admin.Get("/compute/v2.1/servers/" + first).Expect(http.StatusOK); got.String("server.status") != "ACTIVE" || got.String("server.addresses.n.0.addr") == "" {
		t.Errorf("on the network of another project: %s", got.Body)
	}
	if got := c.Admin.Get("/compute/v2.1/servers/" + second).Expect(http.StatusOK).String("server.status"); got != "ACTIVE" {
		t.Errorf("on an outside network: %s", got)
	}
}

// TestPortBornBound: the host of a port that is made bound hears of it at once,
// not when it next compares everything.
func TestPortBornBound(t *testing.T) {
	c := testcloud.New(t)
	network := c.Admin.Do("POST", "/networking/v2.0/networks", object{"network": object{"name": "n"}}).Expect(http.StatusCreated).String("network.id")
	port := c.Admin.Do("POST", "/networking/v2.0/ports", object{"port": object{"network_id": network, "binding:host_id": "sim-1"}}).Expect(http.StatusCreated).String("port.id")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for got := ""; got != "ACTIVE"; { // once its host has told so
		if ctx.Err() != nil {
			t.Fatalf("a port that was made bound is %s", got)
		}
		got = c.Admin.Get("/networking/v2.0/ports/" + port).Expect(http.StatusOK).String("port.status")
	}
}
