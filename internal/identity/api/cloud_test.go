package identityapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/passwords"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// keystone is a Keystone behind HTTP on a database of its own.
type keystone struct {
	*testing.T
	url     string
	service *Service
	clock   *clock.Fake
	server  *rest.Server
	db      *db.DB
	admin   string // token on project admin
	line    queue  // of those who ask for costly work, where federation is
}

var testSeeds = Seeds{AdminPassword: "admin-pw", DemoPassword: "demo-pw", ServicePassword: "service-pw", Region: "RegionOne",
	Catalog: []identity.CatalogEntry{{Type: "identity", Name: "keystone", URL: "/identity"},
		{Type: "object-store", Name: "swift", URL: "http://swift.example/v1/AUTH_%(project_id)s"}}}

func serve(t *testing.T, d *db.DB, rules identity.Compliance) *keystone {
	t.Helper()
	k := &keystone{T: t, clock: clock.NewFake(time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)), db: d}
	var err error
	k.service, err = New(context.Background(), Deps{DB: d, Clock: k.clock, Sealer: sealer(t), Compliance: rules, PasswordCost: passwords.Cost{MemoryKiB: 64, Passes: 1}})
	k.must(err)
	k.must(k.service.Bootstrap(context.Background(), testSeeds))
	k.server = front(t, k.service, k.clock)
	s := httptest.NewServer(k.server)
	t.Cleanup(s.Close)
	k.url = s.URL
	k.admin = k.login("admin", "admin-pw", onProject("admin"))
	return k
}

func front(t *testing.T, s *Service, c clock.Clock) *rest.Server {
	t.Helper()
	svc := s.REST()
	enforcer, err := policy.New(policy.Base(), svc.Rules)
	if err != nil {
		t.Fatal(err)
	}
	svc.Policy = enforcer
	return rest.New(rest.Config{Auth: s.Authenticator(), Clock: c, Log: slog.New(slog.DiscardHandler)}, http.NotFoundHandler(), svc)
}

func (k *keystone) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

type obj = map[string]any

func onProject(name string) any {
	return obj{"project": obj{"name": name, "domain": obj{"id": "default"}}}
}

func byPassword(user, password string) obj {
	return obj{"methods": []string{"password"}, "password": obj{"user": obj{"name": user, "password": password, "domain": obj{"name": "Default"}}}}
}

func byToken(token string) obj { return obj{"methods": []string{"token"}, "token": obj{"id": token}} }

// answer is what came back.
type answer struct {
	*testing.T
	status int
	header http.Header
	raw    []byte
}

// do sends a request with a token.
func (k *keystone) do(token, method, path string, body any, headers ...string) *answer {
	k.Helper()
	var content []byte
	switch b := body.(type) {
	case nil:
	case string:
		content = []byte(b)
	default:
		var err error
		content, err = json.Marshal(b)
		k.must(err)
	}
	r, err := http.NewRequest(method, k.url+"/identity"+path, bytes.NewReader(content))
	k.must(err)
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	reply, err := http.DefaultClient.Do(r)
	k.must(err)
	defer reply.Body.Close()
	raw, err := io.ReadAll(reply.Body)
	k.must(err)
	return &answer{k.T, reply.StatusCode, reply.Header, raw}
}

func (a *answer) expect(status int) *answer {
	a.Helper()
	if a.status != status {
		a.Fatalf("status %d, want %d: %s", a.status, status, a.raw)
	}
	return a
}

// at walks the body: "token.user.id"; numbers index lists.
func (a *answer) at(path string) any {
	a.Helper()
	var v any
	if err := json.Unmarshal(a.raw, &v); err != nil {
		a.Fatalf("not JSON: %q", a.raw)
	}
	for key := range strings.SplitSeq(path, ".") {
		switch node := v.(type) {
		case map[string]any:
			v = node[key]
		case []any:
			i := int(key[0] - '0')
			if i >= len(node) {
				return nil
			}
			v = node[i]
		default:
			return nil
		}
	}
	return v
}

func (a *answer) text(path string) string {
	a.Helper()
	s, ok := a.at(path).(string)
	if !ok {
		a.Fatalf("no text at %s: %s", path, a.raw)
	}
	return s
}

// all lists one member of each item of a list.
func (a *answer) all(list, member string) []string {
	a.Helper()
	items, ok := a.at(list).([]any)
	if !ok {
		a.Fatalf("no list at %s: %s", list, a.raw)
	}
	out := []string{}
	for _, i := range items {
		s, _ := i.(map[string]any)[member].(string)
		out = append(out, s)
	}
	return out
}

// auth asks for a token; scope nil asks for none.
func (k *keystone) auth(identity obj, scope any) *answer {
	k.Helper()
	body := obj{"identity": identity}
	if scope != nil {
		body["scope"] = scope
	}
	return k.do("", "POST", "/v3/auth/tokens", obj{"auth": body})
}

func (k *keystone) login(user, password string, scope any) string {
	k.Helper()
	return k.auth(byPassword(user, password), scope).expect(201).header.Get("X-Subject-Token")
}

// alive tells whether a token still works.
func (k *keystone) alive(token string) bool {
	k.Helper()
	a := k.do(token, "GET", "/v3/auth/projects", nil)
	if a.status != 200 && a.status != 401 {
		k.Fatalf("status %d: %s", a.status, a.raw)
	}
	return a.status == 200
}

// make creates something as the administrator and gives its id.
func (k *keystone) make(one, many string, body obj) string {
	k.Helper()
	return k.do(k.admin, "POST", "/v3/"+many, obj{one: body}).expect(201).text(one + ".id")
}

func (k *keystone) role(name string) string {
	k.Helper()
	return k.do(k.admin, "GET", "/v3/roles?name="+name, nil).expect(200).text("roles.0.id")
}
