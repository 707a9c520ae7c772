package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/image/worker/workertest"
)

const hostCount = 3

// world is one simulation: a cloud, its hosts, and what goes wrong.
type world struct {
	t          *testing.T
	seed       uint64
	dir        string
	base       *template
	log        *slog.Logger
	hosts      []*host
	restarting chan struct{} // holds an element while there is no server; a mutex would stop the bubble's time

	mu     sync.Mutex
	random *rand.Rand
	srv    *server // nil: it is dead
	disk   float64 // of the database's writes so many fail
	calls  float64 // of users' requests so many are lost on the way
	counts map[string]int
	began  time.Time
	trace  []string
	ops    int
}

// template is the cloud that every simulation begins with.
type template struct {
	database         []byte
	image            map[string][]byte // files of the image store
	admin, demo      string            // tokens
	demoProject      string
	flavors          []string
	imageID          string
	network, outside string
}

// prepare makes the template, in a bubble of its own.
func prepare(t *testing.T) *template {
	t.Helper()
	if _, err := workertest.Program(); err != nil { // built once, in real time
		t.Fatal(err)
	}
	base := &template{image: map[string][]byte{}}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0, base)
		w.srv = startServer(t, w.dir, w.log, clock.Real{}, func(bool) bool { return false })
		base.admin, _ = w.login("admin", adminPassword)
		base.demo, base.demoProject = w.login("demo", demoPassword)
		base.fill(w)
		w.srv.end(t)
		var err error
		if base.database, err = os.ReadFile(w.dir + "/mek.db"); err != nil {
			t.Fatal(err)
		}
		root := configuration(w.dir).Server().ImageDir
		if err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, err := filepath.Rel(w.dir, path)
			if err == nil {
				base.image[name], err = os.ReadFile(path)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
	return base
}

func (b *template) fill(w *world) {
	ctx := context.Background()
	make := func(token, path string, body object, id string) string {
		w.t.Helper()
		a, err := w.call(ctx, token, "POST", path, body)
		if err != nil || a.status >= 300 {
			w.t.Fatal(path, err, a)
		}
		return a.text(id)
	}
	for n, ram := range []int{256, 512} {
		b.flavors = append(b.flavors, make(b.admin, "/compute/v2.1/flavors", object{"flavor": object{"name": fmt.Sprint("f", n), "ram": ram, "vcpus": n + 1, "disk": 1}}, "flavor.id"))
	}
	b.imageID = make(b.admin, "/image/v2/images", object{"name": "i", "disk_format": "raw", "container_format": "bare", "visibility": "public"}, "id")
	if a, err := w.call(ctx, b.admin, "PUT", "/image/v2/images/"+b.imageID+"/file", raw(bytes.Repeat([]byte("mek "), 1<<13))); err != nil || a.status >= 300 {
		w.t.Fatal(err, a)
	}
	network := func(token, name, cidr string, outside bool) string {
		body := object{"name": name}
		if outside {
			body["router:external"] = true
		}
		id := make(token, "/networking/v2.0/networks", object{"network": body}, "network.id")
		subnet := make(token, "/networking/v2.0/subnets", object{"subnet": object{"network_id": id, "cidr": cidr, "ip_version": 4}}, "subnet.id")
		if !outside {
			router := make(b.demo, "/networking/v2.0/routers", object{"router": object{"name": "r", "external_gateway_info": object{"network_id": b.outside}}}, "router.id")
			if a, err := w.call(ctx, b.demo, "PUT", "/networking/v2.0/routers/"+router+"/add_router_interface", object{"subnet_id": subnet}); err != nil || a.status >= 300 {
				w.t.Fatal(err, a)
			}
		}
		return id
	}
	b.outside = network(b.admin, "outside", "198.51.100.0/24", true)
	b.network = network(b.demo, "inside", "10.9.0.0/22", false)
}

func newWorld(t *testing.T, seed uint64, base *template) *world {
	t.Helper()
	parent := "/dev/shm" // flushing to a disk would be all that a simulation does
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "mek-simulation-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &world{t: t, seed: seed, dir: dir, base: base, counts: map[string]int{}, restarting: make(chan struct{}, 1), random: rand.New(rand.NewPCG(seed, 1)), began: time.Now()}
	level := slog.LevelError
	if os.Getenv("MEK_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	w.log = slog.New(slog.NewTextHandler(lines{w}, &slog.HandlerOptions{Level: level}))
	if base.database != nil {
		write := func(name string, content []byte) {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		write("mek.db", base.database)
		for name, content := range base.image {
			write(name, content)
		}
	}
	return w
}

// lines keeps what is logged in the trace, which shows when the test fails.
type lines struct{ w *world }

func (l lines) Write(b []byte) (int, error) {
	l.w.note("%s", strings.TrimSpace(string(b)))
	return len(b), nil
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, fmt.Sprintf("%8.3f ", time.Since(w.began).Seconds())+fmt.Sprintf(format, args...))
}

func (w *world) count(kind string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[kind] += n
}

func (w *world) chance(p float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return p > 0 && w.random.Float64() < p
}

func (w *world) server() *server {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.srv
}

// diskFails tells whether a write of the database goes wrong now.
func (w *world) diskFails(committed bool) bool {
	w.mu.Lock()
	p := w.disk
	w.mu.Unlock()
	if !w.chance(p) {
		return false
	}
	w.count(map[bool]string{false: "database: write failed", true: "database: written, not told"}[committed], 1)
	return true
}

type object = map[string]any

// raw is a body that is sent as it is.
type raw []byte

// answer is what a request came to.
type answer struct {
	status int
	body   []byte
	header http.Header
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// value walks the body by a path with dots; nil when there is nothing.
func (a answer) value(path string) any {
	var v any
	if json.Unmarshal(a.body, &v) != nil {
		return nil
	}
	for key := range strings.SplitSeq(path, ".") {
		node, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = node[key]
	}
	return v
}

func (a answer) text(path string) string { s, _ := a.value(path).(string); return s }

func (a answer) list(path string) []any { l, _ := a.value(path).([]any); return l }

var errLost = errors.New("no answer")

// call sends a request as a client over an unreliable network to a server that
// may die meanwhile: then there is no answer.
func (w *world) call(ctx context.Context, token, method, path string, body any, headers ...string) (answer, error) {
	s := w.server()
	if s == nil {
		return answer{}, errLost
	}
	w.mu.Lock()
	w.ops++
	p := w.calls
	w.mu.Unlock()
	if w.chance(p) {
		w.count("request lost", 1)
		return answer{}, errLost
	}
	var content []byte
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case raw:
		content, kind = b, "application/octet-stream"
	default:
		var err error
		if content, err = json.Marshal(b); err != nil {
			w.t.Error(err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	r := httptest.NewRequestWithContext(ctx, method, path, bytes.NewReader(content))
	r.Header.Set("Content-Type", kind)
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	if strings.HasPrefix(path, "/compute/") {
		r.Header.Set("OpenStack-API-Version", "compute 2.88")
	}
	if strings.HasPrefix(path, "/volume/") {
		r.Header.Set("OpenStack-API-Version", "volume 3.60")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	out := httptest.NewRecorder()
	s.cloud.Handler.ServeHTTP(out, r)
	if s.dead.Load() {
		return answer{}, errLost
	}
	if w.chance(p) {
		w.count("answer lost", 1)
		return answer{}, errLost
	}
	return answer{out.Code, out.Body.Bytes(), out.Header()}, nil
}

func (w *world) login(user, password string) (token, project string) {
	domain := object{"id": "default"}
	a, err := w.call(context.Background(), "", "POST", "/identity/v3/auth/tokens", object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{"user": object{"name": user, "password": password, "domain": domain}}},
		"scope":    object{"project": object{"name": user, "domain": domain}}}})
	if err != nil || a.status != http.StatusCreated {
		w.t.Fatal(err, a)
	}
	return a.header.Get("X-Subject-Token"), a.text("token.project.id")
}
