package imageapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	imageapi "github.com/mekcloud/mek/internal/image/api"
	"github.com/mekcloud/mek/internal/image/worker"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// The test program is the worker program too, as mek is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "image-worker" {
		os.Exit(worker.Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// people are the tokens of the tests: name → credentials.
type people map[string]*policy.Credentials

func (p people) Authenticate(_ context.Context, token string) (*policy.Credentials, error) {
	if c := p[token]; c != nil {
		return c, nil
	}
	return nil, fault.New(fault.Unauthenticated, "The request you have made requires authentication.")
}

func person(project string, roles ...string) *policy.Credentials {
	return &policy.Credentials{UserID: "user-of-" + project, ProjectID: project, Roles: roles}
}

// glance is the image service behind a real front door, with a real worker.
type glance struct {
	t       testing.TB
	url     string
	dir     string
	db      *db.DB
	clock   *clock.Fake
	service *imageapi.Service
}

func newGlance(t testing.TB, d *db.DB, change func(*imageapi.Deps)) *glance {
	t.Helper()
	runner, err := worker.New(t.Context(), worker.Options{Self: []string{"mek", "image-worker"}})
	if err != nil {
		t.Fatal(err)
	}
	g := &glance{t: t, dir: t.TempDir(), db: d, clock: clock.NewFake(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))}
	deps := imageapi.Deps{DB: d, Clock: g.clock, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Dir: g.dir, Worker: runner, Alone: true}
	if change != nil {
		change(&deps)
	}
	if g.service, err = imageapi.New(deps); err != nil {
		t.Fatal(err)
	}
	svc := g.service.REST()
	svc.Planned = []rest.Planned{{Method: "GET", Path: "/v2/planned"}}
	enforcer, err := policy.New(policy.Base(), svc.Rules)
	if err != nil {
		t.Fatal(err)
	}
	svc.Policy = enforcer
	auth := people{"admin": person("admin-project", "admin", "manager", "member", "reader"), "alice": person("alice-project", "member", "reader"),
		"bob": person("bob-project", "member", "reader"), "reader": person("alice-project", "reader"), "nova": person("service-project", "service", "reader")}
	front := httptest.NewServer(rest.New(rest.Config{Auth: auth, Clock: g.clock, Log: slog.New(slog.DiscardHandler)}, http.NotFoundHandler(), svc))
	g.url = front.URL + "/image"
	t.Cleanup(func() {
		front.Close()
		g.service.Close()
		runner.Close()
	})
	return g
}

// answer is what came back.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

func (g *glance) do(who, method, path string, body any, headers ...string) *answer {
	g.t.Helper()
	var content io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
		content = http.NoBody
	case []byte:
		content, kind = bytes.NewReader(b), "application/octet-stream"
	case io.Reader:
		content, kind = b, "application/octet-stream"
	case string:
		content = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			g.t.Fatal(err)
		}
		content = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, content)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	if who != "" {
		r.Header.Set("X-Auth-Token", who)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer got.Body.Close()
	all, err := io.ReadAll(got.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return &answer{g.t, got.StatusCode, got.Header, all}
}

func (a *answer) expect(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

func (a *answer) json() map[string]any {
	a.t.Helper()
	var out map[string]any
	if err := json.Unmarshal(a.body, &out); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
	return out
}

func (a *answer) text(name string) string {
	a.t.Helper()
	s, ok := a.json()[name].(string)
	if !ok {
		a.t.Fatalf("%s is not text: %s", name, a.body)
	}
	return s
}

// ids are the ids (or other members) of a list's items, in order.
func (a *answer) ids(list, name string) []string {
	a.t.Helper()
	out := []string{}
	items, ok := a.json()[list].([]any)
	if !ok {
		a.t.Fatalf("no list %s: %s", list, a.body)
	}
	for _, i := range items {
		out = append(out, fmt.Sprint(i.(map[string]any)[name]))
	}
	return out
}

type fields = map[string]any

// image makes a record and gives its id.
func (g *glance) image(who string, more fields) string {
	g.t.Helper()
	body := fields{"name": "one", "disk_format": "raw", "container_format": "bare"}
	for k, v := range more {
		body[k] = v
	}
	return g.do(who, "POST", "/v2/images", body).expect(http.StatusCreated).text("id")
}

func (g *glance) patch(who, id string, steps any) *answer {
	g.t.Helper()
	return g.do(who, "PATCH", "/v2/images/"+id, steps, "Content-Type", "application/openstack-images-v2.1-json-patch")
}

// files are the names in the store's folder.
func (g *glance) files() []string {
	g.t.Helper()
	items, err := os.ReadDir(g.dir)
	if err != nil {
		g.t.Fatal(err)
	}
	out := []string{}
	for _, i := range items {
		out = append(out, i.Name())
	}
	return out
}

// sweep runs the reconciler.
func (g *glance) sweep() {
	g.t.Helper()
	for _, r := range g.service.Reconcilers() {
		if err := r.Run(g.t.Context()); err != nil {
			g.t.Fatalf("%s: %v", r.Name, err)
		}
	}
}
