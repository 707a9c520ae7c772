package testcloud_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/testcloud"
)

// BenchmarkCreates is what the creates cost that are held to three times one commit:
// as BenchmarkRoutes, in a cloud where nothing else goes on, with what is written.
func BenchmarkCreates(b *testing.B) {
	c := testcloud.New(b, testcloud.Hosts(1), testcloud.Unlimited)
	w := furnished(b, c)
	made := 0
	b.Run("commit", func(b *testing.B) { // the limit: one row
		times := make([]time.Duration, 0, b.N)
		for range b.N {
			made++
			begun := time.Now()
			err := c.DB.Write(b.Context(), func(tx *db.Tx) error {
				_, err := tx.ExecContext(b.Context(), "INSERT INTO toolkit_facts (name, value) VALUES ($1, $2)", fmt.Sprint("bench-", made), "a value")
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
			times = append(times, time.Since(begun))
		}
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2]), "p50-ns")
	})
	network := ""
	for _, r := range []struct {
		name, path string
		body       func() any
	}{
		{"network", "networks", func() any { return object{"network": object{"name": fmt.Sprint("x-", made)}} }},
		{"subnet", "subnets", func() any { // many in a network, as many as there are /24 in two /16
			if made%512 == 0 || network == "" {
				network = c.Demo.Do("POST", "/networking/v2.0/networks", object{"network": object{"name": "n"}}).Expect(http.StatusCreated).String("network.id")
			}
			return object{"subnet": object{"network_id": network, "ip_version": 4, "cidr": fmt.Sprintf("10.%d.%d.0/24", 100+made%512/256, made%256)}}
		}},
		{"port", "ports", func() any { return object{"port": object{"network_id": w.network, "name": fmt.Sprint("x-", made)}} }},
		{"group", "security-groups", func() any { return object{"security_group": object{"name": fmt.Sprint("x-", made)}} }},
	} {
		b.Run(r.name, func(b *testing.B) {
			create := func() {
				made++
				body, _ := json.Marshal(r.body())
				bare(b, c.Handler(), c.Demo, "POST", "/networking/v2.0/"+r.path, body, nil)
			}
			for range 300 {
				create()
			}
			before, spent, written := quiet(c), processorTime(b), writtenBytes(b)
			b.ReportAllocs()
			b.ResetTimer()
			times := make([]time.Duration, 0, b.N)
			for range b.N {
				begun := time.Now()
				create()
				times = append(times, time.Since(begun))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2]), "p50-ns") // a mean is of the disk's worst moments
			b.ReportMetric(float64(processorTime(b)-spent)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(writtenBytes(b)-written)/4096/float64(b.N), "pages/op")
			b.ReportMetric(float64(c.DB.Counts().Queries-before.Queries)/float64(b.N), "statements/op")
		})
	}
}

// writtenBytes is what this process has handed to the system to be written.
func writtenBytes(b *testing.B) (n int64) {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err == nil {
		var read int64
		_, err = fmt.Sscanf(string(text), "rchar: %d\nwchar: %d", &read, &n)
	}
	if err != nil {
		b.Fatal(err)
	}
	return n
}
