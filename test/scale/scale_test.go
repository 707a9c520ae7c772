package scale

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/test/measured"
)

// The load: how many clients fill the cloud and how many servers each request
// asks for; how many clients then make them one by one, alone and beside readers.
const (
	fillers, batch  = 8, 50
	alone           = 32
	creators, reads = 16, 8
	perNetwork      = 20_000
	calmAsked       = 200
)

// TestScale fills a cloud of MEK_SCALE_HOSTS simulated hosts with MEK_SCALE_SERVERS
// servers by its API, measures requests at that size, and starts its control
// plane again. Hosts, server and load share this process: its memory is of all three.
func TestScale(t *testing.T) {
	if os.Getenv("MEK_SCALE") == "" || os.Getenv("MEK_SCALE_SEEDED") != "" {
		t.Skip("make scale runs it")
	}
	f := &field{t: t, hosts: setting(t, "MEK_SCALE_HOSTS", 10_000), servers: setting(t, "MEK_SCALE_SERVERS", 1_000_000), single: setting(t, "MEK_SCALE_SINGLE", 2000)}
	f.about = fmt.Sprintf("%d hosts, %d servers", f.hosts, f.servers)
	begun := time.Now()
	f.cloud = testcloud.New(t, testcloud.Hosts(f.hosts), boundless)
	f.cloud.Breaks() // the checks at the end are for small clouds
	f.settle("joined")
	note(t, single("scale/join", "s", time.Since(begun).Seconds(), f.about+": first start until every host is known"))
	f.prepare()
	f.fill()
	if t.Failed() {
		return
	}
	note(t, single("scale/hosts", "hosts", float64(f.hosts), f.about), single("scale/servers", "servers", float64(f.active()), f.about))
	debug.FreeOSMemory()
	note(t, single("scale/memory", "MiB", resident(t, "VmRSS:"), f.about+": resident, of server, hosts and load in one process"))
	f.load()
	note(t, single("scale/peak-memory", "MiB", resident(t, "VmHWM:"), f.about+": the most so far"))
	f.restart()
}

// field is a cloud under load.
type field struct {
	t                      testing.TB
	cloud                  *testcloud.Cloud
	hosts, servers, single int
	about                  string
	a                      *asker
	image, project         string // project: of the servers that are asked for
	networks               []string
	ids                    []string
	since                  int64 // microseconds since 1970
}

func (f *field) must(body []byte, _ float64, err error) []byte {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	return body
}

func (f *field) settle(what string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	if err := f.cloud.Hub.Settle(ctx); err != nil {
		f.t.Fatalf("%s: %v", what, err)
	}
}

// prepare makes what servers need: a flavor, an image, and networks.
func (f *field) prepare() {
	c := f.cloud
	c.Admin.Do("POST", "/compute/v2.1/flavors", object{"flavor": object{"name": "f", "ram": 64, "vcpus": 1, "disk": 1, "id": "f1"}}).Expect(http.StatusOK)
	f.image = c.Demo.Do("POST", "/image/v2/images", object{"name": "i", "disk_format": "raw", "container_format": "bare"}).Expect(http.StatusCreated).String("id")
	c.Demo.Do("PUT", "/image/v2/images/"+f.image+"/file", make([]byte, 1<<20), "Content-Type", "application/octet-stream").Expect(http.StatusNoContent)
	for i := range f.servers/perNetwork + 1 {
		id := c.Demo.Do("POST", "/networking/v2.0/networks", object{"network": object{"name": fmt.Sprint("n", i)}}).Expect(http.StatusCreated).String("network.id")
		c.Demo.Do("POST", "/networking/v2.0/subnets", object{"subnet": object{"network_id": id, "cidr": fmt.Sprintf("10.%d.0.0/16", i%250), "ip_version": 4}}).Expect(http.StatusCreated)
		f.networks = append(f.networks, id)
	}
	f.project = c.Demo.ProjectID
	f.a = newAsker(c, c.Demo)
}

func (f *field) create(ctx context.Context, i, n int) ([]byte, float64, error) {
	return f.a.ask(ctx, "POST", "/compute/v2.1/servers", object{"server": object{"name": fmt.Sprint("s", i), "flavorRef": "f1", "imageRef": f.image,
		"networks": []object{{"uuid": f.networks[i/perNetwork]}}, "min_count": n, "max_count": n}})
}

// active counts servers that are, of those made since f.since; failed ones end the test.
func (f *field) active() int {
	f.t.Helper()
	var n, failed int
	if err := f.cloud.DB.QueryRowContext(context.Background(), "SELECT count(*), coalesce(sum(CASE WHEN status = 'ERROR' THEN 1 ELSE 0 END), 0) FROM compute_servers WHERE status IN ('ACTIVE', 'ERROR') AND created_at >= $1", f.since).
		Scan(&n, &failed); err != nil {
		f.t.Fatal(err)
	}
	if failed > 0 {
		var data string
		_ = f.cloud.DB.QueryRowContext(context.Background(), "SELECT data FROM compute_servers WHERE status = 'ERROR' LIMIT 1").Scan(&data)
		f.t.Fatalf("%d servers are in ERROR: %s", failed, data)
	}
	return n
}

// await waits until so many servers are ACTIVE.
func (f *field) await(n int) {
	f.t.Helper()
	last, since := -1, time.Now()
	for tick := time.NewTicker(100 * time.Millisecond); ; <-tick.C {
		now := f.active()
		if now >= n {
			tick.Stop()
			return
		}
		if now != last {
			last, since = now, time.Now()
		} else if time.Since(since) > 3*time.Minute {
			f.t.Fatalf("nothing becomes ACTIVE any more: %d of %d", now, n)
		}
	}
}

// fill makes most servers, many by each request, and says how the rate falls as they become more.
func (f *field) fill() {
	f.t.Helper()
	var rates []float64
	const steps = 10
	done, begun := 0, time.Now()
	for step := 1; step <= steps; step++ {
		until, from, since := f.servers*step/steps, done, time.Now()
		_, errs := crowd((until-done+batch-1)/batch, fillers, func(i int) (float64, error) {
			first := from + i*batch
			_, took, err := f.create(context.Background(), first, min(batch, until-first))
			return took, err
		})
		if len(errs) > 0 {
			f.t.Fatalf("%d creates failed, such as: %v", len(errs), errs[0])
		}
		f.await(until)
		rates = append(rates, float64(until-from)/time.Since(since).Seconds())
		f.t.Logf("%d servers after %v: %.0f/s, %.0f MiB", until, time.Since(begun).Round(time.Second), rates[len(rates)-1], resident(f.t, "VmRSS:"))
		done = until
	}
	note(f.t, measured.Line{Name: "scale/fill", Unit: "servers/s", Spread: measured.SpreadOf(rates), Samples: steps,
		Note: fmt.Sprintf("%s: to ACTIVE, %d by each request of %d clients; %.0f/s at first, %.0f/s at last", f.about, batch, fillers, rates[0], rates[steps-1])})
}

// load asks in four ways: one request at a time, as many servers as can be, at a
// pace that can be held, and by clients of all kinds without a pause.
func (f *field) load() {
	f.t.Helper()
	ctx := context.Background()
	f.some(ctx)
	f.calm(ctx)
	f.rush(ctx)
	f.steady(ctx)
	f.crowded(ctx)
}

// some chooses the servers that are asked for.
func (f *field) some(ctx context.Context) {
	f.t.Helper()
	rows, err := f.cloud.DB.QueryContext(ctx, "SELECT id FROM compute_servers WHERE project_id = $1 ORDER BY id LIMIT 1000", f.project)
	if err != nil {
		f.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			f.t.Fatal(err)
		}
		f.ids = append(f.ids, id)
	}
}

// made has servers made one by one, and waits until they are ACTIVE: how long
// until that, and until the last was accepted, in seconds.
func (f *field) made(ctx context.Context, load string, n, clients int) (creates []float64, errs []error, accepted, active float64) {
	f.t.Helper()
	before := f.active()
	costs := f.costs(load)
	begun := time.Now()
	creates, errs = crowd(n, clients, func(i int) (float64, error) {
		_, took, err := f.create(ctx, i%perNetwork, 1)
		return took, err
	})
	accepted = time.Since(begun).Seconds()
	f.await(before + len(creates))
	active = time.Since(begun).Seconds()
	costs(len(creates))
	return creates, errs, accepted, active
}

// rush makes as many servers as can be: nobody asks for anything else.
func (f *field) rush(ctx context.Context) {
	f.t.Helper()
	n := 4 * f.single
	creates, errs, accepted, active := f.made(ctx, "rush", n, alone)
	f.failed(errs)
	how := fmt.Sprintf("%s; %d made by %d clients, one by each request, nobody else asks", f.about, n, alone)
	note(f.t, single("scale/creates", "servers/s", float64(n)/active, how), single("scale/accepted", "servers/s", float64(n)/accepted, how), p99("rush-create", creates, len(errs), how))
}

// crowded makes servers while others read without a pause.
func (f *field) crowded(ctx context.Context) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	var shows, pages []float64
	var showErrs, pageErrs []error
	f.reading(ctx, &readers, &shows, &showErrs, f.showPath)
	f.reading(ctx, &readers, &pages, &pageErrs, f.pagePath)
	creates, errs, _, active := f.made(ctx, "crowded", f.single, creators)
	cancel()
	readers.Wait()
	f.failed(errs, showErrs, pageErrs)
	how := fmt.Sprintf("%s; %d clients create, %d show, %d list 100 of details, none of them pauses", f.about, creators, reads/2, reads/2)
	note(f.t, single("scale/crowded-creates", "servers/s", float64(len(creates))/active, how),
		p99("crowded-show", shows, len(showErrs), how), p99("crowded-list", pages, len(pageErrs), how), p99("crowded-create", creates, len(errs), how))
}

// failed ends the test well only if nothing went wrong.
func (f *field) failed(kinds ...[]error) {
	f.t.Helper()
	for _, all := range kinds {
		if len(all) > 0 {
			f.t.Errorf("%d requests failed, such as: %v", len(all), all[0])
		}
	}
}

// calm asks for each thing often, one request at a time: how long somebody waits
// in a cloud of this size that is not overloaded.
func (f *field) calm(ctx context.Context) {
	f.t.Helper()
	how := f.about + "; one request at a time"
	get := func(path func(i int) string) func(i int) (float64, error) {
		return func(i int) (float64, error) {
			_, took, err := f.a.ask(ctx, "GET", path(i), nil)
			return took, err
		}
	}
	shows, showErrs := crowd(calmAsked, 1, get(f.showPath))
	pages, pageErrs := crowd(calmAsked, 1, get(f.pagePath))
	before := f.active()
	creates, errs := crowd(calmAsked, 1, func(i int) (float64, error) {
		_, took, err := f.create(ctx, i, 1)
		return took, err
	})
	f.await(before + len(creates))
	f.failed(errs, showErrs, pageErrs)
	note(f.t, p99("calm-show", shows, len(showErrs), how), p99("calm-list", pages, len(pageErrs), how+", 100 servers with all details"), p99("calm-create", creates, len(errs), how))
}

func (f *field) showPath(i int) string {
	return "/compute/v2.1/servers/" + f.ids[i*7919%len(f.ids)]
}

func (f *field) pagePath(i int) string {
	return "/compute/v2.1/servers/detail?limit=100&marker=" + f.ids[i*7919%len(f.ids)]
}

// reading asks again and again until ctx ends.
func (f *field) reading(ctx context.Context, all *sync.WaitGroup, times *[]float64, errs *[]error, path func(i int) string) {
	var mu sync.Mutex
	for k := range reads / 2 {
		all.Go(func() {
			for i := k; ctx.Err() == nil; i += reads / 2 {
				_, took, err := f.a.ask(context.WithoutCancel(ctx), "GET", path(i), nil)
				mu.Lock()
				if err != nil {
					*errs = append(*errs, err)
				} else {
					*times = append(*times, took)
				}
				mu.Unlock()
			}
		})
	}
}

func p99(what string, times []float64, failed int, how string) measured.Line {
	s := measured.SpreadOf(times)
	return measured.Line{Name: "scale/" + what + "-p99", Unit: "ms", Spread: measured.Spread{Value: measured.Percentile(slices.Sorted(slices.Values(times)), 99), Least: s.Value, Most: s.Most}, Samples: len(times), Errors: failed,
		Note: how + "; p50 and longest in brackets"}
}

// restart ends the control plane, starts another, and waits until it has
// compared every host with what it should have.
func (f *field) restart() {
	f.t.Helper()
	begun := time.Now()
	f.cloud = f.cloud.Again(f.cloud.DB)
	f.cloud.Breaks()
	f.a = newAsker(f.cloud, f.cloud.Demo)
	answering := time.Since(begun)
	f.settle("joined again")
	for i := range f.hosts {
		if name := fmt.Sprintf("sim-%d", i+1); !f.cloud.Hub.Alive(name) {
			f.t.Errorf("%s is not alive", name)
		}
	}
	note(f.t, single("scale/reconnect", "s", time.Since(begun).Seconds(), fmt.Sprintf("%s: from the end of the old server until the new one has compared all hosts; in process; requests answered after %.1f s", f.about, answering.Seconds())))
}

// resident is a line of /proc/self/status, in MiB.
func resident(t testing.TB, field string) float64 {
	t.Helper()
	content, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		var kib float64
		if rest, ok := strings.CutPrefix(line, field); ok {
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				t.Fatal(err)
			}
			return kib / 1024
		}
	}
	t.Fatal("no " + field)
	return 0
}
