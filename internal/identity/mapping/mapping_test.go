package mapping

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/fault"
)

// claims writes what somebody is said to be: "Name=a,b Other=c".
func claims(pairs ...string) map[string][]string {
	out := map[string][]string{}
	for _, p := range pairs {
		name, values, _ := strings.Cut(p, "=")
		out[name] = strings.Split(values, "|")
	}
	return out
}

var (
	employee   = claims("Email=tim@example.com", "UserName=tbo", "FirstName=Tim", "LastName=Bo", "orgPersonType=Employee|BuildingX")
	partTime   = claims("UserName=tbo", "orgPersonType=Employee|PartTimeEmployee|Manager")
	manyGroups = claims("UserName=tbo", "orgPersonType=Developer|Manager|Contractor", "Thing=yes!|maybe!|no!!")
	contractor = claims("Email=jill@example.com", "UserName=jsmith", "FirstName=Jill", "LastName=Smith", "orgPersonType=Contractor|Non-Dev")
	admin      = claims("Email=bob@example.com", "UserName=bob", "FirstName=Bob", "LastName=Thompson", "orgPersonType=Admin|Chief")
	customer   = claims("Email=beth@example.com", "UserName=bwilliams", "FirstName=Beth", "LastName=Williams", "orgPersonType=Customer")
	tester     = claims("Email=testacct@example.com", "UserName=testacct", "orgPersonType=MadeupGroup|Tester|GroupX")
	badTester  = claims("Email=eviltester@example.org", "UserName=Evil", "FirstName=Test", "LastName=Account", "orgPersonType=Tester")
)

const (
	small = `[{"local": [{"group": {"id": "0cd5e9"}}, {"user": {"name": "{0}"}}], "remote": [{"type": "UserName"},
		{"type": "orgPersonType", "not_any_of": ["Contractor", "SubContractor"]}, {"type": "LastName", "any_one_of": ["Bo"]}]},
		{"local": [{"group": {"id": "85a868"}}, {"user": {"name": "{0}"}}], "remote": [{"type": "UserName"},
		{"type": "orgPersonType", "any_one_of": ["Contractor", "SubContractor"]}, {"type": "FirstName", "any_one_of": ["Jill"]}]}]`
	large = `[{"local": [{"user": {"name": "{0} {1}", "email": "{2}"}, "group": {"id": "0cd5e9"}}], "remote": [{"type": "FirstName"},
		{"type": "LastName"}, {"type": "Email"}, {"type": "orgPersonType", "any_one_of": ["Admin", "Big Cheese"]}]},
		{"local": [{"user": {"name": "{0}", "email": "{1}"}}], "remote": [{"type": "UserName"}, {"type": "Email"},
		{"type": "orgPersonType", "not_any_of": ["Admin", "Employee", "Contractor", "Tester"]}]},
		{"local": [{"group": {"id": "123"}}, {"group": {"id": "xyz"}}, {"user": {"name": "{0}"}}], "remote": [{"type": "UserName"},
		{"type": "orgPersonType", "any_one_of": ["Tester"]}, {"type": "Email", "any_one_of": [".*@example.com$"], "regex": true}]}]`
	notDeveloper = `[{"local": [{"user": {"name": "{0}"}, "group": {"id": "xyz"}}], "remote": [{"type": "UserName"},
		{"type": "orgPersonType", "any_one_of": ["Developer"]}, {"type": "Email", "not_any_of": [".*@example.org$"], "regex": true}]}]`
	groupNames = `[{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "UserName"}]},
		{"local": [{"group": {"name": "Developer", "domain": {"name": "outsourcing"}}}], "remote": [{"type": "orgPersonType", "any_one_of": ["Employee"]}]},
		{"local": [{"group": {"name": "tester", "domain": {"id": "5abc43"}}}], "remote": [{"type": "orgPersonType", "any_one_of": ["BuildingX"]}]}]`
	userIDs = `[{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "UserName"}, {"type": "UserName", "any_one_of": ["jsmith"]}]},
		{"local": [{"user": {"name": "{0}", "id": "abc123@example.com", "domain": {"id": "federated"}}}],
		"remote": [{"type": "UserName"}, {"type": "UserName", "any_one_of": ["tbo", "bwilliams"]}]},
		{"local": [{"user": {"id": "{0}"}}], "remote": [{"type": "UserName"}, {"type": "UserName", "any_one_of": ["bob"]}]}]`
	groupIDs = `[{"local": [{"user": {"name": "{0}"}}, {"group_ids": "{1}"}, {"group": {"id": "{2}"}}],
		"remote": [{"type": "name"}, {"type": "group_ids", "FILTER": LIST}, {"type": "group"}]}]`
	filtered = `[{"local": [{"groups": "{0}", "domain": {"id": "5abc43"}}, {"user": {"name": "{1}"}}],
		"remote": [{"type": "orgPersonType", "FILTER": LIST}, {"type": "UserName"}]}]`
	pattern = `[{"local": [{"groups": "{0}", "domain": {"id": "5abc43"}}, {"user": {"name": "{1}"}}],
		"remote": [{"type": "orgPersonType", "FILTER": LIST, "regex": true}, {"type": "UserName"}]}]`
	ownDomains = `[{"local": [{"user": {"name": "{0}"}}, {"groups": "{1}"}], "remote": [{"type": "openstack_user"}, {"type": "openstack_groups"}]}]`
	projects   = `[{"local": [{"user": {"name": "{0}"}}, {"projects": [{"name": "Production", "roles": [{"name": "observer"}]},
		{"name": "Staging", "roles": [{"name": "member"}]}, {"name": "Project for {0}", "roles": [{"name": "admin"}, {"name": "{1}"}]}]}],
		"remote": [{"type": "UserName"}, {"type": "Email"}]}]`
)

func with(rules, filter, list string) string {
	return strings.NewReplacer("FILTER", filter, "LIST", list).Replace(rules)
}

func named(name string) User { return User{ID: name, Name: name, Type: Ephemeral} }

func inDomain(names ...string) (out []Group) {
	for _, n := range names {
		out = append(out, Group{n, Domain{ID: "5abc43"}})
	}
	return out
}

// Facts of upstream's tests: test_utils.py with mapping_fixtures.py.
func TestApplyAsUpstream(t *testing.T) {
	t.Parallel()
	tim := User{ID: "abc123%40example.com", Name: "tbo", Type: Ephemeral, Domain: Domain{ID: "federated"}}
	for name, test := range map[string]struct {
		rules  string
		claims map[string][]string
		want   Result
	}{
		"any_one_of and direct": {large, admin, Result{User: User{ID: "Bob%20Thompson", Name: "Bob Thompson", Email: "bob@example.com", Type: Ephemeral}, GroupIDs: []string{"0cd5e9"}}},
		"not_any_of and direct": {large, customer, Result{User: User{ID: "bwilliams", Name: "bwilliams", Email: "beth@example.com", Type: Ephemeral}}},
		"regex, several groups": {large, tester, Result{User: named("testacct"), GroupIDs: []string{"123", "xyz"}}},
		"second of the rules":   {small, contractor, Result{User: named("jsmith"), GroupIDs: []string{"85a868"}}},
		"first of the rules":    {small, employee, Result{User: named("tbo"), GroupIDs: []string{"0cd5e9"}}},
		"not_any_of by regex":   {notDeveloper, claims("Email=d@example.com", "UserName=d", "orgPersonType=Developer"), Result{User: named("d"), GroupIDs: []string{"xyz"}}},
		"several rules match": {groupNames, employee, Result{User: named("tbo"),
			Groups: []Group{{"Developer", Domain{Name: "outsourcing"}}, {"tester", Domain{ID: "5abc43"}}}}},
		"blacklist by regex": {with(pattern, "blacklist", `[".*Employee$"]`), partTime, Result{User: named("tbo"), Groups: inDomain("Manager")}},
		"whitelist by regex": {with(pattern, "whitelist", `[".*Employee$"]`), partTime, Result{User: named("tbo"), Groups: inDomain("Employee", "PartTimeEmployee")}},
		"whitelist":          {with(filtered, "whitelist", `["Developer", "Contractor"]`), manyGroups, Result{User: named("tbo"), Groups: inDomain("Developer", "Contractor")}},
		"whitelist of none":  {with(filtered, "whitelist", `["Developer", "Contractor"]`), employee, Result{User: named("tbo")}},
		"blacklist":          {with(filtered, "blacklist", `["Developer", "Manager"]`), manyGroups, Result{User: named("tbo"), Groups: inDomain("Contractor")}},
		"blacklist and a claim of several values": {`[{"local": [{"groups": "{0}", "domain": {"id": "5abc43"}}, {"user": {"name": "{2}"}}],
			"remote": [{"type": "orgPersonType", "blacklist": ["Developer", "Manager"]}, {"type": "Thing"}, {"type": "UserName"}]}]`, manyGroups, Result{User: named("tbo"), Groups: inDomain("Contractor")}},
		"one group":            {with(filtered, "blacklist", "[]"), claims("UserName=j", "orgPersonType=ALL USERS"), Result{User: named("j"), Groups: inDomain("ALL USERS")}},
		"a number for a group": {with(filtered, "blacklist", "[]"), claims("UserName=j", "orgPersonType=1234"), Result{User: named("j"), Groups: inDomain("1234")}},
		"group_ids, whitelist": {with(groupIDs, "whitelist", `["abc123", "ghi789"]`), claims("name=o", "group_ids=abc123|def456|ghi789", "group=klm012"),
			Result{User: named("o"), GroupIDs: []string{"abc123", "ghi789", "klm012"}}},
		"group_ids, blacklist": {with(groupIDs, "blacklist", `["def456"]`), claims("name=o", "group_ids=abc123|def456|ghi789", "group=abc123"),
			Result{User: named("o"), GroupIDs: []string{"abc123", "ghi789"}}},
		"user by name":        {userIDs, contractor, Result{User: named("jsmith")}},
		"user by id and name": {userIDs, employee, Result{User: tim}},
		"user by id":          {userIDs, claims("UserName=bob"), Result{User: named("bob")}},
		"user by id, and REMOTE_USER": {userIDs, claims("UserName=bob", "REMOTE_USER=remote"),
			Result{User: User{ID: "bob", Name: "remote", Type: Ephemeral}}},
		"local user": {`[{"local": [{"user": {"name": "{0}", "domain": {"id": "Local"}, "type": "local"}}], "remote": [{"type": "UserName"}]}]`, contractor,
			Result{User: User{Name: "jsmith", Type: Local, Domain: Domain{ID: "Local"}}}},
		"domain of a claim": {`[{"local": [{"user": {"name": "{0}", "domain": {"name": "{1}"}}}], "remote": [{"type": "UserName"}, {"type": "domain"}]}]`,
			claims("UserName=marek", "domain=user_domain"), Result{User: User{ID: "marek", Name: "marek", Type: Ephemeral, Domain: Domain{Name: "user_domain"}}}},
		"groups with domains of their own": {ownDomains, claims("openstack_user=b", `openstack_groups=JSON:{"name":"g1","domain":{"name":"xxx"}}|JSON:{"name":"g2","domain":{"id":"yyy"}}`),
			Result{User: named("b"), Groups: []Group{{"g1", Domain{Name: "xxx"}}, {"g2", Domain{ID: "yyy"}}}}},
		"projects": {projects, claims("UserName=tbo", "Email=reader"), Result{User: named("tbo"), Projects: []Project{{Name: "Production", Roles: []Role{{"observer"}}},
			{Name: "Staging", Roles: []Role{{"member"}}}, {Name: "Project for tbo", Roles: []Role{{"admin"}, {"reader"}}}}}},
		"first user wins": {`[{"local": [{"user": {"name": "test_{0}"}}, {"user": {"name": "{0}"}}], "remote": [{"type": "UserName"}]}]`, admin, Result{User: named("test_bob")}},
		"letters of the world": {`[{"local": [{"user": {"name": "{0} {1}"}}], "remote": [{"type": "F"}, {"type": "L"}]}]`, claims("F=Jon Kåre", "L=Hellån"),
			Result{User: User{ID: "Jon%20K%C3%A5re%20Hell%C3%A5n", Name: "Jon Kåre Hellån", Type: Ephemeral}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, test.rules, V1, test.claims, test.want)
		})
	}
}

func check(t *testing.T, rules, version string, claims map[string][]string, want Result) {
	t.Helper()
	r, err := Parse(json.RawMessage(rules), version)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Apply(claims)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	noDomain := `[{"local": [{"groups": "{0}"}], "remote": [{"type": "orgPersonType"}, {"type": "UserName"}]}]`
	name := func(user string) string {
		return `[{"local": [{"user": ` + user + `, "group": {"id": "g"}}], "remote": [{"type": "a"}, {"type": "b", "whitelist": ["x"]}]}]`
	}
	for what, test := range map[string]struct {
		rules  string
		claims map[string][]string
		why    error
	}{
		"no rule matches":               {large, badTester, errNoRule},
		"the regex excludes":            {notDeveloper, claims("Email=e@example.org", "UserName=e", "orgPersonType=Developer"), errNoRule},
		"a claim is missing":            {small, claims("UserName=user", "orgPersonType=Contractor"), errNoRule},
		"a claim has no values":         {ownDomains, map[string][]string{"openstack_user": {"u"}, "openstack_groups": {}}, errNoRule},
		"no claims":                     {large, nil, errNoRule},
		"a rule says nothing":           {`[{"local": [], "remote": [{"type": "UserName"}]}]`, admin, errNoRule},
		"groups without domain":         {noDomain, manyGroups, errGroupDomain},
		"a JSON group without it":       {ownDomains, claims("openstack_user=u", `openstack_groups=JSON:{"name":"g"}`), errGroupJSON},
		"a JSON group that is not":      {ownDomains, claims("openstack_user=u", `openstack_groups=JSON:[]`), errGroupJSON},
		"a JSON group, name null":       {ownDomains, claims("openstack_user=u", `openstack_groups=JSON:{"name":null,"domain":{"id":"d"}}`), errGroupJSON},
		"several names":                 {name(`{"name": "{0}"}`), claims("a=one|two", "b=x"), errSeveral},
		"no name is left":               {name(`{"name": "{1}"}`), claims("a=one", "b=y"), errSeveral},
		"nobody is named":               {name(`{"email": "{0}"}`), claims("a=one", "b=x"), errNoName},
		"several remote users":          {name(`{"email": "{0}"}`), claims("a=one", "b=x", "REMOTE_USER=a|b"), errNoName},
		"an empty domain":               {name(`{"name": "n", "domain": {"id": "{0}"}}`), claims("a=", "b=x"), errNothing},
		"local without domain":          {name(`{"name": "{0}", "type": "local"}`), claims("a=one", "b=x"), errNoDomain},
		"local without name":            {name(`{"type": "local"}`), claims("a=one", "b=x", "REMOTE_USER=root"), errNoName},
		"not text":                      {name(`{"name": "{0}"}`), claims("a=\xff", "b=x"), errNotText},
		"a NUL":                         {name(`{"name": "{0}"}`), claims("a=a\x00", "b=x"), errNotText},
		"a NUL of REMOTE_USER":          {name(`{"email": "{0}"}`), claims("a=one", "b=x", "REMOTE_USER=\x00"), errNotText},
		"a name too long":               {name(`{"name": "{0}{0}"}`), claims("a="+strings.Repeat("x", maxText), "b=x"), errTooMuch},
		"claims too large":              {name(`{"name": "{0}"}`), claims("a=one", "b=x", "c="+strings.Repeat("x", maxClaims)), errTooMuch},
		"too many values":               {name(`{"name": "{0}"}`), claims("a=one", "b=x", "c="+strings.Repeat("|", maxClaimed)), errTooMuch},
		"too much work, by expressions": {`[{"local": [{"user": {"name": "n"}}], "remote": [{"type": "a", "not_any_of": ["(x+x+){300}y"], "regex": true}]}]`, claims("a=" + strings.Repeat("x", maxClaims)), errTooMuch},
		"too much work, by values": {`[` + strings.Repeat(`{"local": [], "remote": [{"type": "a", "blacklist": ["q"]}]},`, 200) + `{"local": [{"user": {"name": "n"}}], "remote": [{"type": "a"}]}]`,
			claims("a=" + strings.Repeat("|", maxClaimed-1)), errTooMuch},
		"too many groups": {with(filtered, "blacklist", "[]"), many("orgPersonType", maxValues+1), errTooMuch},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r, err := Parse(json.RawMessage(test.rules), V1)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Apply(test.claims)
			f := fault.As(err)
			if f.Kind != fault.Unauthenticated || f.Text != "The request you have made requires authentication." || f.Cause == nil || !strings.Contains(f.Cause.Error(), test.why.Error()) {
				t.Errorf("got %+v, %v; want %v", got, err, test.why)
			}
		})
	}
}

// many are claims of somebody with n different values of one.
func many(claim string, n int) map[string][]string {
	out := claims("UserName=tbo")
	for i := range n {
		out[claim] = append(out[claim], strings.Repeat("a", i%90+1)+strings.Repeat("b", i/90))
	}
	return out
}

// Upstream would read each of these as more than one value, or as a domain that
// the rule does not name.
func TestClaimsStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"staff;admins", "['staff', 'admins']", "{0}", "{1}", "{", "}}", `JSON:{"name":"admins","domain":{"id":"default"}}`, " x ", "%s", "\n"} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			check(t, with(filtered, "blacklist", "[]"), V1, map[string][]string{"UserName": {value}, "orgPersonType": {value}},
				Result{User: User{ID: quote(value), Name: value, Type: Ephemeral}, Groups: inDomain(value)})
		})
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	base := func(more string) string {
		return `[{"local": [` + more + `], "remote": [{"type": "UserName"}, {"type": "P"}, {"type": "G"}]}]`
	}
	who := map[string][]string{"UserName": {"u"}, "G": {`JSON:{"name":"own","domain":{"id":"e"}}`, "plain"},
		"P": {`[{"name":"{0}","roles":[{"name":"r"}]},{"name":"q","domain":{"name":"e"},"roles":[]}]`, `{"name":"single","roles":[]}`}}
	d, e := Domain{ID: "d"}, Domain{ID: "e"}
	user := func(of Domain) User { return User{ID: "u", Name: "u", Type: Ephemeral, Domain: of} }
	all := base(`{"user": {"name": "{0}"}, "groups": "{2}", "domain": {"id": "d"}, "projects": [{"name": "p", "roles": []}]}`)
	for name, test := range map[string]struct {
		rules, version string
		want           Result
	}{
		"1.0: the domain is that of groups": {all, "", Result{User: user(Domain{}), Groups: []Group{{who["G"][0], d}, {"plain", d}}, Projects: []Project{{Name: "p"}}}},
		"2.0: the domain is that of all":    {all, V2, Result{User: user(d), Groups: []Group{{"own", e}, {"plain", d}}, Projects: []Project{{Name: "p", Domain: d}}}},
		"2.0: projects have their own": {base(`{"user": {"name": "{0}", "domain": {"id": "e"}}, "domain": {"id": "d"}, "projects": [{"name": "p", "domain": {"name": "{0}"}, "roles": []}]}`), V2,
			Result{User: user(e), Projects: []Project{{Name: "p", Domain: Domain{Name: "u"}}}}},
		"2.0: the last domain is the user's": {base(`{"user": {"name": "{0}"}}, {"domain": {"id": "d"}}`), V2, Result{User: user(d)}},
		"2.0: none":                          {base(`{"domain": {"id": "d"}}, {"user": {"name": "{0}"}}`), V2, Result{User: user(Domain{})}},
		"the last projects count": {base(`{"user": {"name": "{0}"}, "projects": [{"name": "a", "roles": []}]}, {"projects": [{"name": "b", "roles": []}]}`), V2,
			Result{User: user(Domain{}), Projects: []Project{{Name: "b"}}}},
		"3.0: projects of a claim": {base(`{"user": {"name": "{0}"}, "domain": {"id": "d"}, "projects": [{"name": "p", "roles": []}], "projects_json": "{1}"}`), V3,
			Result{User: user(d), Exact: true, Projects: []Project{{Name: "p", Domain: d}, {Name: "{0}", Domain: d, Roles: []Role{{"r"}}}, {Name: "q", Domain: Domain{Name: "e"}}, {Name: "single", Domain: d}}}},
		"3.0: nothing but the number": {base(`{"user": {"name": "{}"}, "projects_json": "1"}`), V3,
			Result{User: user(Domain{}), Exact: true, Projects: []Project{{Name: "{0}", Roles: []Role{{"r"}}}, {Name: "q", Domain: Domain{Name: "e"}}, {Name: "single"}}}},
		"lists in rules": {base(`{"user": {"name": "{{{0}}}"}, "groups": "['one', \"{0}\", '{0}s', '{0}']", "domain": {"id": "d"}}, {"group_ids": "['a', 'b',]"}, {"group_ids": "['a' 'b']"}`), V1,
			Result{User: User{ID: "%7Bu%7D", Name: "{u}", Type: Ephemeral}, Groups: []Group{{"one", d}, {"u", d}, {"us", d}}, GroupIDs: []string{"a", "b", "['a' 'b']"}}},
		"several addresses": {base(`{"user": {"name": "{0}", "email": "{2}"}}`), V1, Result{User: User{ID: "u", Name: "u", Type: Ephemeral, Email: who["G"][0]}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, test.rules, test.version, who, test.want)
		})
	}
	for _, wrong := range []string{"", "1", `[1]`, `[{"name":"n"}]`, `[{"roles":[]}]`, `[{"name":"","roles":[]}]`, `[{"name":"n","roles":[{"id":"r"}]}]`, `[{"name":"n","roles":[],"x":1}]`,
		"[" + strings.Repeat(`{"name":"n","roles":[]},`, maxItems) + `{"name":"n","roles":[]}]`} {
		r, err := Parse(json.RawMessage(base(`{"user": {"name": "{0}"}, "projects_json": "{1}"}`)), V3)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Apply(map[string][]string{"UserName": {"u"}, "G": {"g"}, "P": {wrong}}); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("projects %.60q are taken: %+v, %v", wrong, got, err)
		}
	}
}
