package identityapi

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/identity"
)

func TestTokensOfEveryScope(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		domain := k.make("domain", "domains", obj{"name": "west"})
		admin := k.do(k.admin, "GET", "/v3/users?name=admin", nil).expect(200).text("users.0.id")
		k.do(k.admin, "PUT", "/v3/domains/"+domain+"/users/"+admin+"/roles/"+k.role("reader"), nil).expect(204)
		for _, c := range []struct {
			name   string
			scope  any
			has    string // a member of the token
			roles  []string
			reject int
		}{
			{name: "project", scope: onProject("admin"), has: "project", roles: []string{"admin", "creator", "heat_stack_owner", "load-balancer_admin",
				"load-balancer_global_observer", "load-balancer_member", "load-balancer_observer", "load-balancer_quota_admin", "manager", "member", "reader"}},
			{name: "domain", scope: obj{"domain": obj{"name": "west"}}, has: "domain", roles: []string{"reader"}},
			{name: "system", scope: obj{"system": obj{"all": true}}, has: "system"},
			{name: "explicitly unscoped", scope: "unscoped"},
			{name: "explicitly unscoped, old form", scope: obj{"unscoped": obj{}}},
			{name: "no role there", scope: onProject("service"), reject: 401},
			{name: "no such project", scope: onProject("nowhere"), reject: 401},
			{name: "no such domain", scope: obj{"domain": obj{"id": "nowhere"}}, reject: 401},
			{name: "two scopes", scope: obj{"system": obj{"all": true}, "domain": obj{"id": "default"}}, reject: 400},
			{name: "project without domain", scope: obj{"project": obj{"name": "admin"}}, reject: 400},
			{name: "nonsense", scope: "everything", reject: 400},
		} {
			a := k.auth(byPassword("admin", "admin-pw"), c.scope)
			if c.reject != 0 {
				a.expect(c.reject)
				continue
			}
			a.expect(201)
			for _, scope := range []string{"project", "domain", "system"} {
				if there := a.at("token."+scope) != nil; there != (scope == c.has) {
					t.Errorf("%s: member %s is there: %v", c.name, scope, there)
				}
			}
			if c.roles != nil && !slices.Equal(a.all("token.roles", "name"), c.roles) {
				t.Errorf("%s: roles %v", c.name, a.all("token.roles", "name"))
			}
			if unscoped := c.has == ""; unscoped == (a.at("token.catalog") != nil) || unscoped == (a.at("token.roles") != nil) {
				t.Errorf("%s: catalog or roles are wrong: %s", c.name, a.raw)
			}
			token := a.header.Get("X-Subject-Token")
			again := k.do(k.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", token).expect(200)
			if string(again.raw) != string(a.raw) {
				t.Errorf("%s: validated as %s, issued as %s", c.name, again.raw, a.raw)
			}
			if len(token) > 255 || token[:5] != "gAAAA" {
				t.Errorf("%s: token %q", c.name, token)
			}
		}
	})
}

func TestTokenShape(t *testing.T) {
	k := serve(t, dbtest.One(t), identity.Compliance{})
	a := k.auth(byPassword("demo", "demo-pw"), onProject("demo")).expect(201)
	for path, want := range map[string]any{
		"token.issued_at": "2026-11-25T00:00:00.000000Z", "token.expires_at": "2026-11-25T01:00:00.000000Z", "token.methods.0": "password",
		"token.user.name": "demo", "token.user.domain.id": "default", "token.user.domain.name": "Default", "token.user.password_expires_at": nil,
		"token.project.name": "demo", "token.project.domain.name": "Default", "token.is_domain": false,
	} {
		if got := a.at(path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	seen := map[string]int{}
	for i := range a.at("token.catalog").([]any) {
		entry := fmt.Sprintf("token.catalog.%d.", i)
		for j := range 3 {
			e := fmt.Sprintf("%sendpoints.%d.", entry, j)
			seen[a.text(entry+"type")+" "+a.text(entry+"name")+" "+a.text(e+"interface")+" "+a.text(e+"region")+" "+a.text(e+"region_id")+" "+a.text(e+"url")]++
		}
	}
	for _, face := range []string{"public", "internal", "admin"} {
		for _, want := range []string{"identity keystone " + face + " RegionOne RegionOne " + k.url + "/identity",
			"object-store swift " + face + " RegionOne RegionOne http://swift.example/v1/AUTH_" + a.text("token.project.id")} {
			if seen[want] != 1 {
				t.Errorf("the catalog lacks %q: %v", want, seen)
			}
		}
	}
	if len(a.text("token.audit_ids.0")) != 22 || a.header.Get("Vary") != "X-Auth-Token" {
		t.Errorf("audit ids or Vary: %s %v", a.raw, a.header)
	}
	if b := k.do("", "POST", "/v3/auth/tokens?nocatalog", obj{"auth": obj{"identity": byPassword("demo", "demo-pw"), "scope": onProject("demo")}}).expect(201); b.at("token.catalog") != nil {
		t.Error("nocatalog shows a catalog")
	}
}

// One answer for everything that is wrong with a login (SEC-33).
func TestFailedLoginsLookAlike(t *testing.T) {
	k := serve(t, dbtest.One(t), identity.Compliance{LockoutFailureAttempts: 1})
	k.make("user", "users", obj{"name": "off", "password": "off-pw", "enabled": false, "domain_id": "default"})
	k.make("user", "users", obj{"name": "locked", "password": "locked-pw", "domain_id": "default"})
	k.make("user", "users", obj{"name": "bare", "domain_id": "default"})
	k.auth(byPassword("locked", "wrong"), nil).expect(401)
	want := k.auth(byPassword("admin", "wrong"), nil).expect(401)
	if want.text("error.title") != "Unauthorized" || want.at("error.code") != 401.0 || want.header.Get("Www-Authenticate") == "" {
		t.Errorf("answer %s %v", want.raw, want.header)
	}
	for name, identity := range map[string]obj{
		"unknown user":     byPassword("nobody", "x"),
		"disabled user":    byPassword("off", "off-pw"),
		"locked user":      byPassword("locked", "locked-pw"),
		"without password": byPassword("bare", ""),
		"unknown domain":   {"methods": []string{"password"}, "password": obj{"user": obj{"name": "admin", "password": "admin-pw", "domain": obj{"name": "nowhere"}}}},
		"unknown id":       {"methods": []string{"password"}, "password": obj{"user": obj{"id": "nobody", "password": "admin-pw"}}},
	} {
		if a := k.auth(identity, nil).expect(401); string(a.raw) != string(want.raw) {
			t.Errorf("%s is answered %s", name, a.raw)
		}
	}
}

func TestMalformedLogins(t *testing.T) {
	k := serve(t, dbtest.One(t), identity.Compliance{})
	for name, body := range map[string]any{
		"empty": "", "not JSON": "{", "no auth": obj{}, "no identity": obj{"auth": obj{}}, "no methods": obj{"auth": obj{"identity": obj{}}},
		"methods of the wrong type": obj{"auth": obj{"identity": obj{"methods": "password"}}},
		"no data":                   obj{"auth": obj{"identity": obj{"methods": []string{"password"}}}},
		"no user":                   obj{"auth": obj{"identity": obj{"methods": []string{"password"}, "password": obj{}}}},
		"name without domain":       obj{"auth": obj{"identity": obj{"methods": []string{"password"}, "password": obj{"user": obj{"name": "x", "password": "y"}}}}},
	} {
		if a := k.do("", "POST", "/v3/auth/tokens", body).expect(400); a.text("error.title") != "Bad Request" {
			t.Errorf("%s: %s", name, a.raw)
		}
	}
	k.auth(obj{"methods": []string{"smile"}, "smile": obj{}}, nil).expect(401)
	k.auth(obj{"methods": []string{"totp"}, "totp": obj{"user": obj{}}}, nil).expect(400)
}

func TestRescoping(t *testing.T) {
	k := serve(t, dbtest.One(t), identity.Compliance{})
	first := k.auth(byPassword("admin", "admin-pw"), nil).expect(201)
	unscoped := first.header.Get("X-Subject-Token")
	if got := k.do(unscoped, "GET", "/v3/auth/projects", nil).expect(200).all("projects", "name"); !slices.Contains(got, "admin") || !slices.Contains(got, "demo") {
		t.Errorf("projects to scope to: %v", got)
	}
	k.do(unscoped, "GET", "/v3/auth/catalog", nil).expect(403)
	if k.do(unscoped, "GET", "/v3/auth/system", nil).expect(200).at("system.0.all") != true {
		t.Error("system is not offered")
	}
	k.clock.Advance(60e9)
	second := k.auth(byToken(unscoped), onProject("demo")).expect(201)
	if second.text("token.expires_at") != first.text("token.expires_at") {
		t.Error("a token made from a token lives longer than its parent")
	}
	if second.text("token.audit_ids.1") != first.text("token.audit_ids.0") {
		t.Errorf("chain %v does not begin with %v", second.at("token.audit_ids"), first.at("token.audit_ids"))
	}
	if second.at("token.methods.0") != "token" || second.at("token.methods.1") != "password" {
		t.Errorf("methods %v", second.at("token.methods"))
	}
	k.do(second.header.Get("X-Subject-Token"), "GET", "/v3/auth/catalog", nil).expect(200)
	system := k.login("admin", "admin-pw", obj{"system": obj{"all": true}})
	k.auth(byToken(system), onProject("admin")).expect(403)
	k.clock.Advance(3600e9)
	if k.alive(unscoped) || k.alive(second.header.Get("X-Subject-Token")) {
		t.Error("an expired token works")
	}
}

func TestDefaultProject(t *testing.T) {
	k := serve(t, dbtest.One(t), identity.Compliance{})
	p := k.make("project", "projects", obj{"name": "home", "domain_id": "default"})
	u := k.make("user", "users", obj{"name": "eve", "password": "pw", "domain_id": "default", "default_project_id": p})
	if k.auth(byPassword("eve", "pw"), nil).expect(201).at("token.project") != nil {
		t.Error("scoped to a project without a role")
	}
	k.do(k.admin, "PUT", "/v3/projects/"+p+"/users/"+u+"/roles/"+k.role("member"), nil).expect(204)
	if k.auth(byPassword("eve", "pw"), nil).expect(201).at("token.project.id") != p {
		t.Error("not scoped to the default project")
	}
	if k.auth(byPassword("eve", "pw"), "unscoped").expect(201).at("token.project") != nil {
		t.Error("scoped although unscoped was asked for")
	}
}

func TestDeadTokensOfLoginsAreNotFound(t *testing.T) {
	k := serve(t, dbtest.One(t), identity.Compliance{})
	k.auth(byToken("gAAAAAforged"), nil).expect(404)
	token := k.login("demo", "demo-pw", nil)
	k.do(token, "DELETE", "/v3/auth/tokens", nil, "X-Subject-Token", token).expect(204)
	k.auth(byToken(token), nil).expect(404)
	k.do(k.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", token).expect(404)
	k.do(k.admin, "GET", "/v3/auth/tokens", nil).expect(404)
}

// Nobody can tell from the time whether a user exists, is locked or has no
// password (SEC-33). The hash is most of it, so the factor is far below what
// leaving it out would give.
func TestFailedLoginsTakeEqualTime(t *testing.T) {
	d := dbtest.One(t)
	k := serve(t, d, identity.Compliance{LockoutFailureAttempts: 1})
	slow, err := New(t.Context(), Deps{DB: d, Clock: k.clock, Sealer: sealer(t), Compliance: identity.Compliance{LockoutFailureAttempts: 9}})
	k.must(err)
	s := httptest.NewServer(front(t, slow, k.clock))
	t.Cleanup(s.Close)
	k.url = s.URL
	for _, user := range []string{"plain", "locked"} {
		k.make("user", "users", obj{"name": user, "password": "x", "domain_id": "default"})
	}
	k.make("user", "users", obj{"name": "bare", "domain_id": "default"})
	for range 9 {
		k.auth(byPassword("locked", "wrong"), nil).expect(401)
	}
	best := map[string]time.Duration{} // the least of several: the machine is shared
	for range 9 {
		for _, user := range []string{"plain", "nobody", "locked", "bare"} {
			k.clock.Advance(time.Minute)
			began := time.Now()
			k.auth(byPassword(user, "wrong"), nil).expect(401)
			if took := time.Since(began); best[user] == 0 || took < best[user] {
				best[user] = took
			}
		}
	}
	for user, got := range best {
		if want := best["plain"]; got > want*2 || want > got*2 {
			t.Errorf("%s takes %v, a wrong password %v", user, got, want)
		}
	}
}
