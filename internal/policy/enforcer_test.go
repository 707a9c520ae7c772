package policy

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

func must(t testing.TB, opts Options, rules ...[]Rule) *Enforcer {
	t.Helper()
	e, err := NewWith(opts, rules...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// person makes the caller of a table row.
func person(project string, roles ...string) *Credentials {
	return &Credentials{UserID: "u1", ProjectID: project, Roles: roles}
}

func TestChecks(t *testing.T) {
	system := &Credentials{UserID: "u9", SystemScope: "all", Roles: []string{"admin", "reader"}}
	domain := &Credentials{UserID: "u3", DomainID: "d1", Roles: []string{"manager"}}
	service := &Credentials{UserID: "nova", Roles: []string{"service"}, ServiceUserID: "s1", ServiceRoles: []string{"service"}}
	extra := &Credentials{Extra: map[string]any{"is_admin": true, "oauth": map[string]any{"scopes": []any{"a", "b"}, "n": 7}}}
	for _, tc := range []struct {
		check string
		who   *Credentials
		on    Target
		want  bool
	}{
		{"role:Admin", person("p1", "aDMIN"), nil, true},
		{"role:admin", person("p1", "administrator"), nil, false},
		{"role:%(wanted)s", person("p1", "member"), Target{"wanted": "member"}, true},
		{"project_id:%(project_id)s", person("p1"), Target{"project_id": "p1"}, true},
		{"project_id:%(project_id)s", person("p1"), Target{"project_id": "p2"}, false},
		{"project_id:%(project_id)s", person("p1"), nil, false},
		{"project_id:%(project_id)s", person(""), Target{"project_id": ""}, false},
		{"project_id:%(project_id)s", person(""), Target{"project_id": nil}, false},
		{"tenant_id:%(tenant_id)s", person("p1"), Target{"project_id": "p1"}, true},
		{"project_id:%(project_id)s", person("p1"), Target{"tenant_id": "p1"}, true},
		{"tenant_id:%(network:tenant_id)s", person("p1"), Target{"network:tenant_id": "p1"}, true},
		{"tenant_id:%(network:tenant_id)s", person("p1"), Target{"network:project_id": "p1"}, true},
		{"user_id:%(target.user.id)s", person("p1"), Target{"target.user.id": "u1"}, true},
		{"user_id:%(target.user.id)s", person("p1"), Target{"target": map[string]any{"user": map[string]any{"id": "u1"}}}, true},
		{"user_id:%(target.user.id)s", person("p1"), Target{"target": map[string]any{"user": map[string]string{"id": "u1"}}}, true},
		{"user_id:%(target.user.id)s", person("p1"), Target{"target": "u1"}, false},
		{"'x':%(y)s", person(""), Target{"y": "x"}, true},
		{`"community":%(visibility)s`, person(""), Target{"visibility": "private"}, false},
		{"None:%(target.role.domain_id)s", person(""), Target{"target.role.domain_id": nil}, true},
		{"None:%(target.role.domain_id)s", person(""), Target{"target.role.domain_id": ""}, true},
		{"None:%(target.role.domain_id)s", person(""), Target{"target.role.domain_id": "d1"}, false},
		{"None:%(target.role.domain_id)s", person(""), nil, false},
		{"True:%(enabled)s", person(""), Target{"enabled": true}, true},
		{"False:%(enabled)s", person(""), Target{"enabled": false}, true},
		{"7:%(n)s", person(""), Target{"n": 7}, true},
		{"1.0:%(n)s", person(""), Target{"n": 1.0}, true},
		{"'a-b%':%(x)s-%(y)s%%", person(""), Target{"x": "a", "y": "b"}, true},
		{"is_admin:True", person("p1", "admin"), nil, true},
		{"is_admin:True", person("p1", "member"), nil, false},
		{"is_admin:False", person("p1", "member"), nil, true},
		{"is_admin:1", person("p1", "admin"), nil, false},
		{"is_admin:True", extra, nil, true},
		{"system_scope:all", system, nil, true},
		{"system_scope:all", person("p1"), nil, false},
		{"project_id:None", system, nil, true},
		{"domain_id:%(target.domain.id)s", domain, Target{"target.domain.id": "d1"}, true},
		{"token.project.domain.id:%(target.domain.id)s", &Credentials{ProjectDomainID: "d1"}, Target{"target.domain.id": "d1"}, true},
		{"service_roles:service", service, nil, true},
		{"service_roles:service", person("p1", "service"), nil, false},
		{"service_user_id:%(id)s", service, Target{"id": "s1"}, true},
		{"roles:member", person("p1", "member"), nil, true},
		{"oauth.scopes:b", extra, nil, true},
		{"oauth.scopes:c", extra, nil, false},
		{"oauth.n:7", extra, nil, true},
		{"oauth.n.deeper:7", extra, nil, false},
		{"oauth:7", extra, nil, false},
		{"unknown.name:x", extra, nil, false},
		{"field:networks:shared=True", person(""), Target{"shared": true}, true},
		{"field:networks:shared=True", person(""), Target{"shared": false}, false},
		{"field:networks:shared=True", person(""), nil, false},
		{"field:networks:router:external=True", person(""), Target{"router:external": true}, true},
		{"field:port:device_owner=~^network:", person(""), Target{"device_owner": "network:dhcp"}, true},
		{"field:port:device_owner=~^network:", person(""), Target{"device_owner": "compute:nova"}, false},
		{"rule:nothing", system, nil, false},
		{"not rule:nothing", system, nil, true},
		{"http://h.example/%(x)s", system, Target{"x": "1"}, false},
		{"", nil, nil, false},
	} {
		e := must(t, Options{}, Base(), []Rule{{Name: "tested", Check: tc.check}})
		if got := e.Allow("tested", tc.who, tc.on); got != tc.want {
			t.Errorf("%q for %+v on %v: %v, want %v", tc.check, tc.who, tc.on, got, tc.want)
		}
	}
}

func TestUnknownRuleDenies(t *testing.T) {
	e := must(t, Options{}, Base(), []Rule{{Name: "default", Check: "@"}})
	if e.Allow("os_compute_api:no_such", person("p", "admin"), nil) {
		t.Error("a rule that is not there allowed something")
	}
}

func TestRegistration(t *testing.T) {
	for name, rules := range map[string][]Rule{
		"itself":             {{Name: "a", Check: "rule:a"}},
		"ring":               {{Name: "a", Check: "rule:b"}, {Name: "b", Check: "@ and (rule:c or role:x)"}, {Name: "c", Check: "not rule:a"}},
		"is_admin":           {{Name: "context_is_admin", Check: "is_admin:True"}},
		"is_admin in a ring": {{Name: "context_is_admin", Check: "rule:b"}, {Name: "b", Check: "is_admin:True"}},
		"twice":              {{Name: "a", Check: "@"}, {Name: "a", Check: "!"}},
		"nameless":           {{Check: "@"}},
		"syntax":             {{Name: "a", Check: "@ @"}},
	} {
		if _, err := New(rules); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	e := must(t, Options{}, Base(), Base(), []Rule{{Name: "admin_or_owner", Check: "!"}}) // a later set may mean its own
	if e.Allow("admin_or_owner", person("p", "admin"), nil) {
		t.Error("a later set does not replace a rule of an earlier one")
	}
	e = must(t, Options{}, Base())
	if err := e.Register(Rule{Name: "a:b.c", Check: "rule:admin_api"}); err != nil {
		t.Fatal(err)
	}
	if !e.Allow("a:b.c", person("p", "admin"), nil) || e.Allow("a:b.c", person("p", "member"), nil) {
		t.Error("a rule registered late decides wrongly")
	}
	if err := e.Register(Rule{Name: "late", Check: "@"}); err == nil {
		t.Error("registered after the first decision")
	}
	if rules := e.Rules(); len(rules) != len(Base())+1 || rules[0].Name != "a:b.c" {
		t.Errorf("Rules: %d, first %q", len(rules), rules[0].Name)
	}
}

func TestScopesAndOldDefaults(t *testing.T) {
	rules := []Rule{
		{Name: "hosts", Check: "role:admin", Scopes: []string{ScopeProject}},
		{Name: "old", Check: "role:manager", Deprecated: "role:member"},
	}
	system := &Credentials{SystemScope: "all", Roles: []string{"admin"}}
	strict, loose := must(t, Options{}, rules), must(t, Options{AnyScope: true, OldDefaults: true}, rules)
	if strict.Allow("hosts", system, nil) || !loose.Allow("hosts", system, nil) || !strict.Allow("hosts", person("p", "admin"), nil) {
		t.Error("scopes are not checked as set")
	}
	if strict.Allow("old", person("p", "member"), nil) || !loose.Allow("old", person("p", "member"), nil) {
		t.Error("deprecated checks are not or-ed as set")
	}
}

func TestSameMeaning(t *testing.T) {
	base := []Rule{{Name: "context_is_admin", Check: "role:admin"}, {Name: "own", Check: "project_id:%(project_id)s"}}
	for _, c := range []struct {
		a, b  string
		scope []string
		same  bool
	}{
		{"role:admin or rule:own", "tenant_id:%(tenant_id)s or is_admin:True", nil, true},
		{"role:admin or (role:admin and role:reader)", "rule:context_is_admin", nil, true},
		{"role:Member and (rule:own or role:admin)", "(role:member and rule:own) or (role:member and role:admin)", nil, true},
		{"role:reader and rule:own", "rule:own", nil, false},
		{"not role:admin", "role:admin", nil, false},
		{"@", "", nil, true},
		{"@", "rule:nowhere", nil, false},
		{"role:admin", "role:admin", []string{ScopeProject}, false},
		{"role:admin", "role:admin", []string{ScopeSystem, ScopeProject, ScopeDomain}, true},
	} {
		a, b := must(t, Options{}, base, []Rule{{Name: "r", Check: c.a}}), must(t, Options{}, base, []Rule{{Name: "r", Check: c.b, Scopes: c.scope}})
		if same, err := a.Same("r", b); err != nil || same != c.same {
			t.Errorf("%q and %q %v: %v %v", c.a, c.b, c.scope, same, err)
		}
	}
}

func TestRemoteCheck(t *testing.T) {
	var asked string
	e := must(t, Options{Remote: func(url string, c *Credentials, _ Target) bool { asked = url; return c.UserID == "u1" }},
		[]Rule{{Name: "far", Check: "https://h.example/%(target.id)s?x=1"}})
	if !e.Allow("far", person("p"), Target{"target.id": "7"}) || asked != "https://h.example/7?x=1" {
		t.Errorf("asked %q", asked)
	}
}

func TestLoad(t *testing.T) {
	e := must(t, Options{}, Base(), []Rule{{Name: "servers:create", Check: ProjectMemberOrAdmin, Scopes: []string{ScopeProject}}})
	file := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(text string) error {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return e.Load(file)
	}
	booter, admin := person("p", "booter"), person("p", "admin")
	for _, text := range []string{
		"# who may boot\n\"booters\": \"role:booter\"\n\"servers:create\": \"rule:booters or\n  rule:context_is_admin\"\n",
		"{\"booters\": \"role:booter\",\n\t\"servers:create\": [[\"rule:booters\"], [\"role:admin\", \"@\"]]}",
	} {
		if err := write(text); err != nil {
			t.Fatal(err)
		}
		if !e.Allow("servers:create", booter, nil) || !e.Allow("servers:create", admin, nil) || e.Allow("servers:create", person("p", "member"), nil) {
			t.Errorf("decides wrongly with %s", text)
		}
	}
	if e.Allow("servers:create", &Credentials{SystemScope: "all", Roles: []string{"booter"}}, nil) {
		t.Error("an override lost the rule's scopes")
	}
	for _, bad := range []string{"servers:create: [", "servers:create: \"role:a role:b\"", "servers:create: 5", "servers:create:", "a: \"rule:b\"\nb: \"rule:a\"", "- x"} {
		if err := write(bad); err == nil {
			t.Errorf("loaded %q", bad)
		}
		if !e.Allow("servers:create", booter, nil) {
			t.Errorf("%q changed the rules in force", bad)
		}
	}
	if err := e.Load(file + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// waitFor steps the clock until a condition holds: Watch has then looked at the file.
func waitFor(t *testing.T, c *clock.Fake, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); c.Advance(time.Second) {
		if time.Now().After(deadline) {
			t.Fatal("never happened: " + what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestWatch(t *testing.T) {
	fake := clock.NewFake(time.Unix(1, 0))
	e := must(t, Options{Clock: fake}, Base(), []Rule{{Name: "r", Check: "!"}})
	file := filepath.Join(t.TempDir(), "policy.yaml")
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var failures []string
	var done sync.WaitGroup
	done.Go(func() {
		if err := e.Watch(ctx, file, func(err error) { mu.Lock(); failures = append(failures, err.Error()); mu.Unlock() }); err != nil {
			t.Errorf("Watch ended with %v", err)
		}
	})
	defer done.Wait()
	defer cancel()
	mtime := time.Unix(1000, 0)
	put := func(text string) {
		next := file + ".new"
		mtime = mtime.Add(time.Second)
		if err := errors.Join(os.WriteFile(next, []byte(text), 0o600), os.Chtimes(next, mtime, mtime), os.Rename(next, file)); err != nil {
			t.Fatal(err)
		}
	}
	allowed := func() bool { return e.Allow("r", person("p"), nil) }
	put("r: \"@\"")
	waitFor(t, fake, "the file is loaded", allowed)
	put("r: \"! !\"")
	waitFor(t, fake, "the error is told", func() bool { mu.Lock(); defer mu.Unlock(); return len(failures) == 1 })
	if !allowed() || !strings.Contains(failures[0], "policy.yaml") {
		t.Errorf("after a bad file: %v, %v", allowed(), failures)
	}
	put("r: \"role:x\"")
	waitFor(t, fake, "the next file is loaded", func() bool { return !allowed() })
	put("r: \"@\"")
	waitFor(t, fake, "and the next", allowed)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	waitFor(t, fake, "the defaults are back", func() bool { return !allowed() })
	mu.Lock()
	defer mu.Unlock()
	if len(failures) != 1 {
		t.Errorf("failures: %v", failures)
	}
}

func TestAllowWhileLoading(t *testing.T) {
	e := must(t, Options{}, Base())
	overrides, err := parseFile([]byte("project_member_api: \"role:member and project_id:%(project_id)s\""))
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 2000 {
				if !e.Allow("project_member_or_admin", person("p", "member"), Target{"project_id": "p"}) {
					t.Error("denied while rules are swapped")
					return
				}
			}
		})
	}
	for range 200 {
		if err := e.override(overrides); err != nil {
			t.Error(err)
		}
	}
	group.Wait()
}

func BenchmarkAllow(b *testing.B) {
	e := must(b, Options{}, Base())
	c, on := person("p", "admin", "member", "reader"), Target{"project_id": "p"}
	b.ReportAllocs()
	for b.Loop() {
		if !e.Allow("project_reader_or_admin", c, on) {
			b.Fatal("denied")
		}
	}
}
