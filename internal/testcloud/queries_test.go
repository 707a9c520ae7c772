package testcloud_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/testcloud"
)

// quiet waits until nobody uses the database: reconcilers and the outbox work
// beside requests, and their statements must not be taken for a request's.
func quiet(c *testcloud.Cloud) db.Counts {
	c.RunTasks()
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for last := c.DB.Counts(); ; {
		<-tick.C
		now := c.DB.Counts()
		if now == last {
			return now
		}
		last = now
	}
}

// TestStatementsOfHotRoutes holds how many statements the requests that come
// most often make. A route that needs more than it did fails: a list must not
// ask for each of its rows, a check of a token must not ask at all.
func TestStatementsOfHotRoutes(t *testing.T) {
	c := testcloud.New(t)
	_, image := server(t, c)
	network := c.Demo.Do("POST", "/networking/v2.0/networks", object{"network": object{"name": "n"}}).Expect(http.StatusCreated).String("network.id")
	c.Demo.Do("POST", "/networking/v2.0/subnets", object{"subnet": object{"network_id": network, "cidr": "10.9.0.0/24", "ip_version": 4}}).Expect(http.StatusCreated)
	many := object{"server": object{"name": "s", "flavorRef": "f1", "imageRef": image, "networks": []any{object{"uuid": network}}, "min_count": 4}}
	c.Demo.Do("POST", "/compute/v2.1/servers", many).Expect(http.StatusAccepted)
	for range 3 {
		c.Demo.Do("POST", "/volume/v3/volumes", object{"volume": object{"size": 1}}).Expect(http.StatusAccepted)
	}
	c.RunTasks()
	servers := c.Demo.Get("/compute/v2.1/servers").List("servers")
	port := c.Demo.Get("/networking/v2.0/ports").List("ports")[0].(object)["id"].(string)
	one := servers[0].(object)["id"].(string)
	subnet := func(try int) any {
		return object{"subnet": object{"network_id": network, "cidr": fmt.Sprintf("10.10.%d.0/24", try), "ip_version": 4}}
	}
	for _, r := range []struct {
		method, path string
		body         any // or how it is made for each try
		most         int64
		postgres     int64 // more there, where locks and notices are statements of their own
	}{
		{"GET", "/identity/v3/auth/tokens", nil, 0, 0},
		{"GET", "/compute/v2.1/servers/" + one, nil, 4, 0},
		{"GET", "/compute/v2.1/servers/detail", nil, 4, 0},
		{"GET", "/compute/v2.1/flavors/detail", nil, 1, 0},
		{"GET", "/compute/v2.1/os-server-groups", nil, 1, 0},
		{"GET", "/networking/v2.0/networks", nil, 3, 0},
		{"GET", "/networking/v2.0/subnets", nil, 1, 0},
		{"GET", "/networking/v2.0/ports", nil, 4, 2},
		{"GET", "/networking/v2.0/ports/" + port, nil, 4, 2},
		{"GET", "/networking/v2.0/security-groups", nil, 4, 0},
		{"GET", "/image/v2/images", nil, 1, 0},
		{"GET", "/volume/v3/volumes/detail", nil, 2, 1},
		{"GET", "/volume/v3/volumes?with_count=true&limit=1", nil, 3, 1},
		{"GET", "/placement/allocation_candidates?resources=VCPU:1", nil, 8, 0},
		{"POST", "/networking/v2.0/networks", object{"network": object{"name": "x"}}, 3, 4},
		{"POST", "/networking/v2.0/subnets", subnet, 7, 7},
		{"POST", "/networking/v2.0/ports", object{"port": object{"network_id": network}}, 6, 8},
		{"POST", "/networking/v2.0/security-groups", object{"security_group": object{"name": "x"}}, 6, 4},
	} {
		client, headers := c.Demo, []string{}
		if strings.HasPrefix(r.path, "/volume") {
			headers = []string{"OpenStack-API-Version", "volume 3.70"}
		}
		if r.path[:10] == "/placement" {
			client, headers = c.Admin, []string{"OpenStack-API-Version", "placement 1.36"}
		}
		if r.path == "/identity/v3/auth/tokens" {
			headers = []string{"X-Subject-Token", c.Demo.Token}
		}
		if c.DB.Engine() == db.Postgres {
			r.most += r.postgres
		}
		var before, after db.Counts
		for try := 0; try == 0 || try < 3 && after.Queries-before.Queries > r.most; try++ { // what goes on beside is counted, too
			body := r.body
			if make, ok := body.(func(int) any); ok {
				body = make(try)
			}
			before = quiet(c)
			if got := client.Do(r.method, r.path, body, headers...); got.Status >= 300 {
				t.Fatalf("%s %s: %d %s", r.method, r.path, got.Status, got.Body)
			}
			after = c.DB.Counts()
		}
		n := after.Queries - before.Queries
		t.Logf("%s %s: %d statements", r.method, r.path, n)
		if n > r.most {
			t.Errorf("%s %s makes %d statements, no more than %d before", r.method, r.path, n, r.most)
		}
		if n := after.Commits - before.Commits; (r.method == "GET" && n != 0) || n > 1 {
			t.Errorf("%s %s commits %d times", r.method, r.path, n)
		}
	}
}

// TestStatementsOfAServer holds how many statements a server costs from the
// request until it is ACTIVE, with what its host is told and reports.
func TestStatementsOfAServer(t *testing.T) {
	c := testcloud.New(t)
	_, image := server(t, c)
	network := c.Demo.Do("POST", "/networking/v2.0/networks", object{"network": object{"name": "n"}}).Expect(http.StatusCreated).String("network.id")
	c.Demo.Do("POST", "/networking/v2.0/subnets", object{"subnet": object{"network_id": network, "cidr": "10.9.0.0/24", "ip_version": 4}}).Expect(http.StatusCreated)
	most := int64(53)
	if c.DB.Engine() == db.Postgres {
		most = 80
	}
	least := db.Counts{Queries: 1 << 40}
	// The first servers fill what is kept, one in a few comes with what hosts report
	// from time to time, and one in many tries an address that another has.
	for try := 0; try < 8 && least.Queries > most; try++ {
		before := quiet(c)
		c.Demo.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": "s", "flavorRef": "f1", "imageRef": image, "networks": []any{object{"uuid": network}}}}).Expect(http.StatusAccepted)
		after := quiet(c)
		if n := after.Queries - before.Queries; n < least.Queries {
			least = db.Counts{Queries: n, Writes: after.Writes - before.Writes}
		}
	}
	t.Logf("%d statements in %d transactions that write", least.Queries, least.Writes)
	if least.Queries > most {
		t.Errorf("a server makes %d statements, no more than %d before", least.Queries, most)
	}
}
