package identityapi

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/pki"
)

// victim is a user with a token, and everything that token hangs on.
type victim struct {
	user, group, project, domain, token string
	k                                   *keystone
}

func newVictim(k *keystone) *victim {
	k.Helper()
	v := &victim{k: k}
	v.domain = k.make("domain", "domains", obj{"name": "victims"})
	v.project = k.make("project", "projects", obj{"name": "p", "domain_id": v.domain})
	v.user = k.make("user", "users", obj{"name": "u", "password": "pw", "domain_id": v.domain})
	v.group = k.make("group", "groups", obj{"name": "g", "domain_id": v.domain})
	return v
}

func (v *victim) url(kind, id string) string { return "/v3/" + kind + "s/" + id }

func (v *victim) login() string {
	v.k.Helper()
	return v.k.auth(obj{"methods": []string{"password"}, "password": obj{"user": obj{"id": v.user, "password": "pw"}}},
		obj{"project": obj{"id": v.project}}).expect(201).header.Get("X-Subject-Token")
}

func (v *victim) grant() {
	v.k.Helper()
	v.k.do(v.k.admin, "PUT", v.url("project", v.project)+"/users/"+v.user+"/roles/"+v.k.role("member"), nil).expect(204)
}

func (v *victim) disable(kind, id string) {
	v.k.Helper()
	v.k.do(v.k.admin, "PATCH", v.url(kind, id), obj{kind: obj{"enabled": false}}).expect(200)
}

func (v *victim) enable(kind, id string) {
	v.k.Helper()
	v.k.do(v.k.admin, "PATCH", v.url(kind, id), obj{kind: obj{"enabled": true}}).expect(200)
}

// Each kind of revocation ends a token at once where it happens, and within one
// poll on another server of the same database; what is switched on again does
// not revive it (SEC-13).
func TestRevocation(t *testing.T) {
	kinds := []struct {
		name   string
		grant  bool // a role for the user; otherwise through the group
		end    func(v *victim)
		revive func(v *victim)
	}{
		{"token revoked by its owner", true, func(v *victim) {
			v.k.do(v.token, "DELETE", "/v3/auth/tokens", nil, "X-Subject-Token", v.token).expect(204)
		}, nil},
		{"token revoked by an administrator", true, func(v *victim) {
			v.k.do(v.k.admin, "DELETE", "/v3/auth/tokens", nil, "X-Subject-Token", v.token).expect(204)
		}, nil},
		{"user disabled", true, func(v *victim) { v.disable("user", v.user) }, func(v *victim) { v.enable("user", v.user) }},
		{"user deleted", true, func(v *victim) { v.k.do(v.k.admin, "DELETE", v.url("user", v.user), nil).expect(204) }, nil},
		{"password set by an administrator", true, func(v *victim) {
			v.k.do(v.k.admin, "PATCH", v.url("user", v.user), obj{"user": obj{"password": "new"}}).expect(200)
		}, nil},
		{"password changed", true, func(v *victim) {
			v.k.do("", "POST", v.url("user", v.user)+"/password", obj{"user": obj{"original_password": "pw", "password": "new"}}).expect(204)
		}, nil},
		{"role taken away", true, func(v *victim) {
			v.k.do(v.k.admin, "DELETE", v.url("project", v.project)+"/users/"+v.user+"/roles/"+v.k.role("member"), nil).expect(204)
		}, nil},
		{"removed from the group", false, func(v *victim) {
			v.k.do(v.k.admin, "DELETE", v.url("group", v.group)+"/users/"+v.user, nil).expect(204)
		}, nil},
		{"group deleted", false, func(v *victim) { v.k.do(v.k.admin, "DELETE", v.url("group", v.group), nil).expect(204) }, nil},
		{"project disabled", true, func(v *victim) { v.disable("project", v.project) }, func(v *victim) { v.enable("project", v.project) }},
		{"project deleted", true, func(v *victim) { v.k.do(v.k.admin, "DELETE", v.url("project", v.project), nil).expect(204) }, nil},
		{"domain disabled", true, func(v *victim) { v.disable("domain", v.domain) }, func(v *victim) { v.enable("domain", v.domain) }},
		{"domain deleted", true, func(v *victim) {
			v.disable("domain", v.domain)
			v.k.do(v.k.admin, "DELETE", v.url("domain", v.domain), nil).expect(204)
		}, nil},
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			k, other := serveTwo(t)
			v := newVictim(k)
			if kind.grant {
				v.grant()
			} else {
				k.do(k.admin, "PUT", v.url("group", v.group)+"/users/"+v.user, nil).expect(204)
				k.do(k.admin, "PUT", v.url("project", v.project)+"/groups/"+v.group+"/roles/"+k.role("member"), nil).expect(204)
			}
			v.token = v.login()
			k.must(other.service.tokens.Poll(context.Background()))
			if !k.alive(v.token) || !other.alive(v.token) {
				t.Fatal("the token does not work before")
			}
			kind.end(v)
			if k.alive(v.token) {
				t.Error("the token works where it was ended")
			}
			k.must(other.service.tokens.Poll(context.Background()))
			if other.alive(v.token) {
				t.Error("the token works on another server after a poll")
			}
			k.do(k.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", v.token).expect(404)
			if kind.revive == nil {
				return
			}
			kind.revive(v)
			k.must(other.service.tokens.Poll(context.Background()))
			if k.alive(v.token) || other.alive(v.token) {
				t.Error("the token came back to life")
			}
			if !k.alive(v.login()) {
				t.Error("a new login does not work")
			}
		})
	}
}

// serveTwo gives two servers of one PostgreSQL database and one master key.
func serveTwo(t *testing.T) (first, second *keystone) {
	t.Helper()
	d := dbtest.Postgres(t)
	first = serve(t, d, identity.Compliance{})
	second = &keystone{T: t, clock: first.clock, db: d}
	var err error
	second.service, err = New(context.Background(), Deps{DB: d, Clock: first.clock, Sealer: sealer(t)})
	first.must(err)
	s := httptest.NewServer(front(t, second.service, first.clock))
	t.Cleanup(s.Close)
	second.url = s.URL
	return first, second
}

// sealer is the same for all servers of a test.
func sealer(t testing.TB) *pki.Sealer {
	t.Helper()
	s, err := pki.NewSealer([]byte("0123456789abcdef0123456789abcdef"), "identity")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A chain ends with its login only when asked; one token's end leaves others.
func TestOneTokenEndsAlone(t *testing.T) {
	k := serve(t, dbtest.SQLite(t), identity.Compliance{})
	parent := k.login("admin", "admin-pw", nil)
	child := k.auth(byToken(parent), onProject("demo")).expect(201).header.Get("X-Subject-Token")
	sibling := k.login("admin", "admin-pw", nil)
	k.do(k.admin, "DELETE", "/v3/auth/tokens", nil, "X-Subject-Token", child).expect(204)
	if k.alive(child) || !k.alive(parent) || !k.alive(sibling) {
		t.Error("the wrong tokens ended")
	}
}

// Keys that one server rotates are read by the others.
func TestKeysAreShared(t *testing.T) {
	k, other := serveTwo(t)
	for range 2 {
		k.must(k.service.tokens.Rotate(context.Background()))
	}
	k.must(other.service.tokens.Poll(context.Background()))
	if !other.alive(k.admin) {
		t.Error("a token made before two turns is dead")
	}
	if !other.alive(k.login("admin", "admin-pw", nil)) {
		t.Error("a token of the new key is not read")
	}
}

// A known token costs no query: it works without a database (as long as
// nothing else asks it).
func TestValidationNeedsNoDatabase(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *db.DB{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		t.Run(name, func(t *testing.T) {
			k := serve(t, open(t), identity.Compliance{})
			if _, err := k.service.Authenticator().Authenticate(context.Background(), k.admin); err != nil {
				t.Fatal(err)
			}
			cancelled, cancel := context.WithCancel(context.Background())
			cancel() // any query would fail
			c, err := k.service.Authenticator().Authenticate(cancelled, k.admin)
			if err != nil || c.UserName != "admin" || c.ProjectName != "admin" || !c.HasRole("admin") {
				t.Errorf("%+v, %v", c, err)
			}
			k.do(k.admin, "PATCH", "/v3/regions/RegionOne", obj{"region": obj{"description": "changed"}}).expect(200)
			if _, err := k.service.Authenticator().Authenticate(cancelled, k.admin); err == nil {
				t.Error("answered from the cache although a row changed: the test proves nothing")
			}
		})
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	d := dbtest.SQLite(b)
	s, err := New(context.Background(), Deps{DB: d, Clock: clock.Real{}, Sealer: sealer(b)})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Bootstrap(context.Background(), testSeeds); err != nil {
		b.Fatal(err)
	}
	u, err := s.users.ByName(context.Background(), "default", "admin")
	if err != nil {
		b.Fatal(err)
	}
	p, err := s.projects.ByName(context.Background(), "default", "admin")
	if err != nil {
		b.Fatal(err)
	}
	token, _, err := s.tokens.Issue(identity.Token{UserID: u.ID, Methods: []string{"password"}, Scope: identity.Scope{ProjectID: p.ID}}, "")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Authenticator().Authenticate(context.Background(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// A password that is changed while somebody logs in with the old one ends that
// login too: the token is issued as of the moment the login began.
func TestLoginDuringPasswordChange(t *testing.T) {
	k := serve(t, dbtest.SQLite(t), identity.Compliance{})
	v := newVictim(k)
	v.grant()
	began := k.service.tokens.Stamp() // where a login takes its time, before it checks the password
	k.do(k.admin, "PATCH", v.url("user", v.user), obj{"user": obj{"password": "new"}}).expect(200)
	late, _, err := k.service.tokens.Issue(identity.Token{UserID: v.user, Methods: []string{"password"}, Scope: identity.Scope{ProjectID: v.project}, IssuedAt: began}, "")
	k.must(err)
	if k.alive(late) {
		t.Error("a login with the old password outlives its change")
	}
}

func TestRevocationEvents(t *testing.T) {
	k := serve(t, dbtest.SQLite(t), identity.Compliance{})
	v := newVictim(k)
	v.disable("user", v.user)
	a := k.do(k.admin, "GET", "/v3/OS-REVOKE/events", nil).expect(200)
	if got := a.all("events", "user_id"); len(got) != 1 || got[0] != v.user {
		t.Errorf("events %s", a.raw)
	}
	if got := k.do(k.admin, "GET", "/v3/OS-REVOKE/events?since=2026-11-26T00:00:00Z", nil).expect(200).all("events", "user_id"); len(got) != 0 {
		t.Errorf("events of the future: %v", got)
	}
	k.do(k.login("demo", "demo-pw", onProject("demo")), "GET", "/v3/OS-REVOKE/events", nil).expect(403)
}

// What is kept of a token's answer falls with any row behind it, and a token
// that is dead has none.
func TestAnswersAboutTokensFollowRows(t *testing.T) {
	k := serve(t, dbtest.SQLite(t), identity.Compliance{})
	v := newVictim(k)
	v.grant()
	token, _, err := k.service.tokens.Issue(identity.Token{UserID: v.user, Methods: []string{"password"}, Scope: identity.Scope{ProjectID: v.project}}, "")
	k.must(err)
	show := func(path string) string {
		return string(k.do(k.admin, "GET", path, nil, "X-Subject-Token", token).expect(200).raw)
	}
	first := show("/v3/auth/tokens")
	if again := show("/v3/auth/tokens"); again != first {
		t.Errorf("the second answer is\n%s\nand was\n%s", again, first)
	}
	if bare := show("/v3/auth/tokens?nocatalog"); strings.Contains(bare, "catalog") {
		t.Errorf("with a catalog: %s", bare)
	}
	k.do(k.admin, "POST", "/v3/services", obj{"service": obj{"type": "later", "name": "later"}}).expect(201)
	if now := show("/v3/auth/tokens"); !strings.Contains(now, `"later"`) {
		t.Errorf("a new service is not in the catalog: %s", now)
	}
	v.disable("user", v.user)
	k.do(k.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", token).expect(404)
}
