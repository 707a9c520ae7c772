package policy

import (
	"strings"
	"testing"
)

func TestParseShapes(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", "@"},
		{"  ", "@"},
		{"@", "@"},
		{"!", "!"},
		{"role:admin", "role:admin"},
		{"rule:identity:get_user", "rule:identity:get_user"},
		{"a:1 or b:2 and c:3", "(a:1 or (b:2 and c:3))"},
		{"a:1 and b:2 or c:3", "((a:1 and b:2) or c:3)"},
		{"a:1 OR b:2 And not c:3", "(a:1 or (b:2 and not c:3))"},
		{"not a:1 and b:2", "(not a:1 and b:2)"},
		{"not (a:1 or b:2)", "not (a:1 or b:2)"},
		{"not not a:1", "not not a:1"},
		{"((a:1))", "a:1"},
		{"(a:1 or b:2) and ( c:3 )", "((a:1 or b:2) and c:3)"},
		{"a:1\n  or b:2", "(a:1 or b:2)"},
		{"project_id:%(project_id)s)", ""},
		{"(user_id:%(target.user.id)s and role:x)", "(user_id:%(target.user.id)s and role:x)"},
		{"http://policy.example/%(project_id)s", "http://policy.example/%(project_id)s"},
		{"None:%(target.role.domain_id)s", "None:%(target.role.domain_id)s"},
		{`"admin":%(role.name)s`, `"admin":%(role.name)s`},
	} {
		c, err := parse(tc.in)
		if tc.want == "" {
			if err == nil {
				t.Errorf("%q: parsed as %s, want an error", tc.in, c)
			}
			continue
		}
		if err != nil || c.String() != tc.want {
			t.Errorf("%q: got %v, %v, want %s", tc.in, c, err, tc.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{"admin", "a:1 b:2", "and", "a:1 and", "or a:1", "not", "(a:1", "a:1)", "()", "'a' or b:1", "a:%(x)d", "a:%", "a:%()s",
		"field:networks", "field:networks:shared", "field:p:o=~(", strings.Repeat("(", 5000) + "a:1" + strings.Repeat(")", 5000), strings.Repeat("not ", 5000) + "a:1"} {
		if c, err := parse(in); err == nil {
			t.Errorf("%.40q parsed as %s", in, c)
		}
	}
}

func TestParseLists(t *testing.T) {
	for _, tc := range []struct {
		in   []any
		want string
	}{
		{nil, "@"},
		{[]any{"role:a"}, "role:a"},
		{[]any{[]any{"role:a", "role:b"}, "role:c"}, "((role:a and role:b) or role:c)"},
		{[]any{[]any{}}, "!"},
		{[]any{[]any{"@"}}, "@"},
	} {
		c, err := parseLists(tc.in)
		if err != nil || c.String() != tc.want {
			t.Errorf("%v: got %v, %v, want %s", tc.in, c, err, tc.want)
		}
	}
	for _, in := range [][]any{{1}, {[]any{true}}, {"nothing"}} {
		if c, err := parseLists(in); err == nil {
			t.Errorf("%v parsed as %s", in, c)
		}
	}
}

// What parses prints as a text that parses to the same, and never decides for a
// caller without any attribute unless it says so.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "@", "!", "role:admin or is_admin:1", "(role:a and not project_id:%(project_id)s) or 'x':%(y)s", "field:networks:shared=True",
		"rule:a:b or http://h/%(x)s", "not (a:1 or b:2)", "1.5:%(n)s", "field:port:device_owner=~^network:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse(text)
		if err != nil {
			return
		}
		again, err := parse(c.String())
		if err != nil || again.String() != c.String() {
			t.Fatalf("%q prints as %q, which parses as %v, %v", text, c, again, err)
		}
		q := &question{creds: &Credentials{Roles: []string{"admin"}}, target: Target{"x": 1}, rules: &ruleSet{}}
		if c.allows(q) != again.allows(q) {
			t.Fatalf("%q and %q decide differently", text, c)
		}
	})
}

func FuzzFile(f *testing.F) {
	for _, seed := range []string{`{"a": "role:b"}`, "a: role:b\n# comment\n\"c:d\": [[\"role:x\", \"role:y\"], [\"role:z\"]]\n", "a: null", "- a", "a: &x [*x]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		overrides, err := parseFile(raw)
		if err != nil {
			return
		}
		e, err := New(Base())
		if err != nil {
			t.Fatal(err)
		}
		if e.override(overrides) == nil {
			for name := range overrides {
				e.Allow(name, &Credentials{}, nil)
			}
		}
	})
}
