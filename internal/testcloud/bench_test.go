package testcloud_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/testcloud"
)

const (
	benchServers = 1000
	benchHosts   = 1000
)

// BenchmarkRoutes is what a request costs without a socket and a client: policy,
// audit, events and durable commits are as in the product. "commit" is the limit
// beside it, one row made durable by one writer.
func BenchmarkRoutes(b *testing.B) {
	c := testcloud.New(b, testcloud.Hosts(4), testcloud.Unlimited)
	c.Breaks() // it is not of one piece with hosts that nobody runs
	w := busyCloud(b, c)
	b.Run("commit", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n++
			err := c.DB.Write(b.Context(), func(tx *db.Tx) error {
				_, err := tx.ExecContext(context.Background(), "INSERT INTO toolkit_facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", "bench", fmt.Sprint(n))
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	one, port := "/compute/v2.1/servers/"+w.server, "/networking/v2.0/ports/"+w.port
	for _, r := range []struct {
		name, method, path string
		body               any
		headers            []string
	}{
		{"token-validate", "GET", "/identity/v3/auth/tokens", nil, []string{"X-Subject-Token", c.Demo.Token}},
		{"server-list-1000", "GET", "/compute/v2.1/servers/detail", nil, nil},
		{"server-list-1000-2.93", "GET", "/compute/v2.1/servers/detail", nil, []string{"OpenStack-API-Version", "compute 2.93"}},
		{"server-list-100", "GET", "/compute/v2.1/servers/detail?limit=100", nil, nil},
		{"server-show", "GET", one, nil, nil},
		{"server-create", "POST", "/compute/v2.1/servers", object{"server": w.serverBody}, nil},
		{"network-create", "POST", "/networking/v2.0/networks", object{"network": object{"name": "x"}}, nil},
		{"port-create", "POST", "/networking/v2.0/ports", object{"port": object{"network_id": w.network}}, nil},
		{"security-group-create", "POST", "/networking/v2.0/security-groups", object{"security_group": object{"name": "x"}}, nil},
		{"volume-create", "POST", "/volume/v3/volumes", object{"volume": object{"size": 1}}, nil},
		{"port-show", "GET", port, nil, nil},
		{"port-list-1000", "GET", "/networking/v2.0/ports?limit=1000", nil, nil},
		{"network-list", "GET", "/networking/v2.0/networks?limit=100", nil, nil},
		{"volume-list-100", "GET", "/volume/v3/volumes/detail?limit=100", nil, nil},
		{"volume-list-count", "GET", "/volume/v3/volumes?limit=10&with_count=true", nil, []string{"OpenStack-API-Version", "volume 3.70"}},
		{"candidates-1000", "GET", "/placement/allocation_candidates?resources=VCPU:1,MEMORY_MB:64", nil, []string{"OpenStack-API-Version", "placement 1.36"}},
		{"candidates-10", "GET", "/placement/allocation_candidates?resources=VCPU:1,MEMORY_MB:64&limit=10", nil, []string{"OpenStack-API-Version", "placement 1.36"}},
	} {
		client := c.Demo
		if strings.HasPrefix(r.path, "/placement") {
			client = c.Admin
		}
		b.Run(r.name, func(b *testing.B) {
			var body []byte
			if r.body != nil {
				body, _ = json.Marshal(r.body)
			}
			before, size, spent := quiet(c), 0, processorTime(b)
			b.ReportAllocs()
			for b.Loop() {
				size = bare(b, c.Handler(), client, r.method, r.path, body, r.headers)
			}
			b.ReportMetric(float64(processorTime(b)-spent)/float64(b.N), "cpu-ns/op") // of the whole process, collector and all
			after := c.DB.Counts()
			b.ReportMetric(float64(after.Queries-before.Queries)/float64(b.N), "statements/op")
			b.ReportMetric(float64(after.Commits-before.Commits)/float64(b.N), "commits/op")
			b.ReportMetric(float64(size), "answer-bytes")
			if r.body != nil {
				c.RunTasks()
			}
		})
	}
}

// BenchmarkServer is what a server costs from the request until it is ACTIVE,
// with what its host is told and reports; eight are made at once.
func BenchmarkServer(b *testing.B) {
	c := testcloud.New(b, testcloud.Hosts(16), testcloud.Unlimited)
	w := furnished(b, c)
	eight(b, c, "server", "/compute/v2.1/servers", object{"server": w.serverBody})
	if bad := c.Demo.Get("/compute/v2.1/servers?status=ERROR").List("servers"); len(bad) > 0 {
		b.Fatalf("%d servers failed", len(bad))
	}
}

// BenchmarkVolume is what a volume costs until it is available.
func BenchmarkVolume(b *testing.B) {
	c := testcloud.New(b, testcloud.Hosts(16), testcloud.Unlimited)
	furnished(b, c)
	eight(b, c, "volume", "/volume/v3/volumes", object{"volume": object{"size": 1}})
	if bad := c.Demo.Get("/volume/v3/volumes?status=error").List("volumes"); len(bad) > 0 {
		b.Fatalf("%d volumes failed", len(bad))
	}
}

// eight makes eight things at once, again and again, and tells what each costs.
func eight(b *testing.B, c *testcloud.Cloud, what, path string, of object) {
	b.Helper()
	body, _ := json.Marshal(of)
	before, spent := quiet(c), processorTime(b)
	b.ReportAllocs()
	for b.Loop() {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { bare(b, c.Handler(), c.Demo, "POST", path, body, nil) })
		}
		all.Wait()
		c.RunTasks()
	}
	after := c.DB.Counts()
	b.ReportMetric(float64(processorTime(b)-spent)/float64(b.N)/8, "cpu-ns/"+what)
	b.ReportMetric(float64(after.Queries-before.Queries)/float64(b.N)/8, "statements/"+what)
	b.ReportMetric(float64(after.Writes-before.Writes)/float64(b.N)/8, "transactions/"+what)
	b.ReportMetric(float64(after.Commits-before.Commits)/float64(b.N)/8, "commits/"+what)
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bare sends a request past the sockets and tells how long its answer is.
func bare(b *testing.B, h http.Handler, client *testcloud.Client, method, path string, body []byte, headers []string) int {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("X-Auth-Token", client.Token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code >= 300 {
		b.Fatalf("%s %s: %d %.300s", method, path, w.Code, w.Body.String())
	}
	return w.Body.Len()
}

type busy struct {
	server, port, network string
	serverBody            object
}

// furnished has what servers are made of, and no quotas.
func furnished(b *testing.B, c *testcloud.Cloud) busy {
	b.Helper()
	const none = -1
	c.Admin.Do("PUT", "/compute/v2.1/os-quota-sets/"+c.Demo.ProjectID, object{"quota_set": object{"instances": none, "cores": none, "ram": none}}).Expect(http.StatusOK)
	c.Admin.Do("PUT", "/networking/v2.0/quotas/"+c.Demo.ProjectID, object{"quota": object{"port": none, "network": none, "security_group": none, "subnet": none,
		"security_group_rule": none}}).Expect(http.StatusOK)
	c.Admin.Do("PUT", "/volume/v3/os-quota-sets/"+c.Demo.ProjectID, object{"quota_set": object{"volumes": none, "gigabytes": none}}).Expect(http.StatusOK)
	c.Admin.Do("POST", "/compute/v2.1/flavors", object{"flavor": object{"name": "f", "ram": 1, "vcpus": 1, "disk": 1, "id": "f1"}}).Expect(http.StatusOK)
	image := c.Demo.Do("POST", "/image/v2/images", object{"name": "i", "disk_format": "raw", "container_format": "bare"}).Expect(http.StatusCreated).String("id")
	c.Demo.Do("PUT", "/image/v2/images/"+image+"/file", make([]byte, 1<<20), "Content-Type", "application/octet-stream").Expect(http.StatusNoContent)
	w := busy{network: c.Demo.Do("POST", "/networking/v2.0/networks", object{"network": object{"name": "n"}}).Expect(http.StatusCreated).String("network.id")}
	c.Demo.Do("POST", "/networking/v2.0/subnets", object{"subnet": object{"network_id": w.network, "cidr": "10.0.0.0/8", "ip_version": 4}}).Expect(http.StatusCreated)
	w.serverBody = object{"name": "s", "flavorRef": "f1", "imageRef": image, "networks": []any{object{"uuid": w.network}}}
	return w
}

// busyCloud has a thousand servers with their ports, and as many hosts that nobody runs.
func busyCloud(b *testing.B, c *testcloud.Cloud) busy {
	b.Helper()
	w := furnished(b, c)
	for range benchServers / 100 {
		many := object{"min_count": 100}
		for k, v := range w.serverBody {
			many[k] = v
		}
		c.Demo.Do("POST", "/compute/v2.1/servers", object{"server": many}).Expect(http.StatusAccepted)
		c.RunTasks() // of a hundred at once: all at once they may take longer than it waits
	}
	w.server = c.Demo.Get("/compute/v2.1/servers?limit=1").List("servers")[0].(object)["id"].(string)
	w.port = c.Demo.Get("/networking/v2.0/ports?limit=1&device_id=" + w.server).List("ports")[0].(object)["id"].(string)
	const header, version = "OpenStack-API-Version", "placement 1.36"
	for i := range benchHosts {
		id := c.Admin.Do("POST", "/placement/resource_providers", object{"name": fmt.Sprintf("idle-%d", i)}, header, version).Expect(http.StatusOK).String("uuid")
		c.Admin.Do("PUT", "/placement/resource_providers/"+id+"/inventories", object{"resource_provider_generation": 0, "inventories": object{
			"VCPU": object{"total": 64, "allocation_ratio": 4.0}, "MEMORY_MB": object{"total": 262144, "allocation_ratio": 1.0}, "DISK_GB": object{"total": 2000}}}, header, version).Expect(http.StatusOK)
	}
	return w
}
