package oidc

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustFlatten(t *testing.T, text string) Claims {
	t.Helper()
	said, err := read([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := flatten(said)
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestFlatten(t *testing.T) {
	got := mustFlatten(t, `{"s":"a;b,c","n":1.50,"big":12345678901234567890,"yes":true,"no":false,"none":null,"empty":[],"list":["x",2,true,null,["y"]],
		"realm_access":{"roles":["r1","r2"]},"a":{"b":{"c":"deep"}},"a.b.c":"own","groups":[{"name":"g1"},{"name":"g2"}],"html":{"x":"<&>"}}`)
	want := Claims{"s": {"a;b,c"}, "n": {"1.50"}, "big": {"12345678901234567890"}, "yes": {"1"}, "no": {"0"}, "list": {"x", "2", "1", "y"},
		"realm_access": {`{"roles":["r1","r2"]}`}, "realm_access.roles": {"r1", "r2"}, "a": {`{"b":{"c":"deep"}}`}, "a.b.c": {"own"},
		"groups.name": {"g1", "g2"}, "html": {`{"x":"<&>"}`}, "html.x": {"<&>"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Nothing is cut: what is too much is refused as a whole.
func TestFlattenBounds(t *testing.T) {
	many := func(n int) string { return `{"g":[` + strings.TrimSuffix(strings.Repeat(`"x",`, n), ",") + `]}` }
	nested := func(n int) string { return strings.Repeat(`{"k":`, n) + `"v"` + strings.Repeat("}", n) }
	named := func(n int) string { return fmt.Sprintf(`{"%s":"v"}`, strings.Repeat("n", n)) }
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"many": {many(maxValues), nil}, "too many": {many(maxValues + 1), errTooMuch},
		"deep": {nested(maxDepth), nil}, "too deep": {nested(maxDepth + 1), errTooMuch},
		"long": {named(maxName), nil}, "too long": {named(maxName + 1), errTooMuch},
	} {
		said, err := read([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := flatten(said); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	claims := Claims{"iss": {"https://idp.example/realms/cloud"}, "sub": {"u-1"}, "email": {"a@b"}, "realm_access.roles": {"r1", "r2"}, "https://x.example/role": {"admin"}}
	want := map[string][]string{"REMOTE_USER": {"u-1@idp.example/realms/cloud"}}
	for names, values := range map[string][]string{
		"OIDC-iss OIDC_CLAIM_iss HTTP_OIDC_ISS HTTP_OIDC_CLAIM_ISS":                                                                             {"https://idp.example/realms/cloud"},
		"OIDC-sub OIDC_CLAIM_sub HTTP_OIDC_SUB HTTP_OIDC_CLAIM_SUB":                                                                             {"u-1"},
		"OIDC-email OIDC_CLAIM_email HTTP_OIDC_EMAIL HTTP_OIDC_CLAIM_EMAIL":                                                                     {"a@b"},
		"OIDC-realm_access.roles OIDC_CLAIM_realm_access.roles HTTP_OIDC_REALM_ACCESS_ROLES HTTP_OIDC_CLAIM_REALM_ACCESS_ROLES":                 {"r1", "r2"},
		"OIDC-https---x.example-role OIDC_CLAIM_https---x.example-role HTTP_OIDC_HTTPS___X_EXAMPLE_ROLE HTTP_OIDC_CLAIM_HTTPS___X_EXAMPLE_ROLE": {"admin"},
	} {
		for name := range strings.FieldsSeq(names) {
			want[name] = values
		}
	}
	if diff := cmp.Diff(want, claims.Environment()); diff != "" {
		t.Error(diff)
	}
}

// No claim passes for another one, whose name looks the same in a variable.
func TestNamesThatLookAlike(t *testing.T) {
	got := Claims{"groups": {"mine"}, "Groups": {"x"}, "GROUPS": {"x"}, "a_b": {"mine"}, "a.b": {"x"}, "a-b": {"x"}, "claim_role": {"x"}, "x:y": {"x"}, "x-y": {"mine"}}.Environment()
	for name, want := range map[string][]string{"HTTP_OIDC_GROUPS": {"mine"}, "HTTP_OIDC_CLAIM_GROUPS": {"mine"}, "OIDC-groups": {"mine"}, "OIDC-Groups": {"x"},
		"HTTP_OIDC_A_B": {"mine"}, "OIDC-x-y": {"mine"}, "HTTP_OIDC_CLAIM_ROLE": nil, "OIDC-claim_role": {"x"}, "HTTP_OIDC_CLAIM_CLAIM_ROLE": {"x"}, "REMOTE_USER": nil} {
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, c := range []Claims{{"sub": {"a", "b"}, "iss": {"i"}}, {"sub": {"a"}}, {"iss": {"i"}}} {
		if user := c.Environment()["REMOTE_USER"]; user != nil {
			t.Errorf("%v is %v", c, user)
		}
	}
}

func FuzzFlatten(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,"x",{"b":null}]}`, `{"a":{"b":{"c":[true]}},"a.b":"x"}`, `{"sub":"u","iss":"https://i"}`, `[]`, `null`, `{"":{"":""}}`, `{"a":1}{`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		said, err := read(body)
		if err != nil {
			return
		}
		claims, err := flatten(said)
		if err != nil {
			if !errors.Is(err, errTooMuch) {
				t.Error(err)
			}
			return
		}
		again, err := flatten(said)
		if diff := cmp.Diff(claims, again); err != nil || diff != "" {
			t.Errorf("told differently: %v %s", err, diff)
		}
		count := 0
		for _, values := range claims {
			count += len(values)
		}
		if count > maxValues+len(said) {
			t.Errorf("%d values", count)
		}
		for name, value := range said {
			if s, ok := value.(string); ok && !slices.Equal(claims[name], []string{s}) {
				t.Errorf("%q is %q, not %q", name, claims[name], s)
			}
		}
		env := claims.Environment()
		for name := range claims {
			for _, prefix := range []string{prefixDefault, prefixKeystone} {
				if env[prefix+headerName(name)] == nil {
					t.Errorf("%q is missing among %v", name, slices.Sorted(maps.Keys(env)))
				}
			}
		}
	})
}
