package servers

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/backup"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/pki"
	"github.com/mekcloud/mek/test/report"
)

// What F11 promises: so much of what was answered may be lost, and so long may
// it take until cloud and hosts agree again.
const (
	mostLost   = time.Second
	mostRepair = time.Minute
)

// newAlone is one server on SQLite with hosts.
func newAlone(t *testing.T, hosts int, settings map[string]any, binary func(name string) string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	ports := freePorts(t, 3)
	all := map[string]any{"listen": ports[0], "bus": map[string]any{"listen": ports[1], "streams": ports[2]}, "objectstore": map[string]any{"listen": "off"},
		"shared_dir": filepath.Join(w.dir, "shared"), "quotas": map[string]any{"instances": -1, "cores": -1, "ram": -1}}
	maps.Copy(all, settings)
	w.servers = []*process{w.process("server-1", []string{"server"}, all)}
	w.must(os.MkdirAll(w.servers[0].conf.Path("db"), 0o700))
	w.keys()
	w.certify(w.servers[0], pki.RoleServer, w.servers[0].conf.Server().Bus)
	for i := range hosts {
		a := w.process(fmt.Sprintf("host-%d", i+1), []string{"agent", "--simulate"}, map[string]any{"servers": []any{ports[1]}})
		w.agents = append(w.agents, a)
		w.certify(a, pki.RoleAgent, a.conf.Agent().Bus)
	}
	for _, p := range append(w.servers, w.agents...) {
		p.binary = binary(p.name)
		p.start()
	}
	w.settled(time.Minute)
	return w
}

func built(string) string { return os.Getenv("MEK_BINARY") }

// crowd is a cloud with many servers, by its administrator.
type crowd struct {
	*world
	http  *http.Client
	door  string
	token string
}

func newCrowd(w *world) *crowd {
	c := &crowd{world: w, http: &http.Client{Timeout: 30 * time.Second}, door: "http://" + w.servers[0].conf.Listen}
	c.login()
	c.want(http.StatusOK, http.MethodPost, "/compute/v2.1/flavors", object{"flavor": object{"name": "f", "ram": 16, "vcpus": 1, "disk": 0, "id": "f1"}})
	image := c.want(http.StatusCreated, http.MethodPost, "/image/v2/images", object{"name": "i", "disk_format": "raw", "container_format": "bare"})
	c.want(http.StatusNoContent, http.MethodPut, "/image/v2/images/"+image["id"].(string)+"/file", make([]byte, 1<<16))
	return c
}

func (c *crowd) login() {
	c.t.Helper()
	token, err := login(c.http, c.door)
	c.must(err)
	c.token = token
}

// want sends a request that must be answered so.
func (c *crowd) want(status int, method, path string, body any) object {
	c.t.Helper()
	a, err := ask(c.http, method, c.door+path, c.token, "", body)
	if err != nil || a.status != status {
		c.t.Fatalf("%s %s: %v, %d %s", method, path, err, a.status, a.body)
	}
	var out object
	if len(a.body) > 0 {
		c.must(json.Unmarshal(a.body, &out))
	}
	return out
}

// make asks for n servers; done when all are active.
func (c *crowd) make(n int) {
	c.t.Helper()
	image := c.want(http.StatusOK, http.MethodGet, "/image/v2/images", nil)["images"].([]any)[0].(object)["id"]
	for made := 0; made < n; made += min(100, n-made) {
		if made%1000 == 0 {
			c.t.Logf("%s: %d servers asked for", time.Now().Format(time.TimeOnly), made)
		}
		c.want(http.StatusAccepted, http.MethodPost, "/compute/v2.1/servers", object{"server": object{"name": "s", "flavorRef": "f1", "imageRef": image,
			"networks": "none", "min_count": min(100, n-made), "max_count": min(100, n-made)}})
	}
	until(c.t, "none is under way", 40*time.Minute, func() (bool, string) { // one page of one: it is asked often
		return len(c.want(http.StatusOK, http.MethodGet, "/compute/v2.1/servers?status=BUILD&limit=1", nil)["servers"].([]any)) == 0, ""
	})
	if found := len(c.servers("ACTIVE")); found != n {
		c.t.Fatalf("%d of %d servers are active", found, n)
	}
}

// servers are the ids of those with a status; empty: all.
func (c *crowd) servers(status string) map[string]bool {
	c.t.Helper()
	out := map[string]bool{}
	path := "/compute/v2.1/servers?limit=1000"
	if status != "" {
		path += "&status=" + status
	}
	for marker := ""; ; {
		list := c.want(http.StatusOK, http.MethodGet, path+marker, nil)["servers"].([]any)
		for _, s := range list {
			id := s.(object)["id"].(string)
			out[id], marker = true, "&marker="+id
		}
		if len(list) < 1000 {
			return out
		}
	}
}

// kept are the guests that hosts have and the database does not know.
func (c *crowd) kept() map[string]bool {
	c.t.Helper()
	out := map[string]bool{}
	for _, k := range c.want(http.StatusOK, http.MethodGet, "/recovery/kept", nil)["kept"].([]any) {
		out[k.(object)["object"].(string)] = true
	}
	return out
}

// acknowledged is what was answered, and when.
type acknowledged struct {
	mu       sync.Mutex
	projects map[string]time.Time
	servers  map[string]bool // that were seen active
}

// load makes projects and servers until the server does not answer any more.
func (c *crowd) load(a *acknowledged, work *sync.WaitGroup) {
	for n := range 3 {
		work.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("load-%d-%d", n, i)
				got, err := ask(c.http, http.MethodPost, c.door+"/identity/v3/projects", c.token, "", object{"project": object{"name": name}})
				if err != nil || got.status != http.StatusCreated {
					return
				}
				a.mu.Lock()
				a.projects[name] = time.Now()
				a.mu.Unlock()
			}
		})
	}
	work.Go(func() {
		for {
			got, err := ask(c.http, http.MethodGet, c.door+"/compute/v2.1/servers?status=ACTIVE&name=late&limit=1000", c.token, "", nil)
			var list struct{ Servers []struct{ ID string } }
			if err != nil || got.status != http.StatusOK || json.Unmarshal(got.body, &list) != nil {
				return
			}
			a.mu.Lock()
			for _, s := range list.Servers {
				a.servers[s.ID] = true
			}
			a.mu.Unlock()
			got, err = ask(c.http, http.MethodPost, c.door+"/compute/v2.1/servers", c.token, "", object{"server": object{"name": "late", "flavorRef": "f1", "imageRef": c.image(),
				"networks": "none"}})
			if err != nil || got.status != http.StatusAccepted {
				return
			}
		}
	})
}

func (c *crowd) image() string {
	a, err := ask(c.http, http.MethodGet, c.door+"/image/v2/images", c.token, "", nil)
	var list struct{ Images []struct{ ID string } }
	if err != nil || json.Unmarshal(a.body, &list) != nil || len(list.Images) == 0 {
		return ""
	}
	return list.Images[0].ID
}

// TestTheDatabaseIsLost kills the server under load, removes its database, and
// restores it from the log that was shipped elsewhere.
func TestTheDatabaseIsLost(t *testing.T) {
	if testing.Short() || os.Getenv("MEK_BINARY") == "" {
		t.Skip("processes of the built binary: make test")
	}
	seed := report.Seed(t)
	r := report.Start(t, "F11", seed)
	number, hosts := 100, 2
	if os.Getenv("MEK_SOAK") != "" {
		number, hosts = 10_000, 25
	}
	if n, err := strconv.Atoi(os.Getenv("MEK_TEST_SERVERS")); err == nil {
		number = n
	}
	ship := filepath.Join(t.TempDir(), "log")
	w := newAlone(t, hosts, map[string]any{"ship_to": ship, "compute": map[string]any{"cpu_allocation_ratio": 1000}}, built)
	c := newCrowd(w)
	began := time.Now()
	c.make(number)
	t.Logf("%d servers made in %v", number, time.Since(began))
	a := &acknowledged{projects: map[string]time.Time{}, servers: map[string]bool{}}
	var work sync.WaitGroup
	c.load(a, &work)
	pause(3 * time.Second)

	server := w.servers[0]
	server.kill()
	killed := time.Now()
	work.Wait()
	w.must(os.RemoveAll(server.conf.Path("db")))
	r.Fault("database lost", 1)
	done, err := backup.RestoreShipped(t.Context(), backup.Target{Config: server.conf.Server(), Clock: clock.Real{}}, ship)
	w.must(err)
	restored := time.Since(killed)
	server.start()
	w.settled(mostRepair)
	c.login()
	until(t, "cloud and hosts agree", 2*mostRepair, func() (bool, string) {
		return c.agree()
	})
	var kept map[string]bool
	until(t, "what was active is in the database or kept by a host", 2*mostRepair, func() (bool, string) {
		left := c.servers("")
		kept = c.kept()
		for id := range a.servers {
			if !left[id] && !kept[id] {
				return false, "server " + id + " is nowhere"
			}
		}
		return true, ""
	})
	repaired := time.Since(killed)
	r.Unavailable(repaired)

	lost, count := c.lost(a, killed)
	if n := len(c.servers("ACTIVE")); n < number {
		r.Violation("%d of %d servers of before are active", n, number)
	}
	if lost > mostLost {
		r.Violation("%d writes are lost, the oldest of %v before the end", count, lost)
	}
	if repaired > mostRepair {
		r.Violation("it took %v until cloud and hosts agreed", repaired)
	}
	r.Operations(len(a.projects) + number)
	for name, value := range map[string]any{"servers": number, "writes answered": len(a.projects), "writes lost": count, "lost ms": lost.Milliseconds(),
		"restore ms": restored.Milliseconds(), "until cloud and hosts agree ms": repaired.Milliseconds(), "guests quarantined": len(kept), "epoch": done.Epoch > 0} {
		r.Measured(name, value)
		t.Logf("%s: %v", name, value)
	}
}

// agree tells whether doctor finds nothing but what is in quarantine.
func (c *crowd) agree() (bool, string) {
	a, err := ask(c.http, http.MethodGet, c.door+"/checks?mode=quiesced", c.token, "", nil)
	var found struct {
		Findings []struct{ Code, Subject, Evidence string }
	}
	if err == nil {
		err = json.Unmarshal(a.body, &found)
	}
	if err != nil {
		return false, fmt.Sprint(err, string(a.body))
	}
	for _, f := range found.Findings {
		if f.Code != "I-38/quarantined" {
			return false, fmt.Sprintf("%s %s %s", f.Code, f.Subject, f.Evidence)
		}
	}
	return true, ""
}

// lost is how long before the end the oldest write was answered that is not there.
func (c *crowd) lost(a *acknowledged, end time.Time) (oldest time.Duration, count int) {
	c.t.Helper()
	there := map[string]bool{}
	for _, p := range c.want(http.StatusOK, http.MethodGet, "/identity/v3/projects", nil)["projects"].([]any) {
		there[p.(object)["name"].(string)] = true
	}
	if len(a.projects) == 0 || len(there) == 0 || !strings.Contains(fmt.Sprint(there), "load-") {
		c.t.Fatal("nothing was written, or nothing came back")
	}
	for name, at := range a.projects {
		if !there[name] {
			oldest, count = max(oldest, end.Sub(at)), count+1
		}
	}
	return oldest, count
}
