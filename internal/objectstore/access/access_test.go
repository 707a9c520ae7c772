package access

import (
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/policy"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"bob, sue":           "bob,sue",
		"bob , sue":          "bob,sue",
		"bob,,,sue":          "bob,sue",
		".referrer : *":      ".r:*",
		".ref:*.example.com": ".r:.example.com",
		".r:*, .rlistings":   ".r:*,.rlistings",
		".r: - .thief.com":   ".r:-.thief.com",
		"p:u, *:*":           "p:u,*:*",
		"":                   "",
	} {
		if got, err := Clean(in, false); err != nil || got != want {
			t.Errorf("Clean(%q): %q, %v; want %q", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		".r:":    "No host/domain value after referrer designation in ACL: '.r:'",
		".r:-":   "No host/domain value after referrer designation in ACL: '.r:-'",
		".r:*.":  "No host/domain value after referrer designation in ACL: '.r:*.'",
		".x:foo": "Unknown designator '.x' in ACL: '.x:foo'",
	} {
		if _, err := Clean(in, false); err == nil || err.Error() != want {
			t.Errorf("Clean(%q): %v, want %s", in, err, want)
		}
	}
	if _, err := Clean(".r:*", true); err == nil || err.Error() != "Referrers not allowed in write ACL: '.r:*'" {
		t.Errorf("a referrer may write: %v", err)
	}
}

func TestReferrer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		list, referer string
		want          bool
	}{
		{"", "http://a.example.com/x", false},
		{".r:*", "", true},
		{".r:*", "http://anything", true},
		{".r:.example.com", "http://www.example.com:8080/index.html", true},
		{".r:.example.com", "http://example.com/", false},
		{".r:www.example.com", "http://www.example.com/", true},
		{".r:*,.r:-.thief.com", "http://www.thief.com/", false},
		{".r:*,.r:-.thief.com", "http://honest.com/", true},
		{".r:*,.r:.example.com,.r:-thief.example.com", "http://thief.example.com", false},
		{".r:-.thief.com,.r:*", "http://www.thief.com/", true},
		{".r:example.com", "not an address", false},
	} {
		if got := Parse(c.list).Referrer(c.referer); got != c.want {
			t.Errorf("%s lets %q in: %v", c.list, c.referer, got)
		}
	}
}

func settings() Settings {
	return Settings{Prefix: "AUTH_", ServicePrefix: "SERVICE_", OperatorRoles: []string{"member", "admin"}, ReaderRoles: []string{"reader"},
		ResellerAdmin: "ResellerAdmin", ServiceRoles: []string{"service"}, DefaultDomain: "default"}
}

func who(project string, roles ...string) *policy.Credentials {
	return &policy.Credentials{UserID: "u1", UserName: "ann", UserDomainID: "default", ProjectID: project, ProjectName: "name-" + project, ProjectDomainID: "default", Roles: roles}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	anonymous := &policy.Credentials{}
	foreign := who("other", "member")
	elsewhere := who("other", "member")
	elsewhere.UserDomainID = "d2"
	namesake := who("other", "member")
	namesake.Extra = map[string]any{identity.ExtraShadow: true}
	service := who("p", "member")
	service.ServiceRoles = []string{"Service"}
	object := func(method, list string) Ask {
		return Ask{Method: method, Account: "AUTH_p", Container: "c", Object: "o", List: list, AccountKnown: true}
	}
	container := func(method, list string) Ask {
		return Ask{Method: method, Account: "AUTH_p", Container: "c", List: list, AccountKnown: true}
	}
	listed := func(method, list string) Ask {
		return Ask{Method: method, Account: "AUTH_p", Container: "c", Object: "o", AccountKnown: true, AccountList: list}
	}
	for name, c := range map[string]struct {
		who  *policy.Credentials
		ask  Ask
		want string
	}{
		"operator writes":                     {who("p", "member"), object("PUT", ""), "owner"},
		"role in any case":                    {who("p", "MEMBER"), object("PUT", ""), "owner"},
		"reader reads":                        {who("p", "reader"), object("GET", ""), "yes"},
		"reader does not write":               {who("p", "reader"), object("PUT", ""), "no"},
		"no role":                             {who("p", "other"), object("GET", ""), "no"},
		"role in list":                        {who("p", "other"), object("GET", "Other"), "yes"},
		"foreign operator":                    {foreign, object("GET", ""), "no"},
		"foreign admin is not a reseller":     {who("other", "admin"), object("GET", ""), "no"},
		"reseller":                            {who("other", "reselleradmin"), Ask{Method: "DELETE", Account: "AUTH_p"}, "reseller"},
		"own account is not deleted":          {who("p", "member"), Ask{Method: "DELETE", Account: "AUTH_p"}, "no"},
		"by ids":                              {foreign, object("GET", "other:u1"), "yes"},
		"by project":                          {foreign, object("GET", "other:*"), "yes"},
		"by user":                             {foreign, object("GET", "*:u1"), "yes"},
		"everybody with a token":              {foreign, object("PUT", "*:*"), "yes"},
		"everybody needs a token":             {anonymous, object("GET", "*:*"), "no"},
		"by names":                            {foreign, object("GET", "name-other:ann"), "yes"},
		"names of other domains do not count": {elsewhere, object("GET", "name-other:ann"), "no"},
		"names of shadows do not count":       {namesake, object("GET", "name-other:ann"), "no"},
		"a shadow by its id":                  {namesake, object("GET", "other:u1"), "yes"},
		"account list: names of shadows":      {namesake, listed("GET", `{"admin":["ann"]}`), "no"},
		"bare project does not count":         {foreign, object("GET", "other"), "no"},
		"role of a foreign project":           {foreign, object("GET", "member"), "no"},
		"referrer reads":                      {anonymous, object("GET", ".r:*"), "yes"},
		"referrer does not list":              {anonymous, container("GET", ".r:*"), "no"},
		"referrer lists":                      {anonymous, container("GET", ".r:*,.rlistings"), "yes"},
		"foreign referrer lists":              {foreign, container("GET", ".r:*,.rlistings"), "yes"},
		"foreign referrer does not list":      {foreign, container("GET", ".r:*"), "no"},
		"owner lists whatever the list says":  {who("p", "member"), container("GET", ".r:*"), "owner"},
		"anonymous in an unknown account":     {anonymous, Ask{Method: "GET", Account: "X_p", Container: "c", Object: "o", List: ".r:*"}, "no"},
		"service account without service":     {who("p", "member"), Ask{Method: "GET", Account: "SERVICE_p"}, "no"},
		"service account with service":        {service, Ask{Method: "GET", Account: "SERVICE_p"}, "owner"},
		"account list: reads":                 {foreign, listed("GET", `{"read-only":["u1"]}`), "yes"},
		"account list: reads only":            {foreign, listed("PUT", `{"read-only":["u1"]}`), "no"},
		"account list: writes":                {foreign, listed("PUT", `{"read-write":["other:u1"]}`), "yes"},
		"account list: owns":                  {foreign, listed("PUT", `{"admin":["other"]}`), "owner"},
		"account list: somebody else":         {foreign, listed("GET", `{"admin":["u2"]}`), "no"},
	} {
		g := settings().Decide(c.who, c.ask)
		got := "no"
		switch {
		case g.Reseller:
			got = "reseller"
		case g.Owner:
			got = "owner"
		case g.Allowed:
			got = "yes"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestNamesNeedAnAccountOfTheDefaultDomain(t *testing.T) {
	t.Parallel()
	ask := Ask{Method: "GET", Account: "AUTH_p", Container: "c", Object: "o", List: "name-other:ann"}
	if settings().Decide(who("other"), ask).Allowed {
		t.Error("a name counts though nobody knows the account")
	}
	ask.AccountKnown, ask.AccountDomain = true, "d2"
	if settings().Decide(who("other"), ask).Allowed {
		t.Error("a name counts in an account of another domain")
	}
}

func TestCleanAccount(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":   "",
		"{}": "",
		`{"read-write": ["b","a"], "admin": ["é😀"]}`: `{"admin":["\u00e9\ud83d\ude00"],"read-write":["b","a"]}`,
	} {
		if got, err := CleanAccount(in); err != nil || got != want {
			t.Errorf("CleanAccount(%s): %s, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{
		`{"x":[]}`:      "Key 'x' not recognized",
		`{"admin":"a"}`: "Value for key 'admin' must be a list",
		`[]`:            "Syntax error in '[]'",
		`{"admin"`:      `Syntax error in '{"admin"'`,
	} {
		if _, err := CleanAccount(in); err == nil || err.Error() != want {
			t.Errorf("CleanAccount(%s): %v", in, err)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add(".r:*,.rlistings, bob : sue", false)
	f.Add(".ref: - *.a", true)
	f.Fuzz(func(t *testing.T, text string, writing bool) {
		once, err := Clean(text, writing)
		if err != nil {
			return
		}
		if strings.Contains(once, ",,") {
			t.Fatalf("%q cleans to %q", text, once)
		}
		if writing && strings.Contains(once, ".r:") && len(Parse(once).Referrers) > 0 {
			t.Fatalf("%q lets referrers write", text)
		}
		settings().Decide(&policy.Credentials{}, Ask{Method: "GET", Account: "AUTH_p", Container: "c", Object: "o", List: once, Referer: text})
	})
}

func FuzzAccountList(f *testing.F) {
	f.Add(`{"admin":["a"],"read-only":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		clean, err := CleanAccount(text)
		if err != nil || clean == "" {
			return
		}
		for i := range len(clean) {
			if clean[i] > 127 {
				t.Fatalf("%q is no header", clean)
			}
		}
		if again, err := CleanAccount(clean); err != nil || again != clean {
			t.Fatalf("%q cleans to %q, then to %q, %v", text, clean, again, err)
		}
	})
}
