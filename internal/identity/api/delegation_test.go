package identityapi

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"testing"

	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/identity"
)

// lender is user "demo" with a token on project demo, and what it may lend.
type lender struct {
	*keystone
	token, user, project, friend string
}

func lend(t *testing.T) *lender {
	t.Helper()
	k := serve(t, dbtest.One(t), identity.Compliance{})
	l := &lender{keystone: k}
	a := k.auth(byPassword("demo", "demo-pw"), onProject("demo")).expect(201)
	l.token, l.user, l.project = a.header.Get("X-Subject-Token"), a.text("token.user.id"), a.text("token.project.id")
	l.friend = k.make("user", "users", obj{"name": "friend", "password": "pw", "domain_id": "default"})
	return l
}

// appCredential makes one with a token and gives its id and secret.
func (l *lender) appCredential(token string, body obj) (id, secret string) {
	l.Helper()
	a := l.do(token, "POST", "/v3/users/"+l.user+"/application_credentials", obj{"application_credential": body}).expect(201)
	return a.text("application_credential.id"), a.text("application_credential.secret")
}

func byAppCredential(id, secret string) obj {
	return obj{"methods": []string{"application_credential"}, "application_credential": obj{"id": id, "secret": secret}}
}

func (l *lender) asApp(id, secret string) string {
	l.Helper()
	return l.auth(byAppCredential(id, secret), nil).expect(201).header.Get("X-Subject-Token")
}

func TestApplicationCredentials(t *testing.T) {
	l := lend(t)
	id, secret := l.appCredential(l.token, obj{"name": "all"})
	a := l.auth(byAppCredential(id, secret), nil).expect(201)
	if a.text("token.project.id") != l.project || a.text("token.application_credential.id") != id || a.at("token.application_credential.restricted") != true {
		t.Errorf("token %s", a.raw)
	}
	few, fewSecret := l.appCredential(l.token, obj{"name": "few", "secret": "s3cret", "roles": []obj{{"name": "reader"}}, "expires_at": "2026-11-25T00:30:00.123456"})
	a = l.auth(obj{"methods": []string{"application_credential"}, "application_credential": obj{"name": "few", "secret": fewSecret,
		"user": obj{"name": "demo", "domain": obj{"id": "default"}}}}, nil).expect(201)
	if got := a.all("token.roles", "name"); !slices.Equal(got, []string{"reader"}) {
		t.Errorf("roles %v", got)
	}
	if a.text("token.expires_at") != "2026-11-25T00:30:00.000000Z" {
		t.Errorf("the token ends at %s, after its credential", a.text("token.expires_at"))
	}
	for name, try := range map[string]obj{"wrong secret": byAppCredential(id, "no"), "unknown": byAppCredential("nothing", secret)} {
		if a := l.auth(try, nil).expect(401); a.text("error.message") != "The request you have made requires authentication." {
			t.Errorf("%s: %s", name, a.raw)
		}
	}
	l.auth(byAppCredential(id, secret), onProject("demo")).expect(401) // it cannot choose a scope
	l.clock.Advance(31 * 60e9)
	l.auth(byAppCredential(few, fewSecret), nil).expect(401)
	l.do(l.token, "DELETE", "/v3/users/"+l.user+"/application_credentials/"+id, nil).expect(204)
	l.auth(byAppCredential(id, secret), nil).expect(401)
}

// A derived credential never has more than what it came from (SEC-12).
func TestDelegationOnlyShrinks(t *testing.T) {
	l := lend(t)
	creds := "/v3/users/" + l.user + "/application_credentials"
	one := func(body obj) obj { return obj{"application_credential": body} }
	l.do(l.token, "POST", creds, one(obj{"name": "greedy", "roles": []obj{{"name": "admin"}}})).expect(400)
	l.do(l.token, "POST", creds, one(obj{"name": "past", "expires_at": "2020-01-01T00:00:00"})).expect(400)
	l.do(l.admin, "POST", creds, one(obj{"name": "for somebody else"})).expect(403)
	l.do(l.login("demo", "demo-pw", "unscoped"), "POST", creds, one(obj{"name": "of no project"})).expect(400)
	id, secret := l.appCredential(l.token, obj{"name": "restricted", "roles": []obj{{"name": "member"}}})
	app := l.asApp(id, secret)
	l.do(app, "POST", creds, one(obj{"name": "child"})).expect(403)
	l.do(app, "DELETE", creds+"/"+id, nil).expect(403)
	l.do(app, "POST", "/v3/users/"+l.user+"/credentials/OS-EC2", obj{"tenant_id": l.project}).expect(403)
	l.do(app, "GET", "/v3/OS-TRUST/trusts?trustor_user_id="+l.user, nil).expect(403)
	l.do(app, "POST", "/v3/OS-TRUST/trusts", obj{"trust": l.trust(obj{})}).expect(403)
	l.auth(byToken(app), onProject("demo")).expect(403)
	again := l.auth(byToken(app), nil).expect(201) // without a scope it stays what it was
	if again.text("token.application_credential.id") != id || again.text("token.project.id") != l.project {
		t.Errorf("a token made from the token lost its bounds: %s", again.raw)
	}
	l.auth(byToken(app), "unscoped").expect(403)
	free, freeSecret := l.appCredential(l.token, obj{"name": "unrestricted", "unrestricted": true, "roles": []obj{{"name": "reader"}}})
	unrestricted := l.asApp(free, freeSecret)
	l.do(unrestricted, "POST", creds, one(obj{"name": "grandchild"})).expect(201)
	l.do(unrestricted, "POST", creds, one(obj{"name": "bigger", "roles": []obj{{"name": "member"}}})).expect(400)
	// Taking the role away takes it from the credential.
	l.do(l.admin, "DELETE", "/v3/projects/"+l.project+"/users/"+l.user+"/roles/"+l.role("member"), nil).expect(204)
	if l.alive(app) {
		t.Error("the credential kept a role its user lost")
	}
}

func TestAccessRules(t *testing.T) {
	l := lend(t)
	rules := []obj{{"service": "identity", "method": "GET", "path": "/v3/auth/projects"}, {"service": "identity", "method": "GET", "path": "/v3/projects/*"}}
	id, secret := l.appCredential(l.token, obj{"name": "narrow", "access_rules": rules})
	app := l.asApp(id, secret)
	l.do(app, "GET", "/v3/auth/projects", nil).expect(200)
	l.do(app, "GET", "/v3/projects/"+l.project, nil).expect(200)
	l.do(app, "GET", "/v3/projects/"+l.project+"/tags", nil).expect(403)
	l.do(app, "GET", "/v3/auth/catalog", nil).expect(403)
	l.do(app, "GET", "/v3/regions", nil).expect(403)
	l.do(l.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", app).expect(404) // who asks cannot enforce them
	a := l.do(l.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", app, "OpenStack-Identity-Access-Rules", "1.0").expect(200)
	if a.text("token.application_credential.access_rules.0.path") == "" {
		t.Errorf("token %s", a.raw)
	}
	list := l.do(l.token, "GET", "/v3/users/"+l.user+"/access_rules", nil).expect(200)
	rule := list.text("access_rules.0.id")
	l.do(l.token, "DELETE", "/v3/users/"+l.user+"/access_rules/"+rule, nil).expect(403) // in use
	l.appCredential(l.token, obj{"name": "same rules", "access_rules": []obj{{"id": rule}}})
	if n := len(l.do(l.token, "GET", "/v3/users/"+l.user+"/access_rules", nil).all("access_rules", "id")); n != 2 {
		t.Errorf("%d access rules, the same ones were made twice", n)
	}
	l.do(l.token, "GET", "/v3/users/"+l.friend+"/access_rules", nil).expect(403)
}

func (l *lender) trust(over obj) obj {
	body := obj{"trustor_user_id": l.user, "trustee_user_id": l.friend, "project_id": l.project, "impersonation": false, "roles": []obj{{"name": "member"}}}
	for k, v := range over {
		body[k] = v
	}
	return body
}

func (l *lender) asTrustee(trust string) *answer {
	l.Helper()
	return l.auth(byPassword("friend", "pw"), obj{"OS-TRUST:trust": obj{"id": trust}})
}

func TestTrusts(t *testing.T) {
	l := lend(t)
	lendIt := func(over obj) *answer {
		return l.do(l.token, "POST", "/v3/OS-TRUST/trusts", obj{"trust": l.trust(over)})
	}
	id := lendIt(obj{}).expect(201).text("trust.id")
	a := l.asTrustee(id).expect(201)
	if a.text("token.user.id") != l.friend || a.text("token.project.id") != l.project || a.text("token.OS-TRUST:trust.trustor_user.id") != l.user {
		t.Errorf("token %s", a.raw)
	}
	if got := a.all("token.roles", "name"); !slices.Equal(got, []string{"member", "reader"}) {
		t.Errorf("roles %v", got)
	}
	token := a.header.Get("X-Subject-Token")
	l.auth(byToken(token), nil).expect(403)
	l.do(token, "POST", "/v3/users/"+l.friend+"/application_credentials", obj{"application_credential": obj{"name": "x"}}).expect(403)
	as := l.asTrustee(lendIt(obj{"impersonation": true}).expect(201).text("trust.id")).expect(201)
	if as.text("token.user.id") != l.user {
		t.Errorf("impersonation: %s", as.raw)
	}
	once := lendIt(obj{"remaining_uses": 1}).expect(201).text("trust.id")
	l.asTrustee(once).expect(201)
	l.asTrustee(once).expect(401)
	short := l.asTrustee(lendIt(obj{"expires_at": "2026-11-25T00:10:00.000000Z"}).expect(201).text("trust.id")).expect(201)
	if short.text("token.expires_at") != "2026-11-25T00:10:00.000000Z" {
		t.Errorf("a token outlives its trust: %s", short.raw)
	}
	lendIt(obj{"roles": []obj{{"name": "admin"}}}).expect(404)
	lendIt(obj{"roles": []obj{}}).expect(403)
	lendIt(obj{"trustor_user_id": l.friend, "trustee_user_id": l.user}).expect(403)
	lendIt(obj{"trustee_user_id": "nobody"}).expect(404)
	lendIt(obj{"expires_at": "2020-01-01T00:00:00Z"}).expect(400)
	l.auth(byPassword("admin", "admin-pw"), obj{"OS-TRUST:trust": obj{"id": id}}).expect(403)
	stranger := l.login("service", "service-pw", onProject("service"))
	l.do(stranger, "GET", "/v3/OS-TRUST/trusts/"+id, nil).expect(403)
	l.do(stranger, "DELETE", "/v3/OS-TRUST/trusts/"+id, nil).expect(403)
	l.do(l.token, "GET", "/v3/OS-TRUST/trusts", nil).expect(403)
	if got := l.do(l.token, "GET", "/v3/OS-TRUST/trusts?trustor_user_id="+l.user, nil).expect(200).all("trusts", "id"); len(got) != 4 {
		t.Errorf("%d trusts", len(got))
	}
	l.do(l.token, "DELETE", "/v3/OS-TRUST/trusts/"+id, nil).expect(204)
	if l.alive(token) {
		t.Error("a token outlives its deleted trust")
	}
	if l.alive(as.header.Get("X-Subject-Token")) != true {
		t.Error("another trust's token ended")
	}
	l.do(l.admin, "DELETE", "/v3/projects/"+l.project+"/users/"+l.user+"/roles/"+l.role("member"), nil).expect(204)
	if l.alive(as.header.Get("X-Subject-Token")) {
		t.Error("a trust lends a role its trustor lost")
	}
}

func TestRedelegation(t *testing.T) {
	l := lend(t)
	third := l.make("user", "users", obj{"name": "third", "password": "pw", "domain_id": "default"})
	post := func(token string, body obj) *answer {
		return l.do(token, "POST", "/v3/OS-TRUST/trusts", obj{"trust": body})
	}
	plain := l.asTrustee(post(l.token, l.trust(obj{})).expect(201).text("trust.id")).header.Get("X-Subject-Token")
	on := obj{"trustor_user_id": l.friend, "trustee_user_id": third, "project_id": l.project, "impersonation": false, "roles": []obj{{"name": "member"}}}
	post(plain, on).expect(403)
	first := post(l.token, l.trust(obj{"allow_redelegation": true, "redelegation_count": 2, "expires_at": "2026-11-25T00:20:00Z"})).expect(201).text("trust.id")
	token := l.asTrustee(first).expect(201).header.Get("X-Subject-Token")
	second := post(token, on).expect(201)
	if second.text("trust.expires_at") != "2026-11-25T00:20:00.000000Z" || second.text("trust.redelegated_trust_id") != first {
		t.Errorf("trust %s", second.raw)
	}
	for name, more := range map[string]obj{"later end": {"expires_at": "2026-11-25T00:21:00Z"}, "role that is not in it": {"roles": []obj{{"name": "heat_stack_owner"}}},
		"impersonation": {"impersonation": true}, "uses": {"remaining_uses": 3}} {
		body := obj{}
		for k, v := range on {
			body[k] = v
		}
		for k, v := range more {
			body[k] = v
		}
		if a := post(token, body); a.status != 403 {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
	}
	a := l.auth(byPassword("third", "pw"), obj{"OS-TRUST:trust": obj{"id": second.text("trust.id")}}).expect(201)
	if got := a.all("token.roles", "name"); !slices.Equal(got, []string{"member", "reader"}) {
		t.Errorf("roles %v", got)
	}
	l.do(l.token, "DELETE", "/v3/OS-TRUST/trusts/"+first, nil).expect(204)
	if l.alive(a.header.Get("X-Subject-Token")) {
		t.Error("a trust outlives the one it was made from")
	}
}

// The owner, project and delegation of an EC2 key stay (SEC-11).
func TestEC2Keys(t *testing.T) {
	l := lend(t)
	keys := "/v3/users/" + l.user + "/credentials/OS-EC2"
	a := l.do(l.token, "POST", keys, obj{"tenant_id": l.project}).expect(201)
	access := a.text("credential.access")
	if a.text("credential.tenant_id") != l.project || len(a.text("credential.secret")) != 32 || a.at("credential.trust_id") != nil {
		t.Errorf("key %s", a.raw)
	}
	l.do(l.token, "POST", keys, obj{"tenant_id": "nowhere"}).expect(404)
	if got := l.do(l.token, "GET", keys, nil).expect(200).all("credentials", "access"); !slices.Equal(got, []string{access}) {
		t.Errorf("keys %v", got)
	}
	row := l.do(l.token, "GET", "/v3/credentials?type=ec2", nil).expect(200).text("credentials.0.id")
	other := l.do(l.admin, "GET", "/v3/projects?name=admin", nil).text("projects.0.id")
	for _, change := range []obj{{"project_id": other}, {"user_id": l.friend}, {"type": "cert"}, {"blob": `{"access":"` + access + `","secret":"x","trust_id":"t"}`}} {
		if a := l.do(l.token, "PATCH", "/v3/credentials/"+row, obj{"credential": change}); a.status != 400 && a.status != 403 {
			t.Errorf("%v: %d %s", change, a.status, a.raw)
		}
	}
	friend := l.login("friend", "pw", nil)
	l.do(friend, "GET", keys+"/"+access, nil).expect(403)
	l.do(friend, "GET", "/v3/credentials/"+row, nil).expect(403)
	for _, filter := range []string{"", "?type=ec2", "?user_id=" + l.user} { // own rows only, whatever is asked (SEC-16)
		if got := l.do(friend, "GET", "/v3/credentials"+filter, nil).expect(200).all("credentials", "id"); len(got) != 0 {
			t.Errorf("%s shows %v", filter, got)
		}
	}
	l.do(l.token, "DELETE", keys+"/"+access, nil).expect(204)
	l.do(l.token, "GET", keys+"/"+access, nil).expect(404)
}

func TestSignaturesBecomeTokens(t *testing.T) {
	l := lend(t)
	keys := "/v3/users/" + l.user + "/credentials/OS-EC2"
	key := l.do(l.token, "POST", keys, obj{"tenant_id": l.project}).expect(201)
	sign := func(access, secret, at string) obj {
		params := map[string]string{"Action": "DescribeInstances", "SignatureVersion": "0", "Timestamp": at}
		m := hmac.New(sha1.New, []byte(secret))
		m.Write([]byte("DescribeInstances" + at))
		return obj{"credentials": obj{"access": access, "signature": base64.StdEncoding.EncodeToString(m.Sum(nil)), "host": "h", "verb": "GET", "path": "/", "params": params}}
	}
	access, secret := key.text("credential.access"), key.text("credential.secret")
	const now = "2026-11-25T00:00:00Z"
	service := l.login("service", "service-pw", onProject("service"))
	a := l.do(service, "POST", "/v3/ec2tokens", sign(access, secret, now)).expect(200)
	if a.text("token.project.id") != l.project || a.text("token.user.id") != l.user || a.text("token.methods.0") != "ec2credential" {
		t.Errorf("token %s", a.raw)
	}
	if !l.alive(a.header.Get("X-Subject-Token")) {
		t.Error("the token does not work")
	}
	l.do(l.token, "POST", "/v3/ec2tokens", sign(access, secret, now)).expect(403) // a captured signature is no use to users
	l.do("", "POST", "/v3/ec2tokens", sign(access, secret, now)).expect(401)
	wrong := l.do(service, "POST", "/v3/ec2tokens", sign(access, "wrong", now)).expect(401)
	unknown := l.do(service, "POST", "/v3/ec2tokens", sign("unknown", secret, now)).expect(401)
	old := l.do(service, "POST", "/v3/ec2tokens", sign(access, secret, "2026-11-24T23:50:00Z")).expect(401)
	if string(wrong.raw) != string(unknown.raw) || string(wrong.raw) != string(old.raw) {
		t.Errorf("%s, %s, %s differ", wrong.raw, unknown.raw, old.raw)
	}
	// A key made through a trust is bounded by it.
	trust := l.do(l.token, "POST", "/v3/OS-TRUST/trusts", obj{"trust": l.trust(obj{"impersonation": true, "roles": []obj{{"name": "member"}}})}).expect(201).text("trust.id")
	lent := l.asTrustee(trust).expect(201).header.Get("X-Subject-Token")
	key = l.do(lent, "POST", keys, obj{"tenant_id": l.project}).expect(201)
	access, secret = key.text("credential.access"), key.text("credential.secret")
	a = l.do(service, "POST", "/v3/ec2tokens", sign(access, secret, now)).expect(200)
	if got := a.all("token.roles", "name"); !slices.Equal(got, []string{"member", "reader"}) || a.text("token.OS-TRUST:trust.id") != trust {
		t.Errorf("a key made through a trust gives %s", a.raw)
	}
	l.do(l.token, "DELETE", "/v3/OS-TRUST/trusts/"+trust, nil).expect(204)
	l.do(service, "POST", "/v3/ec2tokens", sign(access, secret, now)).expect(401)
}
