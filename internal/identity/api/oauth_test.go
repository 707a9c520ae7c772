package identityapi

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/identity"
)

// oauthHeader signs a request of ours as an OAuth client does.
func (k *keystone) oauthHeader(path, consumer, consumerSecret, token, tokenSecret, verifier string) string {
	params := map[string]string{"oauth_consumer_key": consumer, "oauth_nonce": "n1", "oauth_signature_method": "HMAC-SHA1",
		"oauth_timestamp": fmt.Sprint(k.clock.Now().Unix()), "oauth_version": "1.0"}
	if token != "" {
		params["oauth_token"] = token
	}
	if verifier != "" {
		params["oauth_verifier"] = verifier
	}
	var names, words []string
	for name := range params {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		words = append(words, name+"="+url.QueryEscape(params[name]))
	}
	text := "POST&" + url.QueryEscape(k.url+"/identity"+path) + "&" + url.QueryEscape(strings.Join(words, "&"))
	m := hmac.New(sha1.New, []byte(consumerSecret+"&"+tokenSecret))
	m.Write([]byte(text))
	header := `OAuth oauth_signature="` + url.QueryEscape(base64.StdEncoding.EncodeToString(m.Sum(nil))) + `"`
	for _, name := range names {
		header += `, ` + name + `="` + url.QueryEscape(params[name]) + `"`
	}
	return header
}

func (a *answer) form() (token, secret string) {
	a.Helper()
	v, err := url.ParseQuery(string(a.raw))
	if err != nil || v.Get("oauth_token") == "" || v.Get("oauth_expires_at") == "" {
		a.Fatalf("not a token: %q", a.raw)
	}
	return v.Get("oauth_token"), v.Get("oauth_token_secret")
}

func TestRolesAreLentByOAuth(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		made := k.do(k.admin, "POST", "/v3/OS-OAUTH1/consumers", obj{"consumer": obj{"description": "c", "colour": "red"}}).expect(201)
		consumer, secret := made.text("consumer.id"), made.text("consumer.secret")
		if a := k.do(k.admin, "GET", "/v3/OS-OAUTH1/consumers/"+consumer, nil).expect(200); a.at("consumer.secret") != nil || a.text("consumer.colour") != "red" {
			t.Errorf("consumer %s", a.raw)
		}
		k.do(k.admin, "PATCH", "/v3/OS-OAUTH1/consumers/"+consumer, obj{"consumer": obj{"secret": "mine"}}).expect(400)
		k.do(k.admin, "PATCH", "/v3/OS-OAUTH1/consumers/"+consumer, obj{"consumer": obj{"description": "d"}}).expect(200)
		who := k.auth(byPassword("admin", "admin-pw"), onProject("admin")).expect(201)
		user, project := who.text("token.user.id"), who.text("token.project.id")
		const ask, exchange, login = "/v3/OS-OAUTH1/request_token", "/v3/OS-OAUTH1/access_token", "/v3/auth/tokens"
		post := func(path, header string, more ...string) *answer {
			return k.do("", "POST", path, nil, append([]string{"Authorization", header}, more...)...)
		}
		post(ask, k.oauthHeader(ask, consumer, secret, "", "", "")).expect(400) // names no project
		post(ask, k.oauthHeader(ask, consumer, "wrong", "", "", ""), "Requested-Project-Id", project).expect(401)
		post(ask, k.oauthHeader(ask, "unknown", secret, "", "", ""), "Requested-Project-Id", project).expect(404)
		request, requestSecret := post(ask, k.oauthHeader(ask, consumer, secret, "", "", ""), "Requested-Project-Id", project).expect(201).form()
		post(exchange, k.oauthHeader(exchange, consumer, secret, request, requestSecret, "guess")).expect(401) // not granted
		k.do(k.admin, "PUT", "/v3/OS-OAUTH1/authorize/"+request, obj{"roles": []obj{{"name": "unknown"}}}).expect(401)
		verifier := k.do(k.admin, "PUT", "/v3/OS-OAUTH1/authorize/"+request, obj{"roles": []obj{{"name": "member"}}}).expect(200).text("token.oauth_verifier")
		post(exchange, k.oauthHeader(exchange, consumer, secret, request, requestSecret, "guess123")).expect(401)
		access, accessSecret := post(exchange, k.oauthHeader(exchange, consumer, secret, request, requestSecret, verifier)).expect(201).form()
		post(exchange, k.oauthHeader(exchange, consumer, secret, request, requestSecret, verifier)).expect(404) // once
		body := obj{"auth": obj{"identity": obj{"methods": []string{"oauth1"}, "oauth1": obj{}}}}
		enter := func(s string) *answer {
			return k.do("", "POST", login, body, "Authorization", k.oauthHeader(login, consumer, secret, access, s, ""))
		}
		enter("wrong").expect(401)
		a := enter(accessSecret).expect(201)
		token := a.header.Get("X-Subject-Token")
		if got := a.all("token.roles", "name"); !slices.Equal(got, []string{"member", "reader"}) || a.text("token.OS-OAUTH1.consumer_id") != consumer || a.text("token.project.id") != project {
			t.Errorf("token %s", a.raw)
		}
		k.auth(byToken(token), nil).expect(403) // lends nothing on
		k.do(token, "POST", "/v3/users/"+user+"/application_credentials", obj{"application_credential": obj{"name": "x"}}).expect(403)
		k.do(token, "POST", "/v3/users/"+user+"/credentials/OS-EC2", obj{"tenant_id": project}).expect(403)
		of := "/v3/users/" + user + "/OS-OAUTH1/access_tokens"
		if got := k.do(k.admin, "GET", of, nil).expect(200).all("access_tokens", "id"); !slices.Equal(got, []string{access}) {
			t.Errorf("access tokens %v", got)
		}
		if a := k.do(k.admin, "GET", of+"/"+access, nil).expect(200); a.at("access_token.secret") != nil || a.text("access_token.project_id") != project {
			t.Errorf("access token %s", a.raw)
		}
		member := k.role("member")
		if got := k.do(k.admin, "GET", of+"/"+access+"/roles", nil).expect(200).all("roles", "id"); !slices.Equal(got, []string{member}) {
			t.Errorf("roles %v", got)
		}
		k.do(k.admin, "GET", of+"/"+access+"/roles/"+member, nil).expect(200)
		k.do(k.admin, "GET", of+"/"+access+"/roles/"+k.role("admin"), nil).expect(404)
		k.do(k.admin, "DELETE", of+"/"+access, nil).expect(204)
		if k.alive(token) {
			t.Error("a token outlives the access token it was made with")
		}
		enter(accessSecret).expect(404)
		k.do(k.admin, "DELETE", "/v3/OS-OAUTH1/consumers/"+consumer, nil).expect(204)
		k.do(k.admin, "GET", "/v3/OS-OAUTH1/consumers/"+consumer, nil).expect(404)
	})
}

func TestOAuth2ClientCredentials(t *testing.T) {
	l := lend(t)
	id, secret := l.appCredential(l.token, obj{"name": "app"})
	const path = "/v3/OS-OAUTH2/token"
	basic := func(id, secret string) []string {
		return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret)), "Content-Type", "application/x-www-form-urlencoded"}
	}
	a := l.do("", "POST", path, "grant_type=client_credentials", basic(id, secret)...).expect(200)
	if a.text("token_type") != "Bearer" || a.at("expires_in") != 3600.0 || !l.alive(a.text("access_token")) {
		t.Errorf("token %s", a.raw)
	}
	if a := l.do("", "POST", path, "grant_type=client_credentials", basic(id, "wrong")...).expect(401); a.text("error") != "invalid_client" || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("answer %s", a.raw)
	}
	if a := l.do("", "POST", path, "grant_type=password", basic(id, secret)...).expect(400); a.text("error") != "unsupported_grant_type" {
		t.Errorf("answer %s", a.raw)
	}
	if a := l.do("", "POST", path, "", basic(id, secret)...).expect(400); a.text("error") != "invalid_request" {
		t.Errorf("answer %s", a.raw)
	}
}

// oneTime is the code that a program shows for a secret at a moment.
func oneTime(t *testing.T, secret string, at time.Time) string {
	t.Helper()
	key, err := base32.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	m := hmac.New(sha1.New, key)
	if err := binary.Write(m, binary.BigEndian, at.Unix()/30); err != nil {
		t.Fatal(err)
	}
	sum := m.Sum(nil)
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff)%1000000)
}

// A user whose rules ask for two methods gets a receipt for the first.
func TestSecondFactors(t *testing.T) {
	l := lend(t)
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	if got := oneTime(t, secret, time.Unix(59, 0)); got != "287082" { // RFC 6238's, in six digits
		t.Fatalf("the test's code is %s", got)
	}
	l.do(l.token, "POST", "/v3/credentials", obj{"credential": obj{"user_id": l.user, "type": "totp", "blob": secret}}).expect(201)
	byCode := func(code string) obj {
		return obj{"methods": []string{"totp"}, "totp": obj{"user": obj{"id": l.user, "passcode": code}}}
	}
	l.auth(byCode("000000"), nil).expect(401)
	l.auth(byCode(oneTime(t, secret, l.clock.Now().Add(-2*time.Minute))), nil).expect(401)
	if a := l.auth(byCode(oneTime(t, secret, l.clock.Now())), onProject("demo")).expect(201); a.text("token.methods.0") != "totp" {
		t.Errorf("token %s", a.raw)
	}
	l.do(l.admin, "PATCH", "/v3/users/"+l.user, obj{"user": obj{"options": obj{"multi_factor_auth_enabled": true,
		"multi_factor_auth_rules": [][]string{{"password", "totp"}}}}}).expect(200)
	first := l.auth(byPassword("demo", "demo-pw"), onProject("demo")).expect(401)
	receipt := first.header.Get("Openstack-Auth-Receipt")
	if receipt == "" || first.text("receipt.user.id") != l.user || first.text("required_auth_methods.0.1") != "totp" {
		t.Fatalf("answer %s", first.raw)
	}
	second := func(code, receipt string) *answer {
		return l.do("", "POST", "/v3/auth/tokens", obj{"auth": obj{"identity": byCode(code), "scope": onProject("demo")}}, "Openstack-Auth-Receipt", receipt)
	}
	now := oneTime(t, secret, l.clock.Now())
	second("000000", receipt).expect(401)
	second(now, "nonsense").expect(401)
	second(now, l.token).expect(401) // a token is no receipt
	a := second(now, receipt).expect(201)
	if got := a.at("token.methods").([]any); len(got) != 2 || !l.alive(a.header.Get("X-Subject-Token")) {
		t.Errorf("token %s", a.raw)
	}
	if l.alive(receipt) {
		t.Error("a receipt is taken for a token")
	}
	l.clock.Advance(6 * time.Minute)
	second(oneTime(t, secret, l.clock.Now()), receipt).expect(401)
}
