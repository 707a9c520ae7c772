package identityapi

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/identity"
	signon "github.com/mekcloud/mek/internal/identity/federation"
	"github.com/mekcloud/mek/internal/identity/oidc/oidctest"
	"github.com/mekcloud/mek/internal/identity/saml"
)

// TestManagersNameNobodyElse: who says under which name a provider knows a user gets
// what the provider gives to whom it calls so. That is not for managers of a domain.
func TestManagersNameNobodyElse(t *testing.T) {
	f := federate(t, dbtest.SQLite(t))
	d := f.make("domain", "domains", obj{"name": "branch"})
	boss := f.make("user", "users", obj{"name": "boss", "password": "pw", "domain_id": d})
	f.do(f.admin, "PUT", "/v3/domains/"+d+"/users/"+boss+"/roles/"+f.role("manager"), nil).expect(204)
	manager := secretOf(f.auth(obj{"methods": []string{"password"}, "password": obj{"user": obj{"id": boss, "password": "pw"}}}, obj{"domain": obj{"id": d}}).expect(201))
	names := []obj{{"idp_id": "acme", "protocols": []obj{{"protocol_id": "openid", "unique_id": "d-1"}}}}
	f.do(manager, "POST", "/v3/users", obj{"user": obj{"name": "trap", "password": "pw", "domain_id": d, "federated": names}}).expect(403)
	user := f.do(manager, "POST", "/v3/users", obj{"user": obj{"name": "trap", "password": "pw", "domain_id": d, "federated": []obj{}}}).expect(201).text("user.id")
	f.do(manager, "PATCH", "/v3/users/"+user, obj{"user": obj{"federated": names}}).expect(403)
	if got := f.bearer("dora", "mek").expect(201).text("token.user.id"); got == user {
		t.Error("somebody logs in as a user whose password another one knows")
	}
	f.do(manager, "PATCH", "/v3/users/"+user, obj{"user": obj{"federated": []obj{}, "description": "x"}}).expect(200)
}

// TestFloodOfForeignLogins: what fails before anybody knows who it is counts as well.
func TestFloodOfForeignLogins(t *testing.T) {
	f := federate(t, dbtest.SQLite(t))
	b := browser(t)
	state := func(path, of string) string {
		u, err := url.Parse(f.begin(b, path).expect(302).header.Get("Location"))
		f.must(err)
		return u.Query().Get(of)
	}
	code := url.Values{"state": {state("/websso/openid", "state")}, "code": {"guessed"}}
	form := url.Values{"RelayState": {state("/websso/saml2", "RelayState")}, "SAMLResponse": {"PHgvPg=="}}
	for name, attempt := range map[string]func() *answer{
		"token": func() *answer { return f.do("", "GET", federated+openID+"/auth", nil, "Authorization", "Bearer x") },
		"envelope": func() *answer {
			return f.do("", "POST", federated+samlTwo+"/auth", "<x/>", "Content-Type", "application/vnd.paos+xml")
		},
		"code": func() *answer {
			return f.visit(b, "GET", f.url+"/identity/v3/auth/OS-FEDERATION"+openID+"/websso?"+code.Encode(), nil)
		},
		"form": func() *answer { return f.visit(b, "POST", f.url+"/identity"+federated+samlTwo+"/auth", form) },
	} {
		f.clock.Advance(time.Minute)
		status := 0
		for n := 0; n < 400 && status != 429; n++ {
			status = attempt().status
		}
		if status != 429 {
			t.Errorf("%s: status %d after 400 failures", name, status)
		}
	}
	f.clock.Advance(time.Minute)
	f.bearer("dora", "mek").expect(201)
}

// TestProtocolMadeAnew: a protocol of the same name is another one. Its mapping may
// name users by what means somebody else under the old one.
func TestProtocolMadeAnew(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := federate(t, d)
		a := f.bearer("dora", "mek").expect(201)
		of := secretOf(f.auth(byPassword("demo", "demo-pw"), onProject("demo")).expect(201))
		f.do(f.admin, "DELETE", federated+openID, nil).expect(204)
		f.put("protocol", openID, obj{"mapping_id": "openid-rules"}).expect(201)
		if f.alive(secretOf(a)) {
			t.Error("a token of the protocol before lives again")
		}
		b := f.bearer("dora", "mek").expect(201)
		if b.text("token.user.id") == a.text("token.user.id") {
			t.Error("a name of the protocol before still means its user")
		}
		if !f.alive(of) || !f.alive(secretOf(b)) {
			t.Error("more ended than the protocol")
		}
	})
}

// TestMembershipsEndWithTheirProvider: what a provider said is worth nothing while
// it is disabled, also where no token says so.
func TestMembershipsEndWithTheirProvider(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := federate(t, d)
		f.do(f.admin, "PATCH", federated+"/identity_providers/acme", obj{"identity_provider": obj{"authorization_ttl": 90}}).expect(200)
		a := f.bearer("dora", "mek").expect(201)
		demo := secretOf(f.scoped(secretOf(a), "demo").expect(201))
		made := f.do(demo, "POST", "/v3/users/"+a.text("token.user.id")+"/application_credentials", obj{"application_credential": obj{"name": "ci"}}).expect(201)
		credential := obj{"methods": []string{"application_credential"}, "application_credential": obj{"id": made.text("application_credential.id"),
			"secret": made.text("application_credential.secret")}}
		program := secretOf(f.auth(credential, nil).expect(201))
		f.do(f.admin, "PATCH", federated+"/identity_providers/acme", obj{"identity_provider": obj{"enabled": false}}).expect(200)
		if f.alive(program) {
			t.Error("a program has roles by the word of a provider that is disabled")
		}
		f.auth(credential, nil).expect(401)
		f.do(f.admin, "PATCH", federated+"/identity_providers/acme", obj{"identity_provider": obj{"enabled": true}}).expect(200)
		f.bearer("dora", "mek").expect(201)
		f.auth(credential, nil).expect(201)
		// A shorter time counts from the next login on.
		program = secretOf(f.auth(credential, nil).expect(201))
		f.do(f.admin, "PATCH", federated+"/identity_providers/acme", obj{"identity_provider": obj{"authorization_ttl": 10}}).expect(200)
		if !f.alive(program) {
			t.Fatal("ended too early")
		}
		f.bearer("dora", "mek").expect(201)
		f.clock.Advance(11 * time.Minute)
		if f.alive(program) {
			t.Error("a membership outlives what its provider's last word allows")
		}
	})
}

// TestNamesOfShadows: a provider's names are kept as this cloud keeps names.
func TestNamesOfShadows(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := federate(t, d)
		add := func(user, nick, sub string) {
			f.openID.AddUser(oidctest.User{Name: user, Password: "x", Claims: map[string]any{"sub": sub, "nick": nick}})
		}
		rules := []obj{{"local": []obj{{"user": obj{"name": "{0}", "id": "{1}"}}}, "remote": []obj{{"type": "OIDC-nick"}, {"type": "OIDC-sub"}}}}
		f.do(f.admin, "PATCH", federated+"/mappings/openid-rules", obj{"mapping": obj{"rules": rules}}).expect(200)
		add("blanks", "  Ann Blank ", "b-1")
		for range 2 {
			f.bearer("blanks", "mek").expect(201).same("token.user.name", "Ann Blank")
		}
		add("nameless", "  ", "n-1")
		f.bearer("nameless", "mek").expect(401)
		add("longest", strings.Repeat("ä", 255), "l-1")
		f.bearer("longest", "mek").expect(201)
		add("longer", strings.Repeat("n", 256), "l-2")
		f.bearer("longer", "mek").expect(401)
		add("foreign", "short", strings.Repeat("s", 256))
		f.bearer("foreign", "mek").expect(401)
	})
}

// TestShadowsAreNotTheirNamesakes: where people are told apart by name, a provider's
// word for the name counts for nothing.
func TestShadowsAreNotTheirNamesakes(t *testing.T) {
	f := federate(t, dbtest.SQLite(t))
	rules := []obj{{"local": []obj{{"user": obj{"name": "demo", "id": "{0}", "domain": obj{"name": "Default"}}}, {"group": obj{"id": f.group}}}, "remote": []obj{{"type": "OIDC-sub"}}}}
	f.do(f.admin, "PATCH", federated+"/mappings/openid-rules", obj{"mapping": obj{"rules": rules}}).expect(200)
	shadow := secretOf(f.scoped(secretOf(f.bearer("mallory", "mek").expect(201)), "demo").expect(201))
	own := f.login("demo", "demo-pw", onProject("demo"))
	for token, want := range map[string]bool{shadow: true, own: false} {
		c, err := f.service.Authenticator().Authenticate(t.Context(), token)
		f.must(err)
		if c.UserName != "demo" || c.UserDomainID != "default" || identity.ShadowOf(c) != want {
			t.Errorf("%s of %s, shadow %v", c.UserName, c.UserDomainID, identity.ShadowOf(c))
		}
	}
	const away = "https://away.example/"
	f.put("service_provider", "/service_providers/away", obj{"auth_url": away, "sp_url": away, "enabled": true}).expect(201)
	for token, want := range map[string]int{shadow: 403, own: 200} {
		f.do("", "POST", "/v3/auth/OS-FEDERATION/saml2", obj{"auth": obj{"identity": byToken(token), "scope": obj{"service_provider": obj{"id": "away"}}}}).expect(want)
	}
}

// TestVouchingKnowsRevocations: a server that has not heard of a revocation asks
// before it vouches for somebody.
func TestVouchingKnowsRevocations(t *testing.T) {
	d, c := dbtest.Postgres(t), clock.NewFake(time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
	options := func(address string) signon.Options { return signon.Options{PublicURL: address} }
	one, other := cloudOf(t, d, c, options), cloudOf(t, d, c, options)
	const away = "https://away.example/"
	one.put("service_provider", "/service_providers/away", obj{"auth_url": away, "sp_url": away, "enabled": true}).expect(201)
	token := one.login("demo", "demo-pw", onProject("demo"))
	ask := func() *answer {
		return other.do("", "POST", "/v3/auth/OS-FEDERATION/saml2", obj{"auth": obj{"identity": byToken(token), "scope": obj{"service_provider": obj{"id": "away"}}}})
	}
	ask().expect(200)
	one.do(token, "DELETE", "/v3/auth/tokens", nil, "X-Subject-Token", token).expect(204)
	c.Advance(time.Second)
	ask().expect(404)
}

// TestJourneysBehindAProxy: browsers send the cookie with a provider's form only if it says so.
func TestJourneysBehindAProxy(t *testing.T) {
	f := federate(t, dbtest.SQLite(t))
	if k := f.begin(browser(t), "/websso/saml2").expect(302).header.Get("Set-Cookie"); strings.Contains(k, "Secure") {
		t.Errorf("a browser without TLS drops %s", k)
	}
	file := filepath.Join(t.TempDir(), "corp.xml")
	metadata, err := f.corp.Metadata()
	f.must(err)
	f.must(os.WriteFile(file, metadata, 0o600))
	behind := cloudOf(t, f.db, f.clock, func(string) signon.Options {
		return signon.Options{PublicURL: "https://cloud.example", TrustedDashboards: []string{dashboard}, Providers: []signon.Provider{{ProviderID: "corp", ProtocolID: "saml2", Metadata: file}}}
	})
	f.url = behind.url
	if k := f.begin(browser(t), "/websso/saml2").expect(302).header.Get("Set-Cookie"); !strings.Contains(k, "Secure; SameSite=None") || !strings.Contains(k, "HttpOnly") {
		t.Errorf("cookie %s", k)
	}
}

// TestAssertionsAreTakenOnceByAll: a server whose clock is ahead does not make the
// others forget what they would still take.
func TestAssertionsAreTakenOnceByAll(t *testing.T) {
	const paos, at, root = "application/vnd.paos+xml", federated + "/identity_providers/home/protocols/saml2", "https://away.example"
	begin := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	right, ahead := clock.NewFake(begin), clock.NewFake(begin.Add(10*time.Second))
	home := cloudOf(t, dbtest.SQLite(t), right, func(address string) signon.Options { return signon.Options{PublicURL: address} })
	file := filepath.Join(t.TempDir(), "home.xml")
	home.put("service_provider", "/service_providers/away", obj{"auth_url": root, "sp_url": root + "/identity" + at + "/auth", "enabled": true}).expect(201)
	home.must(os.WriteFile(file, home.do("", "GET", federated+"/saml2/metadata", nil).expect(200).raw, 0o600))
	options := func(string) signon.Options {
		return signon.Options{PublicURL: root, Providers: []signon.Provider{{ProviderID: "home", ProtocolID: "saml2", Metadata: file}}}
	}
	d := dbtest.Postgres(t)
	one, other := cloudOf(t, d, right, options), cloudOf(t, d, ahead, options)
	one.put("mapping", "/mappings/k2k", aMapping("openstack_user")).expect(201)
	one.put("identity_provider", "/identity_providers/home", obj{"enabled": true}).expect(201)
	one.put("protocol", "/identity_providers/home/protocols/saml2", obj{"mapping_id": "k2k"}).expect(201)
	vouch := func() string {
		token := home.login("demo", "demo-pw", onProject("demo"))
		return string(home.do("", "POST", "/v3/auth/OS-FEDERATION/saml2/ecp", obj{"auth": obj{"identity": byToken(token), "scope": obj{"service_provider": obj{"id": "away"}}}}).expect(200).raw)
	}
	first := vouch()
	one.do("", "POST", at+"/auth", first, "Content-Type", paos).expect(201)
	for _, c := range []*clock.Fake{right, ahead} {
		c.Advance(time.Hour + saml.Skew - 5*time.Second)
	}
	other.do("", "POST", at+"/auth", vouch(), "Content-Type", paos).expect(201)
	one.do("", "POST", at+"/auth", first, "Content-Type", paos).expect(401)
}

// TestProvidersGoWithTheirDomain: what a provider vouched for has ended with it,
// however it went.
func TestProvidersGoWithTheirDomain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := federate(t, d)
		rules := []obj{{"local": []obj{{"user": obj{"name": "{0}", "domain": obj{"name": "Default"}}}}, "remote": []obj{{"type": "OIDC-sub"}}}}
		f.do(f.admin, "PATCH", federated+"/mappings/openid-rules", obj{"mapping": obj{"rules": rules}}).expect(200)
		token := secretOf(f.bearer("dora", "mek").expect(201))
		domain := f.do(f.admin, "GET", federated+"/identity_providers/acme", nil).text("identity_provider.domain_id")
		f.do(f.admin, "PATCH", "/v3/domains/"+domain, obj{"domain": obj{"enabled": false}}).expect(200)
		f.do(f.admin, "DELETE", "/v3/domains/"+domain, nil).expect(204)
		if f.alive(token) {
			t.Error("a token outlives the provider that went with its domain")
		}
		f.put("identity_provider", "/identity_providers/acme", obj{"enabled": true}).expect(201)
		f.put("protocol", openID, obj{"mapping_id": "openid-rules"}).expect(201)
		if f.alive(token) {
			t.Error("a token of the provider before lives again")
		}
	})
}

// TestAwayForTooLong: who has been away is not let in by another door, and who comes
// by it has been here.
func TestAwayForTooLong(t *testing.T) {
	const day = 24 * time.Hour
	f := federate(t, dbtest.SQLite(t), identity.Compliance{DisableUserDaysInactive: 30})
	rules := []obj{{"local": []obj{{"user": obj{"name": "demo", "domain": obj{"id": "default"}, "type": "local"}}}, "remote": []obj{{"type": "OIDC-sub"}}}}
	f.do(f.admin, "PATCH", federated+"/mappings/openid-rules", obj{"mapping": obj{"rules": rules}}).expect(200)
	for range 2 {
		f.clock.Advance(20 * day)
		f.bearer("dora", "mek").expect(201).same("token.user.name", "demo")
	}
	f.auth(byPassword("demo", "demo-pw"), nil).expect(201)
	f.clock.Advance(40 * day)
	f.auth(byPassword("demo", "demo-pw"), nil).expect(401)
	f.bearer("dora", "mek").expect(401)
}

// queue counts who stood in line.
type queue struct{ entered, left atomic.Int64 }

func (q *queue) Enter(context.Context, string) (func(), error) {
	q.entered.Add(1)
	return func() { q.left.Add(1) }, nil
}

// TestSignaturesForStrangersStandInLine: a signature keeps a processor busy for as
// long as tens of other requests.
func TestSignaturesForStrangersStandInLine(t *testing.T) {
	f := federate(t, dbtest.SQLite(t))
	before := f.line.entered.Load()
	f.begin(browser(t), "/websso/saml2").expect(302)
	f.do("", "GET", federated+samlTwo+"/auth", nil, "Accept", "application/vnd.paos+xml").expect(200)
	f.begin(browser(t), "/websso/openid").expect(302) // asks for none
	if n := f.line.entered.Load() - before; n != 2 || f.line.left.Load() != f.line.entered.Load() {
		t.Errorf("%d stood in line for two signatures, %d of %d left it", n, f.line.left.Load(), f.line.entered.Load())
	}
}
