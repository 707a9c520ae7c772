package identityapi

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/identity"
	signon "github.com/mekcloud/mek/internal/identity/federation"
	"github.com/mekcloud/mek/internal/identity/oidc"
	"github.com/mekcloud/mek/internal/identity/oidc/oidctest"
	"github.com/mekcloud/mek/internal/identity/passwords"
	"github.com/mekcloud/mek/internal/identity/saml/samltest"
)

const (
	dashboard = "https://dashboard.example/auth/websso/"
	openID    = "/identity_providers/acme/protocols/openid"
	samlTwo   = "/identity_providers/corp/protocols/saml2"
)

// federatedCloud is a Keystone that speaks with two identity providers.
type federatedCloud struct {
	*keystone
	openID *oidctest.Provider
	corp   *samltest.Provider
	group  string // "staff" in domain Default, a member of project demo
}

// known answers under an address that is known before the service is made.
func known(t *testing.T) (address string, use func(http.Handler)) {
	t.Helper()
	var inner http.Handler
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.ServeHTTP(w, r) }))
	t.Cleanup(s.Close)
	return s.URL, func(h http.Handler) { inner = h }
}

// cloudOf is a Keystone with options of federation.
func cloudOf(t *testing.T, d *db.DB, c *clock.Fake, options func(address string) signon.Options, rules ...identity.Compliance) *keystone {
	t.Helper()
	address, use := known(t)
	k := &keystone{T: t, clock: c, db: d, url: address}
	var err error
	rules = append(rules, identity.Compliance{}) // none, unless there are some
	k.service, err = New(context.Background(), Deps{DB: d, Clock: c, Sealer: sealer(t), PasswordCost: passwords.Cost{MemoryKiB: 64, Passes: 1}, Compliance: rules[0], Logins: &k.line, Federation: options(address), Shared: d.Engine() == db.Postgres})
	k.must(err)
	k.must(k.service.Bootstrap(context.Background(), testSeeds))
	k.server = front(t, k.service, c)
	use(k.server)
	k.admin = k.login("admin", "admin-pw", onProject("admin"))
	return k
}

func federate(t *testing.T, d *db.DB, rules ...identity.Compliance) *federatedCloud {
	t.Helper()
	c := clock.NewFake(time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
	f := &federatedCloud{openID: oidctest.Start(t, c),
		corp: samltest.Start(t, c, samltest.User{Name: "carol@corp", Password: "carol-pw", Attributes: map[string][]string{"mail": {"carol@corp.example"}, "memberOf": {"staff", "x;admins"}}})}
	f.openID.AddClient(oidctest.Client{ID: "mek", Secret: "mek-secret"})
	f.openID.AddUser(oidctest.User{Name: "dora", Password: "dora-pw", Claims: map[string]any{"sub": "d-1", "email": "dora@acme.example", "groups": []string{"staff"}}})
	f.openID.AddUser(oidctest.User{Name: "mallory", Password: "mallory-pw", Claims: map[string]any{"sub": "m-1", "email": "m@acme.example", "groups": []string{"guests"}}})
	f.openID.Misbehave(oidctest.Faults{Rich: true})
	file := filepath.Join(t.TempDir(), "corp.xml")
	metadata, err := f.corp.Metadata()
	if err == nil {
		err = os.WriteFile(file, metadata, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.keystone = cloudOf(t, d, c, func(address string) signon.Options {
		return signon.Options{PublicURL: address, TrustedDashboards: []string{dashboard}, Providers: []signon.Provider{
			{ProviderID: "acme", ProtocolID: "openid", OIDC: &oidc.Config{Issuer: f.openID.Issuer, ClientID: "mek", ClientSecret: "mek-secret", Clock: c}},
			{ProviderID: "corp", ProtocolID: "saml2", Metadata: file}}}
	}, rules...)
	f.group = f.make("group", "groups", obj{"name": "staff", "domain_id": "default"})
	demo := f.do(f.admin, "GET", "/v3/projects?name=demo", nil).text("projects.0.id")
	f.do(f.admin, "PUT", "/v3/projects/"+demo+"/groups/"+f.group+"/roles/"+f.role("member"), nil).expect(204)
	local := []obj{{"user": obj{"name": "{0}", "email": "{1}"}}, {"groups": "{2}", "domain": obj{"name": "Default"}}}
	f.rules("openid-rules", local, obj{"type": "OIDC-sub"}, obj{"type": "HTTP_OIDC_EMAIL"}, obj{"type": "OIDC-groups", "whitelist": []string{"staff", "admins"}})
	f.rules("saml-rules", local, obj{"type": "REMOTE_USER"}, obj{"type": "mail"}, obj{"type": "MELLON_memberOf", "whitelist": []string{"staff", "admins"}})
	f.put("identity_provider", "/identity_providers/acme", obj{"enabled": true, "remote_ids": []string{f.openID.Issuer}}).expect(201)
	f.put("identity_provider", "/identity_providers/corp", obj{"enabled": true, "remote_ids": []string{f.corp.EntityID()}}).expect(201)
	f.put("protocol", openID, obj{"mapping_id": "openid-rules"}).expect(201)
	f.put("protocol", samlTwo, obj{"mapping_id": "saml-rules"}).expect(201)
	return f
}

func (f *federatedCloud) rules(id string, local []obj, remote ...obj) {
	f.Helper()
	f.put("mapping", "/mappings/"+id, obj{"rules": []obj{{"local": local, "remote": remote}}}).expect(201)
}

// bearer logs in with an access token of the provider.
func (f *federatedCloud) bearer(user, client string) *answer {
	f.Helper()
	token, err := f.openID.AccessToken(user, client)
	f.must(err)
	return f.do("", "POST", federated+openID+"/auth", nil, "Authorization", "Bearer "+token)
}

func secretOf(a *answer) string { return a.header.Get("X-Subject-Token") }

// scoped takes a token to a project.
func (f *federatedCloud) scoped(token, project string) *answer {
	f.Helper()
	return f.auth(byToken(token), onProject(project))
}

func TestFederatedUserHasWhatHisGroupsHave(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := federate(t, d)
		a := f.bearer("dora", "mek").expect(201)
		a.same("token.methods", []any{"openid"}).same("token.user.name", "d-1").same("token.user.OS-FEDERATION.identity_provider.id", "acme").
			same("token.user.OS-FEDERATION.protocol.id", "openid").same("token.user.OS-FEDERATION.groups.0.id", f.group).same("token.roles", nil).
			same("token.user.password_expires_at", nil)
		domain := f.do(f.admin, "GET", federated+"/identity_providers/acme", nil).text("identity_provider.domain_id")
		a.same("token.user.domain.id", domain)
		user, token := a.text("token.user.id"), secretOf(a)
		if got := f.do(token, "GET", federated+"/projects", nil).expect(200).all("projects", "name"); !slices.Equal(got, []string{"demo"}) {
			t.Errorf("projects %v", got)
		}
		f.scoped(token, "admin").expect(401)
		on := f.scoped(token, "demo").expect(201)
		on.same("token.methods", []any{"token", "openid"}).same("token.user.OS-FEDERATION.groups.0.id", f.group)
		if roles := on.all("token.roles", "name"); !slices.Equal(roles, []string{"member", "reader"}) {
			t.Errorf("roles %v", roles)
		}
		f.do(secretOf(on), "GET", "/v3/auth/tokens", nil, "X-Subject-Token", secretOf(on)).expect(200).same("token.user.OS-FEDERATION.protocol.id", "openid")
		// Older clients take the token to a scope by the name of the method.
		f.auth(obj{"methods": []string{"saml2"}, "saml2": obj{"id": token}}, onProject("demo")).expect(201)
		f.auth(obj{"methods": []string{"mapped"}, "mapped": obj{"id": f.admin}}, onProject("admin")).expect(401)
		f.do(f.admin, "GET", "/v3/users/"+user, nil).expect(200).same("user.email", "dora@acme.example").same("user.domain_id", domain).
			same("user.federated.0.idp_id", "acme").same("user.federated.0.protocols.0.protocol_id", "openid").same("user.federated.0.protocols.0.unique_id", "d-1")
		if again := f.bearer("dora", "mek").expect(201).text("token.user.id"); again != user {
			t.Errorf("the second login is of %s, the first of %s", again, user)
		}
		for query, want := range map[string]int{"idp_id=acme": 1, "idp_id=acme&unique_id=d-1": 1, "protocol_id=openid&unique_id=no": 0, "idp_id=corp": 0} {
			if n := len(f.do(f.admin, "GET", "/v3/users?"+query, nil).expect(200).all("users", "id")); n != want {
				t.Errorf("%s finds %d users, want %d", query, n, want)
			}
		}
		// Whom no rule puts into a group has no role anywhere.
		other := f.bearer("mallory", "mek").expect(201)
		f.scoped(secretOf(other), "demo").expect(401)
		if got := f.do(secretOf(other), "GET", "/v3/auth/projects", nil).expect(200).all("projects", "name"); len(got) != 0 {
			t.Errorf("projects %v of somebody without groups", got)
		}
	})
}

func TestFederatedTokensEnd(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := federate(t, d)
		enabled := func(on bool) {
			t.Helper()
			f.do(f.admin, "PATCH", federated+"/identity_providers/acme", obj{"identity_provider": obj{"enabled": on}}).expect(200)
		}
		token := secretOf(f.bearer("dora", "mek").expect(201))
		on := secretOf(f.scoped(token, "demo").expect(201))
		enabled(false)
		if f.alive(token) || f.alive(on) {
			t.Error("a token outlives its provider")
		}
		f.bearer("dora", "mek").expect(403)
		enabled(true)
		if f.alive(token) || f.alive(on) {
			t.Error("what was ended lives again")
		}
		token = secretOf(f.bearer("dora", "mek").expect(201))
		on = secretOf(f.scoped(token, "demo").expect(201))
		f.do(f.admin, "DELETE", "/v3/groups/"+f.group, nil).expect(204)
		if f.alive(on) || !f.alive(token) {
			t.Error("a role outlives the group that gave it, or ends more than itself")
		}
		f.do(f.admin, "DELETE", federated+openID, nil).expect(204)
		if f.alive(token) {
			t.Error("a token outlives its protocol")
		}
		f.bearer("dora", "mek").expect(404)
		f.do("", "POST", federated+"/identity_providers/none/protocols/openid/auth", nil).expect(404)
	})
}

func TestWhoIsNotLetIn(t *testing.T) {
	f := federate(t, dbtest.SQLite(t))
	f.openID.AddClient(oidctest.Client{ID: "other", Secret: "x"})
	f.bearer("dora", "other").expect(401)
	f.openID.Misbehave(oidctest.Faults{Rich: true, Lifetime: -time.Minute})
	f.bearer("dora", "mek").expect(401)
	f.openID.Misbehave(oidctest.Faults{Rich: true})
	for _, headers := range [][]string{{}, {"Authorization", "Bearer "}, {"Authorization", "Bearer x.y.z"}, {"Authorization", "Basic eDp5"}} {
		f.do("", "GET", federated+openID+"/auth", nil, headers...).expect(401)
	}
	// A provider that the cloud knows by another name.
	f.do(f.admin, "PATCH", federated+"/identity_providers/acme", obj{"identity_provider": obj{"remote_ids": []string{"https://elsewhere.example"}}}).expect(200)
	f.bearer("dora", "mek").expect(403)
	f.do(f.admin, "PATCH", federated+"/identity_providers/acme", obj{"identity_provider": obj{"remote_ids": []string{}}}).expect(200)
	f.bearer("dora", "mek").expect(201)
	// A mapping for which nobody is.
	f.rules("nobody", []obj{{"user": obj{"name": "{0}"}}}, obj{"type": "OIDC-sub"}, obj{"type": "OIDC-groups", "any_one_of": []string{"admins"}})
	f.do(f.admin, "PATCH", federated+openID, obj{"protocol": obj{"mapping_id": "nobody"}}).expect(200)
	f.bearer("dora", "mek").expect(401)
	f.do(f.admin, "DELETE", federated+"/mappings/nobody", nil).expect(204)
	f.bearer("dora", "mek").expect(401)
	// A provider of the API that the operator has not set up.
	f.put("identity_provider", "/identity_providers/later", obj{"enabled": true}).expect(201)
	f.put("protocol", "/identity_providers/later/protocols/openid", obj{"mapping_id": "openid-rules"}).expect(201)
	f.do("", "POST", federated+"/identity_providers/later/protocols/openid/auth", nil, "Authorization", "Bearer x").expect(401)
}

func TestMappingsMakeProjectsAndLocalUsers(t *testing.T) {
	f := federate(t, dbtest.SQLite(t))
	use := func(version string, local []obj, remote ...obj) {
		t.Helper()
		body := obj{"rules": []obj{{"local": local, "remote": remote}}, "schema_version": version}
		f.do(f.admin, "PATCH", federated+"/mappings/openid-rules", obj{"mapping": body}).expect(200)
	}
	sub := obj{"type": "OIDC-sub"}
	roles := func(names ...string) []obj {
		var out []obj
		for _, n := range names {
			out = append(out, obj{"name": n})
		}
		return out
	}
	use("2.0", []obj{{"user": obj{"name": "{0}"}, "projects": []obj{{"name": "home of {0}", "roles": roles("member")}}}}, sub)
	a := f.bearer("dora", "mek").expect(201)
	domain, user := a.text("token.user.domain.id"), a.text("token.user.id")
	there := func(name string) *answer {
		return f.auth(byToken(secretOf(a)), obj{"project": obj{"name": name, "domain": obj{"id": domain}}})
	}
	there("home of d-1").expect(201)
	use("3.0", []obj{{"user": obj{"name": "{0}"}, "projects": []obj{{"name": "office", "roles": roles("reader"), "domain": obj{"id": domain}}}}}, sub)
	f.bearer("dora", "mek").expect(201)
	there("office").expect(201)
	there("home of d-1").expect(401) // taken away: the provider says nothing of it any more
	use("2.0", []obj{{"user": obj{"name": "{0}"}, "projects": []obj{{"name": "lab", "roles": roles("no such role")}}}}, sub)
	f.bearer("dora", "mek").expect(401)
	if left := f.do(f.admin, "GET", "/v3/projects?name=lab", nil).all("projects", "id"); len(left) != 0 {
		t.Error("a project was made for a login that was refused")
	}
	// A user of this cloud, with all that he has here.
	use("1.0", []obj{{"user": obj{"name": "demo", "domain": obj{"id": "default"}, "type": "local"}}}, sub)
	as := f.bearer("dora", "mek").expect(201)
	as.same("token.user.name", "demo").same("token.user.OS-FEDERATION", nil)
	f.scoped(secretOf(as), "demo").expect(201)
	use("1.0", []obj{{"user": obj{"name": "nobody", "domain": obj{"id": "default"}, "type": "local"}}}, sub)
	f.bearer("dora", "mek").expect(401)
	// A shadow shares his name with a local user, and is not taken for him.
	use("1.0", []obj{{"user": obj{"name": "demo", "id": "s-{0}", "domain": obj{"id": "default"}}}}, sub)
	shadow := f.bearer("dora", "mek").expect(201)
	shadow.same("token.user.name", "demo").same("token.user.domain.id", "default")
	f.scoped(f.login("demo", "demo-pw", onProject("demo")), "demo").expect(201).same("token.user.OS-FEDERATION", nil)
	f.scoped(secretOf(shadow), "demo").expect(401)
	// Disabled here, whatever the provider says.
	if shadow.text("token.user.id") == user {
		t.Error("two names of one provider are one user")
	}
	f.do(f.admin, "PATCH", "/v3/users/"+shadow.text("token.user.id"), obj{"user": obj{"enabled": false}}).expect(200)
	f.bearer("dora", "mek").expect(401)
}

// TestMembershipsOfProvidersEnd: with an authorization TTL groups count also where
// no token says so, for that long.
func TestMembershipsOfProvidersEnd(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := federate(t, d)
		f.do(f.admin, "PATCH", federated+"/identity_providers/acme", obj{"identity_provider": obj{"authorization_ttl": 90}}).expect(200)
		a := f.bearer("dora", "mek").expect(201)
		user, demo := a.text("token.user.id"), secretOf(f.scoped(secretOf(a), "demo").expect(201))
		groups := func() *answer { return f.do(f.admin, "GET", "/v3/users/"+user+"/groups", nil).expect(200) }
		groups().same("groups.0.id", f.group).same("groups.0.membership_expires_at", "2026-11-25T01:30:00.000000")
		f.do(f.admin, "HEAD", "/v3/groups/"+f.group+"/users/"+user, nil).expect(204)
		made := f.do(demo, "POST", "/v3/users/"+user+"/application_credentials", obj{"application_credential": obj{"name": "ci"}}).expect(201)
		credential := obj{"methods": []string{"application_credential"}, "application_credential": obj{"id": made.text("application_credential.id"),
			"secret": made.text("application_credential.secret")}}
		program := secretOf(f.auth(credential, nil).expect(201))
		f.clock.Advance(45 * time.Minute)
		f.admin = f.login("admin", "admin-pw", onProject("admin"))
		f.bearer("dora", "mek").expect(201)
		groups().same("groups.0.membership_expires_at", "2026-11-25T02:15:00.000000")
		program = secretOf(f.auth(credential, nil).expect(201))
		f.clock.Advance(50 * time.Minute)
		if !f.alive(program) {
			t.Error("the login of a while ago does not count")
		}
		f.clock.Advance(45 * time.Minute)
		if f.alive(program) {
			t.Error("a membership counts after its end")
		}
		f.auth(credential, nil).expect(401)
		f.admin = f.login("admin", "admin-pw", onProject("admin"))
		if got := groups().all("groups", "id"); len(got) != 0 {
			t.Errorf("groups %v", got)
		}
		f.do(f.admin, "HEAD", "/v3/groups/"+f.group+"/users/"+user, nil).expect(404)
	})
}

// browser keeps cookies, and follows no redirect.
func browser(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (f *federatedCloud) visit(b *http.Client, method, address string, form url.Values) *answer {
	f.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	f.must(err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	reply, err := b.Do(r)
	f.must(err)
	defer reply.Body.Close()
	raw, err := io.ReadAll(reply.Body)
	f.must(err)
	return &answer{f.T, reply.StatusCode, reply.Header, raw}
}

// lands checks a page that sends a token to the dashboard, and gives the token.
func (f *federatedCloud) lands(a *answer) string {
	f.Helper()
	a.expect(200)
	action, fields, err := samltest.Form(a.raw)
	f.must(err)
	if policy := a.header.Get("Content-Security-Policy"); action != dashboard || !strings.Contains(policy, "default-src 'none'") || a.header.Get("Cache-Control") != "no-store" {
		f.Errorf("to %s, policy %q", action, policy)
	}
	return fields.Get("token")
}

func (f *federatedCloud) begin(b *http.Client, path string) *answer {
	f.Helper()
	return f.visit(b, "GET", f.url+"/identity/v3/auth/OS-FEDERATION"+path+"?origin="+url.QueryEscape(dashboard), nil)
}

func TestBrowsersLogInByOpenID(t *testing.T) {
	f := federate(t, dbtest.SQLite(t))
	f.openID.AddClient(oidctest.Client{ID: "mek", Secret: "mek-secret", Redirects: []string{f.url + "/identity/v3/auth/OS-FEDERATION" + openID + "/websso"}})
	f.openID.SignIn("dora")
	for _, path := range []string{"/websso/openid", openID + "/websso"} {
		b := browser(t)
		back := f.visit(b, "GET", f.begin(b, path).expect(302).header.Get("Location"), nil).expect(302).header.Get("Location")
		token := f.lands(f.visit(b, "GET", back, nil))
		f.scoped(token, "demo").expect(201).same("token.user.name", "d-1")
		f.visit(b, "GET", back, nil).expect(401)          // the journey is over
		f.visit(browser(t), "GET", back, nil).expect(401) // and was another browser's
	}
	b := browser(t)
	back := f.visit(b, "GET", f.begin(b, "/websso/openid").expect(302).header.Get("Location"), nil).expect(302).header.Get("Location")
	f.visit(b, "GET", back+"&error=access_denied", nil).expect(401)
	f.clock.Advance(11 * time.Minute)
	f.visit(b, "GET", back, nil).expect(401) // too late
	for _, origin := range []string{"", "https://evil.example/", dashboard + "x"} {
		if a := f.visit(b, "GET", f.url+"/identity/v3/auth/OS-FEDERATION/websso/openid?origin="+url.QueryEscape(origin), nil); a.status != 401 && a.status != 400 {
			t.Errorf("origin %q: %d", origin, a.status)
		}
	}
	f.begin(b, "/websso/kerberos").expect(401)
	post := f.visit(b, "POST", f.url+"/identity/v3/auth/OS-FEDERATION/websso/openid", url.Values{"origin": {dashboard}}).expect(302)
	if !strings.HasPrefix(post.header.Get("Location"), f.openID.Issuer) {
		t.Errorf("sent to %s", post.header.Get("Location"))
	}
}

func TestBrowsersLogInBySAML(t *testing.T) {
	f := federate(t, dbtest.SQLite(t))
	f.must(f.corp.Trust(f.do("", "GET", federated+samlTwo+"/metadata", nil).expect(200).raw))
	f.do("", "GET", federated+openID+"/metadata", nil).expect(404)
	b := browser(t)
	to := f.begin(b, "/websso/saml2").expect(302).header.Get("Location")
	action, form, err := f.corp.Browse(t.Context(), "carol@corp", to, nil)
	f.must(err)
	if want := f.url + "/identity" + federated + samlTwo + "/auth"; action != want {
		t.Fatalf("the provider sends to %s, not %s", action, want)
	}
	f.visit(browser(t), "POST", action, form).expect(401) // another browser's
	token := f.lands(f.visit(b, "POST", action, form))
	on := f.scoped(token, "demo").expect(201)
	on.same("token.user.name", "carol@corp").same("token.user.OS-FEDERATION.groups.0.id", f.group).same("token.user.OS-FEDERATION.groups.1", nil)
	f.visit(b, "POST", action, form).expect(401) // taken once
	// An answer to one request does not end another's journey.
	two := browser(t)
	other := f.begin(two, "/websso/saml2").expect(302).header.Get("Location")
	_, form, err = f.corp.Browse(t.Context(), "carol@corp", other, nil)
	f.must(err)
	three := f.begin(two, "/websso/saml2").expect(302).header.Get("Location")
	u, err := url.Parse(three)
	f.must(err)
	form.Set("RelayState", u.Query().Get("RelayState"))
	f.visit(two, "POST", action, form).expect(401)
}

// TestProgramsLogInBySAML is an enhanced client's way (ECP).
func TestProgramsLogInBySAML(t *testing.T) {
	f := federate(t, dbtest.SQLite(t))
	f.must(f.corp.Trust(f.do("", "GET", federated+samlTwo+"/metadata", nil).expect(200).raw))
	const paos = "application/vnd.paos+xml"
	asked := f.do("", "GET", federated+samlTwo+"/auth", nil, "Accept", "text/html,"+paos, "PAOS", `ver="urn:liberty:paos:2003-08"`).expect(200)
	if kind := asked.header.Get("Content-Type"); kind != paos {
		t.Errorf("content type %s", kind)
	}
	r, err := http.NewRequest("POST", f.corp.ECPURL(), strings.NewReader(string(asked.raw)))
	f.must(err)
	r.Header.Set("Content-Type", "text/xml")
	said, err := f.corp.Send(r, "carol@corp")
	f.must(err)
	soap := withRelayState(t, asked.raw, said)
	a := f.do("", "POST", federated+samlTwo+"/auth", soap, "Content-Type", paos).expect(201)
	f.scoped(secretOf(a), "demo").expect(201)
	f.do("", "POST", federated+samlTwo+"/auth", soap, "Content-Type", paos).expect(401)         // taken once
	f.do("", "POST", federated+samlTwo+"/auth", string(said), "Content-Type", paos).expect(401) // to nobody's request
	f.do("", "POST", federated+samlTwo+"/auth", "<x/>", "Content-Type", paos).expect(401)
	f.do("", "POST", federated+samlTwo+"/auth", "x", "Content-Type", "text/plain").expect(401)
	f.do("", "GET", federated+samlTwo+"/auth", nil).expect(401)
}

// withRelayState puts the relay state of a request into its answer, as clients do.
func withRelayState(t *testing.T, request, answer []byte) string {
	t.Helper()
	_, state, ok := strings.Cut(string(request), "<ecp:RelayState")
	state, _, ok2 := strings.Cut(state, "</ecp:RelayState>")
	if !ok || !ok2 {
		t.Fatalf("no relay state: %s", request)
	}
	state = "<ecp:RelayState" + state + "</ecp:RelayState>"
	i := strings.Index(string(answer), "Header>")
	if i < 0 {
		t.Fatalf("no header: %s", answer)
	}
	return string(answer[:i+len("Header>")]) + state + string(answer[i+len("Header>"):])
}

// TestKeystoneToKeystone: one cloud vouches for its users to another.
func TestKeystoneToKeystone(t *testing.T) {
	c := clock.NewFake(time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
	home := cloudOf(t, dbtest.SQLite(t), c, func(address string) signon.Options { return signon.Options{PublicURL: address} })
	file := filepath.Join(t.TempDir(), "home.xml")
	home.do("", "GET", federated+"/saml2/metadata", nil).expect(404) // nobody is vouched for to anybody
	away := cloudOf(t, dbtest.SQLite(t), c, func(address string) signon.Options {
		return signon.Options{PublicURL: address, Providers: []signon.Provider{{ProviderID: "home", ProtocolID: "saml2", Metadata: file}}}
	})
	const at = federated + "/identity_providers/home/protocols/saml2"
	away.put("mapping", "/mappings/k2k", obj{"rules": []obj{{"local": []obj{{"user": obj{"name": "{0} of {1}"}, "group": obj{"id": away.make("group", "groups", obj{"name": "guests", "domain_id": "default"})}}},
		"remote": []obj{{"type": "openstack_user"}, {"type": "openstack_user_domain"}, {"type": "openstack_roles", "any_one_of": []string{"member"}}, {"type": "openstack_project", "any_one_of": []string{"demo"}}}}}}).expect(201)
	away.put("identity_provider", "/identity_providers/home", obj{"enabled": true, "remote_ids": []string{home.url + "/identity" + federated + "/saml2/idp"}}).expect(201)
	away.put("protocol", "/identity_providers/home/protocols/saml2", obj{"mapping_id": "k2k"}).expect(201)
	auth := away.url + "/identity" + at + "/auth"
	home.put("service_provider", "/service_providers/away", obj{"auth_url": auth, "sp_url": auth, "enabled": true}).expect(201)
	home.must(os.WriteFile(file, home.do("", "GET", federated+"/saml2/metadata", nil).expect(200).raw, 0o600))
	demo := home.login("demo", "demo-pw", onProject("demo"))
	home.auth(byPassword("demo", "demo-pw"), onProject("demo")).expect(201).same("token.service_providers.0.id", "away").same("token.service_providers.0.sp_url", auth)
	ask := func(token, provider, path string) *answer {
		return home.do("", "POST", "/v3/auth/OS-FEDERATION/saml2"+path, obj{"auth": obj{"identity": byToken(token), "scope": obj{"service_provider": obj{"id": provider}}}})
	}
	a := ask(demo, "away", "/ecp").expect(200)
	if a.header.Get("X-sp-url") != auth || a.header.Get("X-auth-url") != auth || a.header.Get("Content-Type") != "text/xml" {
		t.Errorf("headers %v", a.header)
	}
	const paos = "application/vnd.paos+xml"
	in := away.do("", "POST", at+"/auth", string(a.raw), "Content-Type", paos).expect(201)
	in.same("token.user.name", "demo of Default").same("token.methods", []any{"saml2"})
	away.do("", "POST", at+"/auth", string(a.raw), "Content-Type", paos).expect(401) // taken once
	if b := ask(demo, "away", "").expect(200); !strings.Contains(string(b.raw), "openstack_user") || strings.Contains(string(b.raw), "Envelope") {
		t.Errorf("%s", b.raw)
	}
	// The administrator has no role member there by his project.
	away.do("", "POST", at+"/auth", string(ask(home.admin, "away", "/ecp").expect(200).raw), "Content-Type", paos).expect(401)
	ask(demo, "nowhere", "/ecp").expect(404)
	ask("none", "away", "/ecp").expect(404)
	ask(home.login("demo", "demo-pw", "unscoped"), "away", "/ecp").expect(403)
	home.do("", "POST", "/v3/auth/OS-FEDERATION/saml2", obj{"auth": obj{}}).expect(400)
	c.Advance(2 * time.Hour)
	away.do("", "POST", at+"/auth", string(a.raw), "Content-Type", paos).expect(401)
	home.admin = home.login("admin", "admin-pw", onProject("admin"))
	home.do(home.admin, "PATCH", federated+"/service_providers/away", obj{"service_provider": obj{"enabled": false}}).expect(200)
	ask(home.login("demo", "demo-pw", onProject("demo")), "away", "/ecp").expect(403)
}

// TestUsersWithFederatedNames: an administrator says under which names providers
// know users of this cloud.
func TestUsersWithFederatedNames(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := federate(t, d)
		names := func(unique string) []obj {
			return []obj{{"idp_id": "acme", "protocols": []obj{{"protocol_id": "openid", "unique_id": unique}}}}
		}
		a := f.do(f.admin, "POST", "/v3/users", obj{"user": obj{"name": "dora", "domain_id": "default", "federated": names("d-1")}}).expect(201)
		user := a.same("user.federated.0.protocols.0.unique_id", "d-1").text("user.id")
		f.bearer("dora", "mek").expect(201).same("token.user.id", user).same("token.user.name", "dora")
		f.do(f.admin, "POST", "/v3/users", obj{"user": obj{"name": "dora2", "domain_id": "default", "federated": names("d-1")}}).expect(409)
		f.do(f.admin, "POST", "/v3/users", obj{"user": obj{"name": "dora2", "domain_id": "default", "federated": []obj{{"idp_id": "none", "protocols": []obj{{"protocol_id": "openid", "unique_id": "1"}}}}}}).expect(400)
		f.do(f.admin, "POST", "/v3/users", obj{"user": obj{"name": "dora2", "domain_id": "default", "federated": []obj{{"idp_id": "acme"}}}}).expect(400)
		token := secretOf(f.bearer("dora", "mek").expect(201))
		f.do(f.admin, "PATCH", "/v3/users/"+user, obj{"user": obj{"federated": []obj{}}}).expect(200).same("user.federated", nil)
		if f.alive(token) {
			t.Error("a token outlives the name that it was given for")
		}
		if other := f.bearer("dora", "mek").expect(201).text("token.user.id"); other == user {
			t.Error("the name was taken away")
		}
	})
}
