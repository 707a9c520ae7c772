package acceptance

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/test/report"

	_ "modernc.org/sqlite" // rows of the running server are counted beside it
)

// history are tables that grow with what is done, until their time is over.
var history = []string{"outbox_records", "outbox_waiting", "compute_actions", "compute_action_events", "compute_ended_servers", "compute_migrations", "identity_revocations",
	"placement_gone", "serials", "goose_db_version", "blockstorage_messages", "request_keys"}

// TestMix has clients do what clients do, with a hang of the server now and
// then, in rounds that end empty. From round to round the server must not grow:
// not in memory, goroutines, descriptors or rows (I-40).
func TestMix(t *testing.T) {
	if os.Getenv("MEK_SOAK") == "" {
		t.Skip("make soak runs it: little is seen in a short time")
	}
	seed := report.Seed(t)
	r := report.Start(t, "F12", seed)
	end := time.Now().Add(report.Length(t, 0))
	c := newCloud(t, "--simulate", "3")
	k := newKilling(c)
	k.report = r
	m := &mix{killing: k, http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: c.inside, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}}
	var samples []sample
	for round := 0; round < 3 || time.Now().Before(end) && !t.Failed(); round++ {
		m.round(seed, round)
		samples = append(samples, m.sample())
	}
	m.judge(samples)
}

type mix struct {
	*killing
	http *http.Client
}

// round is some work of several clients, after which nothing is left of it.
func (m *mix) round(seed uint64, round int) {
	var work sync.WaitGroup
	for n := range killWorkers {
		random := rand.New(rand.NewPCG(seed, uint64(round*100+n)))
		work.Go(func() {
			for i := range 2 {
				name := fmt.Sprintf("mix-%d-%d-%d", round, n, i)
				m.life(name, random)
				m.topology(name)
				m.look()
			}
		})
	}
	if pid := m.processOf("server"); round%2 == 1 && pid != 0 {
		wake := m.stop("server", pid)
		time.Sleep(time.Second)
		wake()
	}
	work.Wait()
	m.sweep()
	m.until("nothing is under way", time.Minute, func() (bool, string) {
		out := m.mek("admin", "tasks")
		return strings.Contains(out, "nothing is under way"), out
	})
}

// topology makes a network with what belongs to one, changes it and deletes it.
func (m *mix) topology(name string) {
	network := m.create(m.network, "networks", "network", map[string]any{"name": name})
	subnet := m.create(m.network, "subnets", "subnet", map[string]any{"name": name, "network_id": network, "cidr": "10.77.0.0/24", "ip_version": 4})
	port := m.create(m.network, "ports", "port", map[string]any{"name": name, "network_id": network})
	group := m.create(m.network, "security-groups", "security_group", map[string]any{"name": name})
	router := m.create(m.network, "routers", "router", map[string]any{"name": name})
	change := func(path string, body map[string]any) {
		if err := m.again(func(ctx context.Context) error { return m.network.Put(ctx, path, body, nil) }); err != nil {
			m.t.Errorf("change %s: %v", path, err)
		}
	}
	change("networks/"+network, map[string]any{"network": map[string]any{"description": name}})
	change("ports/"+port, map[string]any{"port": map[string]any{"security_groups": []string{group}}})
	change("routers/"+router+"/add_router_interface", map[string]any{"subnet_id": subnet})
	change("routers/"+router+"/remove_router_interface", map[string]any{"subnet_id": subnet})
	for _, one := range [][3]string{{"routers", "router", router}, {"ports", "port", port}, {"subnets", "subnet", subnet}, {"networks", "network", network},
		{"security-groups", "security_group", group}} {
		m.remove(m.network, one[0], one[1], one[2])
	}
}

// look lists and shows.
func (m *mix) look() {
	for path, s := range map[string]*apiclient.Service{"servers/detail": m.compute, "flavors/detail": m.compute, "limits": m.compute, "os-keypairs": m.compute,
		"volumes/detail": m.volume, "snapshots/detail": m.volume, "types": m.volume, "networks": m.network, "subnets": m.network, "floatingips": m.network} {
		if err := m.again(func(ctx context.Context) error {
			var out map[string]any
			return s.Get(ctx, path, &out)
		}); err != nil {
			m.t.Errorf("%s: %v", path, err)
		}
	}
}

// sample is the size of the server when nothing is going on.
type sample struct {
	at                              time.Time
	memory, goroutines, descriptors float64
	rows                            map[string]int
}

// sample takes the smallest of several looks: what is being given back is not growth.
func (m *mix) sample() sample {
	m.t.Helper()
	s := sample{at: time.Now(), rows: m.rows()}
	for n := range 8 {
		values := m.metrics()
		least := func(at *float64, name string) {
			if v := values[name]; n == 0 || v < *at {
				*at = v
			}
		}
		least(&s.memory, "process_resident_memory_bytes")
		least(&s.goroutines, "go_goroutines")
		least(&s.descriptors, "process_open_fds")
		time.Sleep(500 * time.Millisecond)
	}
	m.t.Logf("%.0f MiB, %.0f goroutines, %.0f descriptors", s.memory/(1<<20), s.goroutines, s.descriptors)
	return s
}

func (m *mix) metrics() map[string]float64 {
	m.t.Helper()
	resp, err := m.http.Get("https://127.0.0.1:8443/metrics")
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		m.t.Fatal(resp.Status, err)
	}
	out := map[string]float64{}
	for line := range bytes.Lines(body) {
		if name, value, ok := strings.Cut(strings.TrimSpace(string(line)), " "); ok {
			if v, err := strconv.ParseFloat(value, 64); err == nil {
				out[name] = v
			}
		}
	}
	return out
}

// rows counts the rows of every table that keeps no history.
func (m *mix) rows() map[string]int {
	m.t.Helper()
	d, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(m.conf.Server().Database, "sqlite://")+"?mode=ro")
	if err != nil {
		m.t.Fatal(err)
	}
	defer d.Close()
	found, err := d.Query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		m.t.Fatal(err)
	}
	defer found.Close()
	var names []string
	for found.Next() {
		var name string
		if err := found.Scan(&name); err != nil {
			m.t.Fatal(err)
		}
		names = append(names, name)
	}
	out := map[string]int{}
	for _, name := range names {
		var n int
		if err := d.QueryRow("SELECT count(*) FROM " + name).Scan(&n); err != nil {
			m.t.Fatal(name, err)
		}
		out[name] = n
	}
	for _, name := range history {
		delete(out, name)
	}
	return out
}

// judge compares the first rounds, in which caches fill, with the last.
func (m *mix) judge(all []sample) {
	m.t.Helper()
	first, last := all[1], all[len(all)-1]
	hours := last.at.Sub(first.at).Hours()
	slope := func(name string, a, b, room float64) {
		m.report.Measured(name+" at first and at last", fmt.Sprintf("%.0f, %.0f", a, b))
		if hours > 0.2 { // over less it is noise
			m.report.Measured(name+" per hour", fmt.Sprintf("%+.1f %%", (b-a)/a/hours*100))
		}
		if b > a+room {
			m.report.Violation("I-40: %s grew from %.0f to %.0f in %d rounds", name, a, b, len(all)-2)
		}
	}
	slope("MiB resident", first.memory/(1<<20), last.memory/(1<<20), first.memory/(1<<20)/10+8)
	slope("goroutines", first.goroutines, last.goroutines, 15)
	slope("descriptors", first.descriptors, last.descriptors, 10)
	for name, n := range last.rows {
		if n > first.rows[name]+2 {
			m.report.Violation("I-40: table %s grew from %d to %d rows", name, first.rows[name], n)
		}
	}
}
