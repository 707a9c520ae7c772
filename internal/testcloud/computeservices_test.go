package testcloud_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

// TestComputeServices lists what Nova's API knows as services: a conductor and
// a scheduler that are the server itself, and a compute service for each host.
func TestComputeServices(t *testing.T) {
	c := testcloud.New(t, testcloud.Hosts(2))
	const header, path = "OpenStack-API-Version", "/compute/v2.1/os-services"
	ids := map[string]string{}
	for _, one := range c.Admin.Get(path, header, "compute 2.53").Expect(http.StatusOK).List("services") {
		s := one.(object)
		binary, host := s["binary"].(string), s["host"].(string)
		if s["state"] != "up" || s["status"] != "enabled" || (s["zone"] == "internal") != (host == "server-1") || s["forced_down"] != false {
			t.Errorf("%v", s)
		}
		ids[binary+" "+host] = s["id"].(string)
	}
	scheduler := ids["nova-scheduler server-1"]
	if len(ids) != 4 || scheduler == "" || scheduler == ids["nova-conductor server-1"] || ids["nova-compute sim-1"] == "" {
		t.Fatalf("the services are %v", ids)
	}
	for filter, n := range map[string]int{"binary=nova-scheduler": 1, "binary=nova-compute": 2, "host=server-1": 2, "host=sim-2&binary=nova-conductor": 0} {
		if got := c.Admin.Get(path + "?" + filter).Expect(http.StatusOK).List("services"); len(got) != n {
			t.Errorf("%d services with %s, want %d", len(got), filter, n)
		}
	}
	c.Admin.Do("PUT", path+"/"+scheduler, object{"status": "disabled"}, header, "compute 2.53").Expect(http.StatusBadRequest)
	c.Admin.Do("DELETE", path+"/"+scheduler, nil, header, "compute 2.53").Expect(http.StatusNotImplemented)
	c.Admin.Do("PUT", path+"/disable", object{"host": "server-1", "binary": "nova-scheduler"}).Expect(http.StatusNotImplemented)
	c.Admin.Do("PUT", path+"/disable", object{"host": "sim-1", "binary": "nova-scheduler"}).Expect(http.StatusNotFound)
	c.Admin.Do("PUT", path+"/disable", object{"host": "sim-1", "binary": "nova-compute"}).Expect(http.StatusOK)
	if got := c.Admin.Get("/compute/v2.1/os-hosts?zone=nova").Expect(http.StatusOK); len(got.List("hosts")) != 1 || got.String("hosts.0.host_name") != "sim-2" {
		t.Errorf("hosts of the zone, one of two disabled: %s", got.Body)
	}
	if got := c.Admin.Get("/compute/v2.1/os-hosts?zone=internal").Expect(http.StatusOK); len(got.List("hosts")) != 2 || got.String("hosts.1.service") != "scheduler" {
		t.Errorf("hosts of the internal zone: %s", got.Body)
	}
	zones := c.Admin.Get("/compute/v2.1/os-availability-zone/detail").Expect(http.StatusOK)
	if zones.String("availabilityZoneInfo.0.zoneName") != "internal" || zones.Value("availabilityZoneInfo.0.hosts.server-1.nova-conductor.available") != true {
		t.Errorf("zones in detail: %s", zones.Body)
	}
	if got := c.Demo.Get("/compute/v2.1/os-availability-zone").Expect(http.StatusOK).List("availabilityZoneInfo"); len(got) != 1 {
		t.Errorf("zones for users: %v", got)
	}
}

// TestParametersNobodyKnows: from 2.75 on Nova refuses what it ignored before.
func TestParametersNobodyKnows(t *testing.T) {
	c := testcloud.New(t)
	id, _ := server(t, c)
	for path, known := range map[string]string{"/servers": "tags-any=x", "/servers/detail": "changes-before=2030-01-01T00:00:00Z", "/flavors": "minRam=1",
		"/flavors/detail": "sort_dir=asc", "/os-services": "binary=x", "/os-keypairs": "limit=1", "/limits": "tenant_id=" + c.Admin.ProjectID,
		"/os-quota-sets/" + c.Admin.ProjectID: "user_id=" + c.Admin.UserID, "/os-simple-tenant-usage": "detailed=1", "/os-server-groups": "offset=1",
		"/servers/" + id + "/os-volume_attachments": "limit=1", "/os-volumes_boot": "name=x"} {
		path = "/compute/v2.1" + path
		c.Admin.Get(path+"?colour=red", computeVersion, "compute 2.74").Expect(http.StatusOK)
		c.Admin.Get(path+"?"+known, computeVersion, "compute 2.75").Expect(http.StatusOK)
		if got := c.Admin.Get(path+"?colour=red", computeVersion, "compute 2.75").Expect(http.StatusBadRequest).String("badRequest.message"); !strings.Contains(got, "'colour' was unexpected") {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// TestServersByTheirOldAddress: clients of old make servers with volumes at
// an address of its own, where upstream answers as for all servers.
func TestServersByTheirOldAddress(t *testing.T) {
	c := testcloud.New(t)
	first, image := server(t, c)
	const old, header, v = "/compute/v2.1/os-volumes_boot", "OpenStack-API-Version", "compute 2.37"
	boot := object{"name": "v", "flavorRef": "f1", "networks": "none", "block_device_mapping_v2": []any{object{"source_type": "image", "uuid": image,
		"destination_type": "volume", "volume_size": 1, "boot_index": 0, "delete_on_termination": true}}}
	id := c.Demo.Do("POST", old, object{"server": boot}, header, v).Expect(http.StatusAccepted).String("server.id")
	c.RunTasks()
	if got := c.Demo.Get("/compute/v2.1/servers/" + id).Expect(http.StatusOK); got.String("server.status") != "ACTIVE" ||
		len(got.List("server.os-extended-volumes:volumes_attached")) != 1 {
		t.Errorf("%s", got.Body)
	}
	for _, path := range []string{old, old + "/detail"} {
		if got := c.Demo.Get(path).Expect(http.StatusOK).List("servers"); len(got) != 2 {
			t.Errorf("%d servers at %s", len(got), path)
		}
	}
	c.Demo.Do("PUT", old+"/"+first, object{"server": object{"name": "renamed"}}).Expect(http.StatusOK)
	c.Demo.Do("POST", old+"/"+first+"/action", object{"os-stop": nil}).Expect(http.StatusAccepted)
	c.RunTasks()
	if got := c.Demo.Get(old + "/" + first).Expect(http.StatusOK); got.String("server.status") != "SHUTOFF" || got.String("server.name") != "renamed" {
		t.Errorf("stopped and renamed: %s", got.Body)
	}
	c.Demo.Do("DELETE", old+"/"+id, nil).Expect(http.StatusNoContent)
	c.RunTasks()
	c.Demo.Get("/compute/v2.1/servers/" + id).Expect(http.StatusNotFound)
}
