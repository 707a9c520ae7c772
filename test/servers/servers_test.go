package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mekcloud/mek/test/report"
)

// lifeLimit is within which a server or volume must be what was asked for,
// whatever dies meanwhile.
const lifeLimit = 60 * time.Second

// tenants is what the users of the cloud do while things die.
type tenants struct {
	*user
	w              *world
	image, network string
	strict         bool

	mu           sync.Mutex
	made, wrong  int
	wrongs       []string
	databaseDown []span
	hung         atomic.Bool // a server: it may be the one that has the object store open
	account      string
}

type span struct{ from, to time.Time }

// TestServersDie kills, stops and cuts off one thing after the other under load:
// nobody may see more than a request that has to be repeated once, and at the
// end nothing is under way, double or left.
func TestServersDie(t *testing.T) {
	if testing.Short() || os.Getenv("MEK_BINARY") == "" {
		t.Skip("processes of the built binary: make test")
	}
	seed := report.Seed(t)
	whole := report.Start(t, "F5", seed)
	w := newWorld(t)
	u := newTenants(w)
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for n := range 3 {
		random := rand.New(rand.NewPCG(seed, uint64(n)))
		one := u.user.beside()
		workers.Go(func() {
			for round := 0; ctx.Err() == nil; round++ {
				u.life(one, fmt.Sprintf("s-%d-%d", n, round), random)
			}
		})
	}
	random := rand.New(rand.NewPCG(seed, 99))
	pause(3 * time.Second)
	for _, c := range cases(w, random) {
		t.Run(c.name, func(t *testing.T) {
			u.suffer(t, report.Start(t, "F14", seed), c)
		})
		whole.Fault(c.name, 1)
	}
	for until := time.Now().Add(report.Length(t, 0)); time.Now().Before(until) && !t.Failed(); {
		c := cases(w, random)[random.IntN(5)]
		from, _, well := u.watch(c)
		t.Logf("%s: %s, well at %s", from.Format("15:04:05.000"), c.name, well.Format("15:04:05.000"))
		whole.Fault(c.name, 1)
		pause(3 * time.Second) // who has to repeat a request meets one fault, not the next
	}
	stop()
	workers.Wait()
	whole.Operations(len(u.since(time.Time{}, time.Now())))
	u.judge(whole)
	u.nothingLeft(whole)
	t.Logf("%d servers were made, %d requests", u.made, len(u.since(time.Time{}, time.Now())))
}

// kind is one thing that happens. end waits until the cloud is whole again.
type kind struct {
	name     string
	begin    func()
	lasts    time.Duration
	end      func()
	hangs    bool
	database bool // requests are refused meanwhile, in so many words
}

func cases(w *world, random *rand.Rand) []kind {
	victim := w.servers[random.IntN(2)]
	return []kind{
		{name: "server killed", begin: victim.kill, lasts: time.Second, end: victim.start},
		{name: "server stopped for longer than its lease", begin: func() { victim.signal(syscall.SIGSTOP) }, lasts: 12 * time.Second, hangs: true,
			end: func() { victim.signal(syscall.SIGCONT) }},
		{name: "bus cut", begin: func() { w.cutBuses(true) }, lasts: 4 * time.Second, end: func() { w.cutBuses(false) }},
		{name: "database restarted", begin: w.pg.Fast, lasts: 500 * time.Millisecond, end: w.pg.Start, database: true},
		{name: "database killed", begin: w.pg.Immediate, lasts: 500 * time.Millisecond, end: w.pg.Start, database: true},
	}
}

func (w *world) cutBuses(cut bool) {
	for _, b := range w.buses {
		b.set(cut)
	}
}

func pause(d time.Duration) { time.Sleep(d) } // the load goes on meanwhile: there is nothing to wait for

// watch lets one thing happen and waits until all is well again.
func (u *tenants) watch(c kind) (from, mended, well time.Time) {
	from = time.Now()
	u.hung.Store(c.hangs)
	defer u.hung.Store(false)
	c.begin()
	pause(c.lasts)
	c.end()
	mended = time.Now()
	u.w.settled(time.Minute)
	well = time.Now()
	if c.database {
		u.mu.Lock()
		u.databaseDown = append(u.databaseDown, span{from, well})
		u.mu.Unlock()
	}
	return from, mended, well
}

// suffer is watch with the figures of the public table of faults.
func (u *tenants) suffer(t *testing.T, run *report.Run, c kind) {
	before := median(u.since(time.Now().Add(-5*time.Second), time.Now()))
	from, mended, well := u.watch(c)
	pause(time.Second)
	run.Fault(c.name, 1)
	o := report.Outage{Case: "two servers: " + c.name, Before: before}
	meanwhile := u.since(from.Add(-patience), well.Add(time.Second))
	run.Operations(len(meanwhile))
	var first, last time.Time
	for _, r := range meanwhile {
		end := r.at.Add(r.took)
		if !r.failed || end.Before(from) {
			continue
		}
		o.Failed++
		if first.IsZero() || end.Before(first) {
			first = end
		}
		if end.After(last) {
			last = end
		}
		if r.twice {
			o.Retried++
		}
	}
	if o.Failed > 0 {
		o.Errors, o.Recovered = last.Sub(first).Milliseconds(), last.Sub(from).Milliseconds()
		run.Unavailable(last.Sub(first))
	}
	o.Under = median(u.since(from, mended))
	run.Outage(o)
	t.Logf("%s: %d of %d requests failed once, %d twice, for %d ms, over after %d ms; median %.1f ms, before %.1f ms; settled %d ms after its end",
		c.name, o.Failed, len(meanwhile), o.Retried, o.Errors, o.Recovered, o.Under, o.Before, well.Sub(mended).Milliseconds())
}

// judge looks at every request of the run.
func (u *tenants) judge(run *report.Run) {
	u.t.Helper()
	for _, r := range u.since(time.Time{}, time.Now().Add(time.Hour)) {
		if !r.twice || r.excused {
			continue
		}
		down := slices.ContainsFunc(u.databaseDown, func(s span) bool { return r.at.Add(patience).After(s.from) && r.at.Before(s.to) })
		if !down || !r.told {
			run.Violation("%s failed after one retry: %s", r.at.Format("15:04:05.000"), r.what)
		}
	}
	for _, why := range u.wrongs {
		run.Violation("%s", why)
	}
}

func newTenants(w *world) *tenants {
	w.t.Helper()
	u := &tenants{user: newUser(w.t, w.front.url()), w: w}
	u.excuse = func(path string) bool { return u.hung.Load() && strings.HasPrefix(path, "/v1/") }
	u.login()
	expect := func(a answer, status int) answer {
		w.t.Helper()
		if a.status != status {
			w.t.Fatalf("prepare: %d %s", a.status, a.body)
		}
		return a
	}
	expect(u.do("POST", "/compute/v2.1/flavors", "f", object{"flavor": object{"name": "f", "ram": 64, "vcpus": 1, "disk": 1, "id": "f1"}}), http.StatusOK)
	u.image = expect(u.do("POST", "/image/v2/images", "i", object{"name": "i", "disk_format": "raw", "container_format": "bare"}), http.StatusCreated).text("id")
	expect(u.do("PUT", "/image/v2/images/"+u.image+"/file", "", make([]byte, 1<<20)), http.StatusNoContent)
	me := expect(u.do("GET", "/identity/v3/auth/projects", "", nil), http.StatusOK)
	for _, p := range me.list("projects") {
		if p := p.(object); p["name"] == "admin" {
			u.account = "/v1/AUTH_" + p["id"].(string)
		}
	}
	expect(u.do("PUT", u.account+"/box", "", nil), http.StatusCreated)
	u.network = expect(u.do("POST", "/networking/v2.0/networks", "n", object{"network": object{"name": "n"}}), http.StatusCreated).text("network", "id")
	expect(u.do("POST", "/networking/v2.0/subnets", "s", object{"subnet": object{"network_id": u.network, "cidr": "10.8.0.0/16", "ip_version": 4}}), http.StatusCreated)
	return u
}

func (u *user) login() {
	if a := u.do("POST", "/identity/v3/auth/tokens", "", credentials()); a.status == http.StatusCreated {
		u.token = a.header.Get("X-Subject-Token")
	}
}

func (u *tenants) complain(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.wrongs = append(u.wrongs, fmt.Sprintf(format, args...))
}

// life is a server's, from its creation to its end, with a volume sometimes.
func (u *tenants) life(one *user, name string, random *rand.Rand) {
	one.login()
	body := object{"server": object{"name": name, "flavorRef": "f1", "imageRef": u.image, "networks": []any{object{"uuid": u.network}}}}
	id := u.create(one, "/compute/v2.1/servers", name, "server", body, random.IntN(3) == 0)
	if id == "" {
		return
	}
	volume := ""
	if random.IntN(3) == 0 {
		volume = u.create(one, "/volume/v3/volumes", name+"-v", "volume", object{"volume": object{"name": name, "size": 1}}, random.IntN(3) == 0)
	}
	if a := one.do("GET", "/compute/v2.1/servers?name="+name, "", nil); a.status == http.StatusOK && len(a.list("servers")) != 1 {
		u.complain("%s: %d servers under one key: %s", name, len(a.list("servers")), a.body)
	}
	u.keep(one, u.account+"/box/"+name)
	if random.IntN(4) > 0 { // else it is deleted while it is made
		u.await(one, "/compute/v2.1/servers/"+id, "server", "ACTIVE")
	}
	if volume != "" && random.IntN(4) > 0 {
		u.await(one, "/volume/v3/volumes/"+volume, "volume", "available")
	}
	u.remove(one, "/compute/v2.1/servers/"+id)
	if volume != "" {
		u.remove(one, "/volume/v3/volumes/"+volume)
	}
	u.mu.Lock()
	u.made++
	u.mu.Unlock()
}

// keep puts an object, reads it and removes it.
func (u *tenants) keep(one *user, path string) {
	if u.hung.Load() {
		return
	}
	word := []byte(path)
	put := one.do("PUT", path, "", word)
	got := one.do("GET", path, "", nil)
	removed := one.do("DELETE", path, "", nil)
	if u.hung.Load() {
		return
	}
	if put.status == http.StatusCreated && got.status != http.StatusServiceUnavailable && !bytes.Equal(got.body, word) {
		u.complain("%s was put and is %d %.100s", path, got.status, got.body)
	}
	if put.status == http.StatusCreated && removed.status != http.StatusNoContent && removed.status != http.StatusNotFound && removed.status != http.StatusServiceUnavailable {
		u.complain("%s cannot be removed: %d %s", path, removed.status, removed.body)
	}
}

// create makes one object, sometimes by two requests at the same time.
func (u *tenants) create(one *user, path, key, kind string, body object, twice bool) string {
	var second answer
	var beside sync.WaitGroup
	if twice {
		other := one.beside()
		beside.Go(func() { second = other.do("POST", path, key, body) })
	}
	a := one.do("POST", path, key, body)
	beside.Wait()
	for range 20 {
		if a.status == http.StatusAccepted {
			break
		}
		pause(250 * time.Millisecond) // refused because the other is at it, or because the database is away
		a = one.do("POST", path, key, body)
	}
	id := a.text(kind, "id")
	if id == "" {
		u.complain("%s was not made: %d %s", key, a.status, a.body)
	}
	if other := second.text(kind, "id"); twice && other != "" && other != id {
		u.complain("%s: two ids under one key: %s and %s", key, id, other)
	}
	return id
}

func (u *tenants) await(one *user, path, kind, want string) {
	for end := time.Now().Add(lifeLimit); ; pause(200 * time.Millisecond) {
		a := one.do("GET", path, "", nil)
		status := a.text(kind, "status")
		if status == want {
			return
		}
		if a.status == http.StatusNotFound || status == "ERROR" || status == "error" || time.Now().After(end) {
			u.complain("%s is %d %s instead of %s: %s", path, a.status, status, want, a.body)
			return
		}
	}
}

func (u *tenants) remove(one *user, path string) {
	for end := time.Now().Add(lifeLimit); ; pause(200 * time.Millisecond) {
		a := one.do("DELETE", path, "", nil)
		if a.status == http.StatusNotFound {
			return
		}
		for a.status != http.StatusNotFound && time.Now().Before(end) {
			if a = one.do("GET", path, "", nil); a.status == http.StatusOK {
				if s := a.text("server", "status") + a.text("volume", "status"); s == "ERROR" || s == "error" || s == "error_deleting" {
					break
				}
			}
			pause(200 * time.Millisecond)
		}
		if a.status == http.StatusNotFound {
			return
		}
		if time.Now().After(end) {
			u.complain("%s cannot be deleted: %s", path, a.body)
			return
		}
	}
}

// nothingLeft asks both servers for what their checks find once nothing is under way.
func (u *tenants) nothingLeft(run *report.Run) {
	t := u.t
	t.Helper()
	u.login()
	for _, path := range []string{"/compute/v2.1/servers", "/volume/v3/volumes"} {
		if a := u.do("GET", path, "", nil); len(a.list("servers"))+len(a.list("volumes")) > 0 {
			run.Violation("left: %s", a.body)
		}
	}
	for _, p := range u.w.servers {
		last := ""
		until(t, p.name+" finds nothing wrong", 40*time.Second, func() (bool, string) {
			c := &http.Client{Timeout: 30 * time.Second}
			a, err := ask(c, "GET", "http://"+p.conf.Listen+"/checks?mode=quiesced", u.token, "", nil)
			if err != nil {
				return false, err.Error()
			}
			var found struct {
				Findings []json.RawMessage `json:"findings"`
			}
			if err := json.Unmarshal(a.body, &found); err != nil {
				return false, string(a.body)
			}
			last = string(a.body)
			return len(found.Findings) == 0, last
		})
	}
}
