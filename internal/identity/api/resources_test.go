package identityapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/passwords"
)

// Every plain resource: create, show, list by name and operator, update with
// an attribute nobody declared, refuse a taken name, delete, be gone.
func TestPlainResources(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		for _, c := range []struct {
			one, many     string
			body          obj
			unique, extra bool
			first         obj // update that must come before the delete
		}{
			{one: "domain", many: "domains", body: obj{"name": "A name (1)"}, unique: true, first: obj{"enabled": false}},
			{one: "project", many: "projects", body: obj{"name": "A name (1)", "domain_id": "default", "color": "blue"}, unique: true, extra: true},
			{one: "user", many: "users", body: obj{"name": "A name (1)", "domain_id": "default", "color": "blue", "password": "pw"}, unique: true, extra: true},
			{one: "group", many: "groups", body: obj{"name": "A name (1)", "domain_id": "default", "color": "blue"}, unique: true, extra: true},
			{one: "role", many: "roles", body: obj{"name": "A name (1)"}, unique: true, extra: true},
			{one: "service", many: "services", body: obj{"name": "A name (1)", "type": "odd", "color": "blue"}, extra: true},
		} {
			made := k.do(k.admin, "POST", "/v3/"+c.many, obj{c.one: c.body}).expect(201)
			id := made.text(c.one + ".id")
			path := "/v3/" + c.many + "/" + id
			if made.text(c.one+".links.self") != k.url+"/identity"+path {
				t.Errorf("%s: link %v", c.one, made.at(c.one+".links"))
			}
			if strings.Contains(string(made.raw), `"password":`) {
				t.Errorf("%s shows a password: %s", c.one, made.raw)
			}
			shown := k.do(k.admin, "GET", path, nil).expect(200)
			if string(shown.raw) != string(made.raw) {
				t.Errorf("%s is created as %s and shown as %s", c.one, made.raw, shown.raw)
			}
			for filter, want := range map[string]bool{"name=A+name+(1)": true, "name=a": false, "name__contains=(1": true, "name__startswith=A+n": true,
				"name__istartswith=a+N": true, "name__endswith=(1)": true, "name__icontains=NAME": true, "name__contains=zzz": false} {
				list := k.do(k.admin, "GET", "/v3/"+c.many+"?"+filter, nil).expect(200)
				if got := slices.Contains(list.all(c.many, "id"), id); got != want {
					t.Errorf("%s by %s: %v", c.many, filter, got)
				}
			}
			if c.unique {
				if a := k.do(k.admin, "POST", "/v3/"+c.many, obj{c.one: c.body}).expect(409); a.text("error.title") != "Conflict" {
					t.Errorf("%s: %s", c.one, a.raw)
				}
			}
			change := obj{"description": "new", "size": 7}
			k.do(k.admin, "PATCH", path, obj{c.one: change}).expect(200)
			now := k.do(k.admin, "GET", path, nil).expect(200)
			if now.at(c.one+".description") != "new" || now.at(c.one+".size") != 7.0 || (c.extra && c.body["color"] != nil && now.at(c.one+".color") != "blue") {
				t.Errorf("%s after the update: %s", c.one, now.raw)
			}
			k.do(k.admin, "PATCH", path, obj{c.one: obj{"id": "other"}}).expect(400)
			if c.first != nil {
				k.do(k.admin, "DELETE", path, nil).expect(403)
				k.do(k.admin, "PATCH", path, obj{c.one: c.first}).expect(200)
			}
			k.do(k.admin, "DELETE", path, nil).expect(204)
			k.do(k.admin, "GET", path, nil).expect(404)
			k.do(k.admin, "DELETE", path, nil).expect(404)
		}
	})
}

func TestMalformedBodies(t *testing.T) {
	k := serve(t, dbtest.One(t), identity.Compliance{})
	for _, c := range []struct{ path, one string }{{"domains", "domain"}, {"projects", "project"}, {"users", "user"}, {"groups", "group"},
		{"roles", "role"}, {"services", "service"}, {"endpoints", "endpoint"}, {"regions", "region"}, {"credentials", "credential"}} {
		for _, body := range []any{"", "{", "[]", `{"` + c.one + `":null}`, `{"` + c.one + `":[]}`, obj{"other": obj{}},
			obj{c.one: obj{"name": 7, "type": 7, "url": 7, "id": 7}}, obj{c.one: obj{"name": "", "type": "", "url": "", "id": strings.Repeat("x", 300)}}} {
			if a := k.do(k.admin, "POST", "/v3/"+c.path, body); a.status != 400 {
				t.Errorf("%s %v: %d %s", c.path, body, a.status, a.raw)
			}
		}
	}
}

func TestPages(t *testing.T) {
	k := serve(t, dbtest.One(t), identity.Compliance{})
	var want, got []string
	for i := range 5 {
		k.clock.Advance(time.Second)
		want = append(want, k.make("group", "groups", obj{"name": fmt.Sprint("g", i), "domain_id": "default"}))
	}
	next := "/v3/groups?limit=2"
	for next != "" {
		a := k.do(k.admin, "GET", next, nil).expect(200)
		got = append(got, a.all("groups", "id")...)
		if next, _ = a.at("links.next").(string); next != "" {
			u, err := url.Parse(next)
			k.must(err)
			next = strings.TrimPrefix(u.RequestURI(), "/identity")
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("pages give %v, want %v", got, want)
	}
}

func TestProjectTree(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		domain := k.make("domain", "domains", obj{"name": "forest"})
		above := domain
		var line []string
		for i := range 5 {
			p := k.make("project", "projects", obj{"name": fmt.Sprint("level", i), "domain_id": domain, "parent_id": above})
			line, above = append(line, p), p
		}
		k.do(k.admin, "POST", "/v3/projects", obj{"project": obj{"name": "too deep", "domain_id": domain, "parent_id": above}}).expect(403)
		k.do(k.admin, "POST", "/v3/projects", obj{"project": obj{"name": "elsewhere", "domain_id": "default", "parent_id": above}}).expect(400)
		k.do(k.admin, "POST", "/v3/projects", obj{"project": obj{"name": "orphan", "domain_id": "nowhere"}}).expect(400)
		k.do(k.admin, "DELETE", "/v3/projects/"+line[1], nil).expect(403)
		k.do(k.admin, "PATCH", "/v3/projects/"+line[1], obj{"project": obj{"enabled": false}}).expect(403)
		k.do(k.admin, "PATCH", "/v3/projects/"+line[4], obj{"project": obj{"parent_id": line[0]}}).expect(403)
		a := k.do(k.admin, "GET", "/v3/projects/"+line[2]+"?parents_as_ids&subtree_as_ids", nil).expect(200)
		if got, want := fmt.Sprint(a.at("project.parents")), fmt.Sprintf("map[%s:map[%s:<nil>]]", line[1], line[0]); got != want {
			t.Errorf("parents %s, want %s", got, want)
		}
		if got, want := fmt.Sprint(a.at("project.subtree")), fmt.Sprintf("map[%s:map[%s:<nil>]]", line[3], line[4]); got != want {
			t.Errorf("subtree %s, want %s", got, want)
		}
		admin := k.do(k.admin, "GET", "/v3/users?name=admin", nil).text("users.0.id")
		k.do(k.admin, "PUT", "/v3/OS-INHERIT/domains/"+domain+"/users/"+admin+"/roles/"+k.role("reader")+"/inherited_to_projects", nil).expect(204)
		a = k.do(k.admin, "GET", "/v3/projects/"+line[2]+"?parents_as_list&subtree_as_list", nil).expect(200)
		if a.text("project.parents.0.project.id") != line[1] || a.text("project.subtree.1.project.id") != line[4] {
			t.Errorf("lists: %s", a.raw)
		}
		k.do(k.admin, "GET", "/v3/projects/"+line[2]+"?parents_as_list&parents_as_ids", nil).expect(400)
		k.do(k.admin, "PUT", "/v3/projects/"+line[0]+"/tags", obj{"tags": []string{"red", "blue"}}).expect(200)
		k.do(k.admin, "PUT", "/v3/projects/"+line[1]+"/tags/red", nil).expect(201)
		for query, want := range map[string][]string{"tags=red,blue": {line[0]}, "tags-any=red,blue": {line[0], line[1]}, "tags=green": {},
			"not-tags-any=red&domain_id=" + domain: line[2:], "not-tags=red,blue&domain_id=" + domain: line[1:]} {
			got := k.do(k.admin, "GET", "/v3/projects?"+query, nil).expect(200).all("projects", "id")
			slices.Sort(got)
			if !slices.Equal(got, slices.Sorted(slices.Values(want))) {
				t.Errorf("%s: %v, want %v", query, got, want)
			}
		}
		k.do(k.admin, "PUT", "/v3/projects/"+line[1]+"/tags/a,b", nil).expect(400)
		k.do(k.admin, "DELETE", "/v3/projects/"+line[1]+"/tags/blue", nil).expect(404)
	})
}

func TestRoleAssignments(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		domain := k.make("domain", "domains", obj{"name": "d"})
		parent := k.make("project", "projects", obj{"name": "parent", "domain_id": domain})
		child := k.make("project", "projects", obj{"name": "child", "domain_id": domain, "parent_id": parent})
		user := k.make("user", "users", obj{"name": "u", "password": "pw", "domain_id": domain})
		group := k.make("group", "groups", obj{"name": "g", "domain_id": domain})
		k.do(k.admin, "PUT", "/v3/groups/"+group+"/users/"+user, nil).expect(204)
		member, reader := k.role("member"), k.role("reader")
		local := k.make("role", "roles", obj{"name": "local", "domain_id": domain})
		k.do(k.admin, "PUT", "/v3/roles/"+local+"/implies/"+reader, nil).expect(201)
		k.do(k.admin, "PUT", "/v3/roles/"+member+"/implies/"+k.role("admin"), nil).expect(403)
		inherited := "/v3/OS-INHERIT/projects/" + parent + "/groups/" + group + "/roles/" + member + "/inherited_to_projects"
		k.do(k.admin, "PUT", inherited, nil).expect(204)
		k.do(k.admin, "PUT", inherited, nil).expect(204) // twice is fine
		k.do(k.admin, "HEAD", inherited, nil).expect(204)
		k.do(k.admin, "PUT", "/v3/domains/"+domain+"/users/"+user+"/roles/"+local, nil).expect(204)
		k.do(k.admin, "PUT", "/v3/projects/"+k.do(k.admin, "GET", "/v3/projects?name=demo", nil).text("projects.0.id")+"/users/"+user+"/roles/"+local, nil).expect(403)
		k.do(k.admin, "PUT", "/v3/system/users/"+user+"/roles/"+reader, nil).expect(204)
		count := func(query string) int {
			return len(k.do(k.admin, "GET", "/v3/role_assignments?"+query, nil).expect(200).all("role_assignments", ""))
		}
		for query, want := range map[string]int{
			"user.id=" + user: 2, "user.id=" + user + "&effective": 2 + 2, // member and reader on the child; reader on the domain and the system
			"group.id=" + group: 1, "scope.project.id=" + parent: 1, "scope.project.id=" + parent + "&effective": 0, "scope.project.id=" + child: 0,
			"scope.project.id=" + child + "&effective": 2, "scope.project.id=" + child + "&effective&role.id=" + reader: 1,
			"scope.domain.id=" + domain: 1, "scope.system=all&user.id=" + user: 1, "scope.OS-INHERIT:inherited_to=projects": 1,
			"include_subtree&scope.project.id=" + parent: 1, "include_subtree&effective&scope.project.id=" + parent: 2,
		} {
			if got := count(query); got != want {
				t.Errorf("%s: %d, want %d: %s", query, got, want, k.do(k.admin, "GET", "/v3/role_assignments?"+query, nil).raw)
			}
		}
		a := k.do(k.admin, "GET", "/v3/role_assignments?include_names&effective&scope.project.id="+child+"&role.id="+member, nil).expect(200)
		for path, want := range map[string]string{"user.name": "u", "user.domain.name": "d", "scope.project.name": "child", "scope.project.domain.id": domain,
			"role.name": "member", "scope.OS-INHERIT:inherited_to": "projects", "links.assignment": k.url + "/identity" + inherited,
			"links.membership": k.url + "/identity/v3/groups/" + group + "/users/" + user} {
			if got := a.at("role_assignments.0." + path); got != want {
				t.Errorf("%s is %v, want %s", path, got, want)
			}
		}
		token := k.auth(obj{"methods": []string{"password"}, "password": obj{"user": obj{"id": user, "password": "pw"}}}, obj{"project": obj{"id": child}}).expect(201)
		if got := token.all("token.roles", "name"); !slices.Equal(got, []string{"member", "reader"}) {
			t.Errorf("a token has %v", got)
		}
		for _, bad := range []string{"user.id=a&group.id=b", "scope.project.id=a&scope.domain.id=b", "effective&group.id=a", "include_subtree"} {
			k.do(k.admin, "GET", "/v3/role_assignments?"+bad, nil).expect(400)
		}
		k.do(k.admin, "DELETE", inherited, nil).expect(204)
		k.do(k.admin, "DELETE", inherited, nil).expect(404)
		k.do(k.admin, "GET", inherited, nil).expect(404)
		if k.alive(token.header.Get("X-Subject-Token")) {
			t.Error("a token lives without a role")
		}
	})
}

func TestSecurityCompliance(t *testing.T) {
	k := serve(t, dbtest.One(t), identity.Compliance{LockoutFailureAttempts: 2, LockoutDuration: 5 * time.Second, UniqueLastPasswordCount: 2,
		MinimumPasswordAgeDays: 0, PasswordExpiresDays: 30, PasswordRegex: regexp.MustCompile(`^.{4,}$`), PasswordRegexDescription: "four characters"})
	rules := k.do(k.admin, "GET", "/v3/domains/default/config/security_compliance", nil).expect(200)
	if rules.at("config.security_compliance.password_regex") != "^.{4,}$" {
		t.Errorf("rules %s", rules.raw)
	}
	if a := k.do(k.admin, "GET", "/v3/domains/default/config/security_compliance/password_regex_description", nil).expect(200); a.at("config.password_regex_description") != "four characters" {
		t.Errorf("rule %s", a.raw)
	}
	k.do(k.admin, "GET", "/v3/domains/default/config/security_compliance/lockout_duration", nil).expect(403)
	u := k.make("user", "users", obj{"name": "eve", "password": "first", "domain_id": "default"})
	change := func(from, to string) *answer {
		return k.do("", "POST", "/v3/users/"+u+"/password", obj{"user": obj{"original_password": from, "password": to}})
	}
	for range 2 {
		k.auth(byPassword("eve", "wrong"), nil).expect(401)
	}
	k.auth(byPassword("eve", "first"), nil).expect(401)
	change("first", "second").expect(401) // locked there too
	k.clock.Advance(6 * time.Second)
	k.auth(byPassword("eve", "first"), nil).expect(201)
	change("first", "abc").expect(400)
	change("first", "first").expect(400)
	change("wrong", "second").expect(401)
	change("first", "second").expect(204)
	change("second", "first").expect(400) // remembered
	k.do(k.admin, "PATCH", "/v3/users/"+u, obj{"user": obj{"password": "first"}}).expect(200)
	change("first", "third").expect(204)
	a := k.do(k.admin, "GET", "/v3/users/"+u, nil)
	if a.text("user.password_expires_at") != "2026-12-25T00:00:06.000000" {
		t.Errorf("expires at %v", a.at("user.password_expires_at"))
	}
	k.clock.Advance(31 * 24 * time.Hour)
	if a := k.auth(byPassword("eve", "third"), nil).expect(401); !strings.Contains(a.text("error.message"), "expired") {
		t.Errorf("answer %s", a.raw)
	}
	change("third", "fourth").expect(204) // that is how one gets back in
	k.auth(byPassword("eve", "fourth"), nil).expect(201)
}

func TestFloodOfFailedLogins(t *testing.T) {
	k := serve(t, dbtest.One(t), identity.Compliance{})
	var last *answer
	for range 30 {
		if last = k.auth(byPassword("nobody", "x"), nil); last.status == 429 {
			break
		}
	}
	if last.status != 429 || last.header.Get("Retry-After") == "" {
		t.Errorf("status %d after 30 failures, headers %v", last.status, last.header)
	}
	k.auth(byPassword("demo", "demo-pw"), nil).expect(201) // others get in
	k.clock.Advance(time.Minute)
	k.auth(byPassword("nobody", "x"), nil).expect(401)
	for range 30 { // the other door to a hash
		last = k.do("", "POST", "/v3/users/somebody/password", obj{"user": obj{"original_password": "a", "password": "b"}})
		if last.status == 429 {
			break
		}
	}
	if last.status != 429 {
		t.Errorf("status %d after 30 failed changes of a password", last.status)
	}
	k.do("", "POST", "/v3/auth/tokens", strings.Repeat(" ", 17<<10)).expect(413)
}

// People of a domain see and change that domain only.
func TestDomainPersonas(t *testing.T) {
	k := serve(t, dbtest.One(t), identity.Compliance{})
	type realm struct{ domain, project, user, group string }
	build := func(name string) realm {
		d := k.make("domain", "domains", obj{"name": name})
		return realm{d, k.make("project", "projects", obj{"name": "p", "domain_id": d}),
			k.make("user", "users", obj{"name": "u", "password": "pw", "domain_id": d}), k.make("group", "groups", obj{"name": "g", "domain_id": d})}
	}
	own, foreign := build("own"), build("foreign")
	as := func(role string) string {
		id := k.make("user", "users", obj{"name": role, "password": "pw", "domain_id": own.domain})
		k.do(k.admin, "PUT", "/v3/domains/"+own.domain+"/users/"+id+"/roles/"+k.role(role), nil).expect(204)
		return k.auth(obj{"methods": []string{"password"}, "password": obj{"user": obj{"id": id, "password": "pw"}}}, obj{"domain": obj{"id": own.domain}}).
			expect(201).header.Get("X-Subject-Token")
	}
	reader, manager := as("reader"), as("manager")
	for _, c := range []struct {
		method, path   string
		body           any
		read, manage   int
		readF, manage2 int // on the foreign realm
	}{
		{"GET", "/v3/projects/PROJECT", nil, 200, 200, 403, 403},
		{"GET", "/v3/users/USER", nil, 200, 200, 403, 403},
		{"GET", "/v3/groups/GROUP", nil, 200, 200, 403, 403},
		{"GET", "/v3/groups/GROUP/users", nil, 200, 200, 403, 403},
		{"GET", "/v3/users/USER/projects", nil, 200, 200, 403, 403},
		{"GET", "/v3/domains/DOMAIN", nil, 200, 200, 403, 403},
		{"PATCH", "/v3/domains/DOMAIN", obj{"domain": obj{"description": "x"}}, 403, 403, 403, 403},
		{"PATCH", "/v3/projects/PROJECT", obj{"project": obj{"description": "x"}}, 403, 200, 403, 403},
		{"PATCH", "/v3/users/USER", obj{"user": obj{"description": "x"}}, 403, 200, 403, 403},
		{"PATCH", "/v3/groups/GROUP", obj{"group": obj{"description": "x"}}, 403, 200, 403, 403},
		{"PUT", "/v3/groups/GROUP/users/USER", nil, 403, 204, 403, 403},
		{"PUT", "/v3/projects/PROJECT/users/USER/roles/MEMBER", nil, 403, 204, 403, 403},
		{"PUT", "/v3/projects/PROJECT/users/USER/roles/ADMIN", nil, 403, 403, 403, 403}, // a manager cannot grant admin
		{"POST", "/v3/users", obj{"user": obj{"name": "new", "domain_id": "DOMAIN"}}, 403, 201, 403, 403},
		{"POST", "/v3/groups", obj{"group": obj{"name": "new", "domain_id": "DOMAIN"}}, 403, 201, 403, 403},
		{"POST", "/v3/projects", obj{"project": obj{"name": "new", "domain_id": "DOMAIN"}}, 403, 201, 403, 403},
		{"POST", "/v3/roles", obj{"role": obj{"name": "x"}}, 403, 403, 403, 403},
		{"POST", "/v3/services", obj{"service": obj{"type": "x"}}, 403, 403, 403, 403},
		{"POST", "/v3/regions", obj{"region": obj{}}, 403, 403, 403, 403},
		{"DELETE", "/v3/users/USER", nil, 403, 204, 403, 403},
		{"DELETE", "/v3/projects/PROJECT", nil, 403, 204, 403, 403},
	} {
		for who, token := range map[string]string{"reader": reader, "manager": manager} {
			for where, r := range map[string]realm{"own": own, "foreign": foreign} {
				want := map[string]int{"reader own": c.read, "manager own": c.manage, "reader foreign": c.readF, "manager foreign": c.manage2}[who+" "+where]
				fill := strings.NewReplacer("PROJECT", r.project, "USER", r.user, "GROUP", r.group, "DOMAIN", r.domain, "MEMBER", k.role("member"), "ADMIN", k.role("admin"))
				body := c.body
				if body != nil {
					text, err := json.Marshal(body)
					k.must(err)
					body = fill.Replace(string(text))
				}
				if a := k.do(token, c.method, fill.Replace(c.path), body); a.status != want {
					t.Errorf("%s of domain own on %s realm, %s %s: %d, want %d: %s", who, where, c.method, c.path, a.status, want, a.raw)
				}
			}
		}
	}
	for many, want := range map[string]int{"projects": 1, "users": 3, "groups": 2, "domains": 1} { // what is left of the own realm
		if got := k.do(reader, "GET", "/v3/"+many, nil).expect(200).all(many, "id"); len(got) != want {
			t.Errorf("%s: %d items, want %d", many, len(got), want)
		}
		if got := k.do(reader, "GET", "/v3/"+many+"?domain_id="+foreign.domain, nil).expect(200).all(many, "id"); many != "domains" && len(got) != 0 {
			t.Errorf("%s of the foreign domain: %v", many, got)
		}
	}
}

// Every route refuses a caller without a role, and changes nothing.
func TestNobodyWithoutRoles(t *testing.T) {
	k := serve(t, dbtest.One(t), identity.Compliance{})
	k.make("user", "users", obj{"name": "nobody", "password": "pw", "domain_id": "default"})
	token := k.login("nobody", "pw", nil)
	open := regexp.MustCompile(`^/v3/auth/|^/v3/OS-FEDERATION/|^/v3/regions|limits|security_compliance|^/v3$|^/$|/password$|^/v3/credentials$|/OS-OAUTH2/token$|/OS-OAUTH1/[a-z]+_token$|^/v2.0(/tokens|/extensions.*|/certificates/.*|/tenants)?$`)
	for _, r := range k.service.REST().Routes {
		if open.MatchString(r.Path) && (r.Path == "/v3/auth/tokens" || r.Method == "GET" || r.Method == "HEAD" || r.Open) {
			continue // for everybody, or about the caller
		}
		path := regexp.MustCompile(`\{\w+\}`).ReplaceAllString(r.Path, "default")
		a := k.do(token, r.Method, path, obj{"domain": obj{"name": "x"}, "project": obj{"name": "x"}, "user": obj{"name": "x"}, "group": obj{"name": "x"},
			"role": obj{"name": "x"}, "trust": obj{"trustor_user_id": "a", "trustee_user_id": "b", "impersonation": false},
			"credential": obj{"user_id": "a", "type": "x", "blob": "y"}})
		first := regexp.MustCompile(`OS-TRUST|OS-EC2|/v2.0/tokens/|/v3/(roles|endpoints)/default$`) // upstream looks these up before it asks
		if a.status != 403 && !(a.status == 404 && first.MatchString(r.Method+" "+path)) {
			t.Errorf("%s %s: %d %s", r.Method, r.Path, a.status, a.raw)
		}
		if a := k.do("", r.Method, path, nil); a.status != 401 {
			t.Errorf("%s %s without a token: %d", r.Method, r.Path, a.status)
		}
	}
}

func TestBootstrapRemembers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		user := k.do(k.admin, "GET", "/v3/users?name=demo", nil).text("users.0.id")
		role := k.do(k.admin, "GET", "/v3/roles?name=creator", nil).text("roles.0.id")
		service := k.do(k.admin, "GET", "/v3/services?type=object-store", nil).text("services.0.id")
		for _, path := range []string{"users/" + user, "roles/" + role, "services/" + service} {
			k.do(k.admin, "DELETE", "/v3/"+path, nil).expect(204)
		}
		k.do(k.admin, "DELETE", "/v3/roles/"+k.role("member"), nil).expect(403) // policies depend on it
		before := k.digest()
		k.must(k.service.Bootstrap(context.Background(), testSeeds))
		if after := k.digest(); after != before {
			t.Errorf("a second start changed\n%s\nto\n%s", before, after)
		}
		more := testSeeds
		more.Catalog = append(slices.Clone(more.Catalog), identity.CatalogEntry{Type: "compute", Name: "nova", URL: "/compute/v2.1"})
		k.must(k.service.Bootstrap(context.Background(), more))
		if got := k.do(k.admin, "GET", "/v3/services", nil).all("services", "type"); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"compute", "identity"}) {
			t.Errorf("services %v", got)
		}
	})
}

// digest is everything lists show.
func (k *keystone) digest() string {
	k.Helper()
	var out []string
	for _, many := range []string{"domains", "projects", "users", "groups", "roles", "services", "endpoints", "regions", "role_assignments", "role_inferences"} {
		out = append(out, string(k.do(k.admin, "GET", "/v3/"+many, nil).expect(200).raw))
	}
	return strings.Join(out, "\n")
}

// Who is known and may not go somewhere is not guessing: it is never slowed.
func TestRefusedScopesAreNotGuesses(t *testing.T) {
	k := serve(t, dbtest.One(t), identity.Compliance{})
	token := k.login("demo", "demo-pw", nil)
	for range 40 {
		k.auth(byToken(token), onProject("admin")).expect(401)
		k.auth(byPassword("demo", "demo-pw"), onProject("admin")).expect(401)
	}
	k.auth(byToken(token), onProject("demo")).expect(201)
}

// A first start that was killed at any moment is finished by the next one, and
// nothing is there twice.
func TestBootstrapFinishesWhatWasInterrupted(t *testing.T) {
	reference := serve(t, dbtest.One(t), identity.Compliance{})
	want := reference.census()
	interrupt := func(left int) (d *db.DB, asked int, err error) {
		d = dbtest.One(t)
		service, err := New(t.Context(), Deps{DB: d, Clock: reference.clock, Sealer: sealer(t), PasswordCost: passwords.Cost{MemoryKiB: 64, Passes: 1}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, kill := context.WithCancel(t.Context())
		defer kill()
		dying := &dying{Context: ctx, left: left, kill: kill}
		err = service.Bootstrap(dying, testSeeds)
		return d, left - dying.left, err
	}
	_, total, err := interrupt(1 << 20)
	reference.must(err)
	var points []int
	for i := range 8 {
		points = append(points, 1+i*total/8)
	}
	for i := range 12 { // where the catalog is made nothing else keeps names from being there twice
		points = append(points, total-2-3*i)
	}
	for _, left := range points {
		d, _, err := interrupt(left)
		if err == nil {
			t.Fatalf("the start was not interrupted after %d of %d", left, total)
		}
		if got := serve(t, d, identity.Compliance{}).census(); got != want {
			t.Errorf("interrupted after %d of %d: %s, want %s", left, total, got, want)
		}
	}
}

// dying ends itself when it was asked a number of times whether it has ended,
// as every transaction asks.
type dying struct {
	context.Context
	left int
	kill context.CancelFunc
}

func (d *dying) Err() error {
	if d.left--; d.left < 0 {
		d.kill()
	}
	return d.Context.Err()
}

// census counts what there is.
func (k *keystone) census() string {
	k.Helper()
	var out []string
	for _, many := range []string{"domains", "projects", "users", "roles", "services", "endpoints", "regions", "role_assignments"} {
		out = append(out, fmt.Sprint(many, " ", len(k.do(k.admin, "GET", "/v3/"+many, nil).expect(200).all(many, "id"))))
	}
	return strings.Join(out, ", ")
}
