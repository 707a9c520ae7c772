package testcloud_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/testcloud"
)

const computeVersion = "OpenStack-API-Version"

// group makes a server group and tells how to make servers in it.
func group(c *testcloud.Cloud, image string, body object) (id string, boot func(n int)) {
	id = c.Demo.Do("POST", "/compute/v2.1/os-server-groups", object{"server_group": body}, computeVersion, "compute 2.64").Expect(http.StatusOK).String("server_group.id")
	return id, func(n int) {
		c.Demo.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": "g", "flavorRef": "f1", "imageRef": image, "networks": "none", "min_count": n, "max_count": n},
			"os:scheduler_hints": object{"group": id}}, computeVersion, "compute 2.64").Expect(http.StatusAccepted)
		c.RunTasks()
	}
}

// places counts the members of a group by their host; those without one by their status.
func places(c *testcloud.Cloud, id string) string {
	out := map[string]int{}
	for _, member := range c.Demo.Get("/compute/v2.1/os-server-groups/" + id).Expect(http.StatusOK).List("server_group.members") {
		s := c.Admin.Get("/compute/v2.1/servers/" + member.(string)).Expect(http.StatusOK)
		if host, ok := s.Value("server.OS-EXT-SRV-ATTR:host").(string); ok {
			out[host]++
		} else {
			out[s.String("server.status")]++
		}
	}
	return fmt.Sprint(out)
}

// TestServerGroupsPlaceTheirMembers makes members at once, so that the decisions
// about them are made side by side.
func TestServerGroupsPlaceTheirMembers(t *testing.T) {
	dbtest.EachOne(t, func(t *testing.T) {
		c := testcloud.New(t, testcloud.Hosts(2))
		_, image := server(t, c)
		c.Admin.Do("PUT", "/compute/v2.1/os-quota-sets/"+c.Demo.ProjectID, object{"quota_set": object{"instances": 50, "cores": 50}}).Expect(http.StatusOK)
		for name, tc := range map[string]struct {
			body object
			n    int
			want string
		}{
			"apart":         {object{"policy": "anti-affinity"}, 3, "map[ERROR:1 sim-1:1 sim-2:1]"},
			"two on a host": {object{"policy": "anti-affinity", "rules": object{"max_server_per_host": 2}}, 5, "map[ERROR:1 sim-1:2 sim-2:2]"},
			"rather apart":  {object{"policy": "soft-anti-affinity"}, 2, "map[sim-1:1 sim-2:1]"},
		} {
			tc.body["name"] = name
			id, boot := group(c, image, tc.body)
			boot(tc.n)
			if got := places(c, id); got != tc.want {
				t.Errorf("%s: %s", name, got)
			}
		}
		id, boot := group(c, image, object{"name": "together", "policy": "affinity"})
		boot(4)
		if got := places(c, id); got != "map[sim-1:4]" && got != "map[sim-2:4]" {
			t.Errorf("together: %s", got)
		}
	})
}

// TestServerGroupMoves: a member that may come back keeps its place.
func TestServerGroupMoves(t *testing.T) {
	c := testcloud.New(t, testcloud.Hosts(3))
	_, image := server(t, c)
	id, boot := group(c, image, object{"name": "apart", "policy": "anti-affinity"})
	boot(2)
	member := c.Demo.Get("/compute/v2.1/os-server-groups/" + id).Expect(http.StatusOK).String("server_group.members.0")
	c.Admin.Do("POST", "/compute/v2.1/servers/"+member+"/action", object{"migrate": nil}).Expect(http.StatusAccepted)
	c.RunTasks()
	if got := places(c, id); c.Demo.Get("/compute/v2.1/servers/"+member).String("server.status") != "VERIFY_RESIZE" {
		t.Fatalf("the member did not move: %s", got)
	}
	boot(1)
	members := c.Demo.Get("/compute/v2.1/os-server-groups/" + id).List("server_group.members")
	third := c.Demo.Get("/compute/v2.1/servers/" + members[2].(string))
	if third.String("server.status") != "ERROR" {
		t.Errorf("a third member took the place that the first may go back to: %s", places(c, id))
	}
	c.Demo.Do("POST", "/compute/v2.1/servers/"+member+"/action", object{"confirmResize": nil}).Expect(http.StatusNoContent)
	c.RunTasks()
	boot(1)
	members = c.Demo.Get("/compute/v2.1/os-server-groups/" + id).List("server_group.members")
	if got := c.Demo.Get("/compute/v2.1/servers/" + members[3].(string)).String("server.status"); got != "ACTIVE" {
		t.Errorf("with the place given up the next member is %s", got)
	}
}

func TestServerGroupsAsClientsSeeThem(t *testing.T) {
	c := testcloud.New(t)
	_, image := server(t, c)
	const path = "/compute/v2.1/os-server-groups"
	old := c.Demo.Do("POST", path, object{"server_group": object{"name": "old", "policies": []string{"affinity"}}}).Expect(http.StatusOK)
	if old.Value("server_group.policies.0") != "affinity" || old.Value("server_group.metadata") == nil || old.Value("server_group.project_id") != nil {
		t.Errorf("2.1: %s", old.Body)
	}
	id, boot := group(c, image, object{"name": "new", "policy": "anti-affinity", "rules": object{"max_server_per_host": 3}})
	boot(1)
	shown := c.Demo.Get(path+"/"+id, computeVersion, "compute 2.64").Expect(http.StatusOK)
	if shown.Value("server_group.rules.max_server_per_host") != 3.0 || shown.Value("server_group.policies") != nil || shown.String("server_group.project_id") != c.Demo.ProjectID {
		t.Errorf("2.64: %s", shown.Body)
	}
	for name, tc := range map[string]struct {
		version string
		body    object
	}{
		"soft policies are of 2.15":       {"2.14", object{"name": "g", "policies": []string{"soft-affinity"}}},
		"two policies":                    {"2.15", object{"name": "g", "policies": []string{"affinity", "anti-affinity"}}},
		"none":                            {"2.64", object{"name": "g"}},
		"the old member in 2.64":          {"2.64", object{"name": "g", "policies": []string{"affinity"}}},
		"the new member before":           {"2.63", object{"name": "g", "policy": "affinity"}},
		"rules are anti-affinity's alone": {"2.64", object{"name": "g", "policy": "affinity", "rules": object{"max_server_per_host": 2}}},
		"none on a host":                  {"2.64", object{"name": "g", "policy": "anti-affinity", "rules": object{"max_server_per_host": 0}}},
		"unknown rule":                    {"2.64", object{"name": "g", "policy": "anti-affinity", "rules": object{"x": 1}}},
		"no name":                         {"2.64", object{"policy": "affinity"}},
	} {
		if got := c.Demo.Do("POST", path, object{"server_group": tc.body}, computeVersion, "compute "+tc.version); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	for query, want := range map[string]int{"": 2, "?limit=1": 1, "?limit=1&offset=1": 1, "?offset=2": 0, "?all_projects=1": 2} {
		if got := c.Demo.Get(path + query).Expect(http.StatusOK).List("server_groups"); len(got) != want {
			t.Errorf("%d groups with %q", len(got), query)
		}
	}
	c.Demo.Get(path + "?limit=-1").Expect(http.StatusBadRequest)
	c.Demo.Get(path+"?color=red", computeVersion, "compute 2.74").Expect(http.StatusOK)
	c.Demo.Get(path+"?color=red", computeVersion, "compute 2.75").Expect(http.StatusBadRequest)
	if got := c.Admin.Get(path).Expect(http.StatusOK).List("server_groups"); len(got) != 0 {
		t.Errorf("another project's groups: %v", got)
	}
	member := shown.String("server_group.members.0")
	c.Demo.Do("DELETE", path+"/"+id, nil).Expect(http.StatusNoContent)
	c.Demo.Do("DELETE", path+"/"+id, nil).Expect(http.StatusNotFound)
	if got := c.Demo.Get("/compute/v2.1/servers/"+member, computeVersion, "compute 2.71").Expect(http.StatusOK).List("server.server_groups"); len(got) != 0 {
		t.Errorf("the member of a deleted group is in %v", got)
	}
}
