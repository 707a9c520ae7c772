package mapping

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/fault"
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	rule := func(local, remote string) string { return `[{"local": [` + local + `], "remote": [` + remote + `]}]` }
	user := `{"user": {"name": "{0}"}}`
	local := func(l string) string { return rule(l, `{"type": "a"}`) }
	remote := func(r string) string { return rule(user, `{"type": "a"}, `+r) }
	for _, test := range []struct{ rules, version, say string }{
		{local(user), "4.0", "'4.0' is not one of 1.0, 2.0, 3.0"},
		{`{}`, V1, "rules: is not of type 'array'"},
		{`null`, V1, "rules: is not of type 'array'"},
		{`[`, V1, "rules: is not of type 'array'"},
		{``, V1, "rules: is not of type 'array'"},
		{`[]`, V1, "at least one rule"},
		{"[\"\xff\"]", V1, "rules are not UTF-8"},
		{`[1]`, V1, "rules[0]: is not of type 'object'"},
		{`[{"local": []}]`, V1, "'remote' is a required property"},
		{`[{"remote": [{"type": "a"}]}]`, V1, "'local' is a required property"},
		{`[{"Local": [], "local": [], "remote": [{"type": "a"}]}]`, V1, "('Local' was unexpected)"},
		{rule(user, ``), V1, "rules[0].remote: is too short"},
		{rule(user, `{}`), V1, "'type' is a required property"},
		{remote(`{"type": null}`), V1, "remote[1].type: is not of type 'string'"},
		{remote(`{"type": "b", "any_one_of": "c"}`), V1, "any_one_of: is not of type 'array'"},
		{remote(`{"type": "b", "any_one_of": [1]}`), V1, "any_one_of[0]: is not of type 'string'"},
		{remote(`{"type": "b", "bad_requirement": []}`), V1, "('bad_requirement' was unexpected)"},
		{remote(`{"type": "b", "blacklist": [], "whitelist": []}`), V1, "'blacklist' and 'whitelist' exclude each other"},
		{remote(`{"type": "b", "regex": true}`), V1, "'regex' is for values"},
		{remote(`{"type": "b", "any_one_of": [], "regex": "true"}`), V1, "regex: is not of type 'boolean'"},
		{remote(`{"type": "b", "any_one_of": ["(?=x)"], "regex": true}`), V1, "any_one_of[0]: '(?=x)' is not a regular expression this cloud knows (RE2 syntax"},
		{remote(`{"type": "b", "any_one_of": ["(a)\\1"], "regex": true}`), V1, "is not a regular expression"},
		{remote(`{"type": "b", "any_one_of": ["[a-z]{1000}.{1000}[a-z]{900}[a-z]{900}"], "regex": true}`), V1, "too large"},
		{remote(`{"type": "b", "any_one_of": ["(a{30}){30}", "x", "((bcdefghij){30}){30}"], "regex": true}`), V1, "too large"},
		{remote(`{"type": "b", "any_one_of": [` + strings.Repeat(`"a{500}",`, 20) + strings.Repeat(`"b{500}",`, 20) + `"c"], "regex": true}`), V1, "too large"},
		{local(`{"whatisthis": "local"}`), V1, "('whatisthis' was unexpected)"},
		{local(`{"user": "name"}`), V1, "user: is not of type 'object'"},
		{local(`{"user": {"name": "{0}", "groups": "x"}}`), V1, "('groups' was unexpected)"},
		{local(`{"user": {"name": 1}}`), V1, "user.name: is not of type 'string'"},
		{local(`{"user": {"name": "{0}", "type": "remote"}}`), V1, "'remote' is not one of ['ephemeral', 'local']"},
		{local(`{"user": {"domain": {"id": "d", "bad": "x"}}}`), V1, "('bad' was unexpected)"},
		{local(`{"user": {"domain": null}}`), V1, "user.domain: is not of type 'object'"},
		{local(`{"group": {}}`), V1, "'name' is a required property"},
		{local(`{"group": {"name": "n"}}`), V1, "'domain' is a required property"},
		{local(`{"group": {"name": "n", "domain": {}}}`), V1, "'id' or 'name' is required"},
		{local(`{"group": {"id": "i", "domain": {"id": "d"}}}`), V1, "('domain' was unexpected)"},
		{local(`{"groups": ["a"]}`), V1, "groups: is not of type 'string'"},
		{local(`{"projects": "{0}"}`), V1, "projects: is not of type 'array'"},
		{local(`{"projects": [{"name": "p"}]}`), V1, "'roles' is a required property"},
		{local(`{"projects": [{"roles": []}]}`), V1, "'name' is a required property"},
		{local(`{"projects": [{"name": "p", "roles": [{}]}]}`), V1, "roles[0]: 'name' is a required property"},
		{local(`{"projects": [{"name": "p", "roles": [], "domain": {"id": "d"}}]}`), V1, "('domain' was unexpected)"},
		{local(`{"projects_json": "{0}"}`), V2, "('projects_json' was unexpected)"},
		{local(`{"projects_json": "x{0}"}`), V3, "a single reference"},
		{local(`{"projects_json": ""}`), V3, "a single reference"},
		{local(`{"projects_json": "{1}"}`), V3, "refers to remote value 1, but the rule has 1"},
		{local(`{"user": {"name": "{1}"}}`), V1, "user.name: refers to remote value 1, but the rule has 1"},
		{rule(user, `{"type": "a", "any_one_of": ["b"]}`), V1, "refers to remote value 0, but the rule has 0"},
		{local(`{"groups": "['{1}']"}`), V1, "refers to remote value 1"},
		{local(`{"user": {"name": "{0.__class__}"}}`), V1, "only '{0}', '{1}' and so on"},
		{local(`{"user": {"name": "{0[1]}"}}`), V1, "only '{0}', '{1}' and so on"},
		{local(`{"user": {"name": "{-0}"}}`), V1, "only '{0}', '{1}' and so on"},
		{local(`{"user": {"name": "{99999999999999999999}"}}`), V1, "only '{0}', '{1}' and so on"},
		{local(`{"user": {"name": "{0"}}`), V1, "a single '{'"},
		{local(`{"user": {"name": "0}"}}`), V1, "a single '}'"},
		{rule(strings.Repeat(`{},`, maxItems)+`{}`, `{"type": "a"}`), V1, "local: has 257 items, more than the 256"},
		{`[` + strings.Repeat(`{},`, maxRules) + `{}]`, V1, "rules: has 257 items"},
		{local(`{"groups": "` + strings.Repeat("x", MaxBytes) + `"}`), V1, "longer than 65536 bytes"},
	} {
		_, err := Parse(json.RawMessage(test.rules), test.version)
		if f := fault.As(err); err == nil || f.Kind != fault.Invalid || !strings.Contains(f.Text, test.say) {
			t.Errorf("%.100s by %s: got %v, want %s", test.rules, test.version, err, test.say)
		}
	}
}

// FuzzParse: whatever is accepted can be applied without a panic and in bounds.
func FuzzParse(f *testing.F) {
	for _, rules := range []string{small, large, notDeveloper, groupNames, userIDs, ownDomains, projects, with(filtered, "whitelist", `["a"]`), with(pattern, "blacklist", `["^a.*"]`), `[{"local":[{"projects_json":"0"}],"remote":[{"type":"P"}]}]`} {
		for _, version := range []string{V1, V2, V3} {
			f.Add([]byte(rules), version)
		}
	}
	f.Fuzz(func(t *testing.T, rules []byte, version string) {
		r, err := Parse(rules, version)
		if err != nil {
			if f := fault.As(err); f.Kind != fault.Invalid || len(f.Text) > 4096 {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, who := range []map[string][]string{employee, manyGroups, admin, {"P": {`[{"name":"n","roles":[]}]`}}, nil} {
			sane(t, r, who)
		}
	})
}

// FuzzApply: somebody who chooses values of claims is refused, or gets exactly
// what the rules let values decide.
func FuzzApply(f *testing.F) {
	f.Add("tbo", "Developer", `JSON:{"name":"g","domain":{"id":"d"}}`, `[{"name":"p","roles":[{"name":"r"}]}]`)
	f.Add("a;b", "['a']", "JSON:{}", `{"name":"p","roles":[]}`)
	f.Add("{0}", "{{", "JSON:", "")
	text := `[{"local": [{"user": {"name": "{0}"}, "domain": {"id": "d"}, "groups": "{1}"}, {"projects_json": "{3}"}, {"groups": "{2}", "domain": {"id": "e"}}],
		"remote": [{"type": "U"}, {"type": "G"}, {"type": "J"}, {"type": "P"}]}]`
	plain, err := Parse(json.RawMessage(with(filtered, "blacklist", `["root"]`)), V1)
	if err != nil {
		f.Fatal(err)
	}
	rich, err := Parse(json.RawMessage(text), V3)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, user, one, two, projects string) {
		sane(t, rich, map[string][]string{"U": {user}, "G": {one}, "J": {one, two}, "P": {projects}})
		got, ok := sane(t, plain, map[string][]string{"UserName": {user}, "orgPersonType": {one, two}})
		if !ok {
			return
		}
		if got.User.Name != user || len(got.Projects)+len(got.GroupIDs) > 0 {
			t.Fatalf("%q became %+v", user, got)
		}
		for _, g := range got.Groups {
			if g.Domain.ID != "5abc43" || g.Name == "root" || g.Name != one && g.Name != two {
				t.Fatalf("%q and %q became %+v", one, two, g)
			}
		}
	})
}

// sane applies rules and checks what is true of every result.
func sane(t *testing.T, r *Rules, who map[string][]string) (Result, bool) {
	t.Helper()
	got, err := r.Apply(who)
	if err != nil {
		if !fault.Is(err, fault.Unauthenticated) {
			t.Fatalf("%v", err)
		}
		return got, false
	}
	u := got.User
	switch {
	case u.Type == Ephemeral && (u.ID == "" || u.Name == ""), u.Type == Local && u.ID == "" && (u.Name == "" || u.Domain == Domain{}), u.Type == "",
		len(got.GroupIDs)+len(got.Groups) > maxValues, len(got.Projects) > maxItems:
		t.Fatalf("%+v", got)
	}
	for _, g := range got.Groups {
		if g.Name == "" || g.Domain == (Domain{}) {
			t.Fatalf("group %+v", g)
		}
	}
	for _, p := range got.Projects {
		if p.Name == "" {
			t.Fatalf("project %+v", p)
		}
	}
	return got, true
}
