package oidc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity/oidc"
	"github.com/mekcloud/mek/internal/identity/oidc/oidctest"
)

// What keystoneauth's plugins send counts, as JWT and as opaque token.
func TestTokensOfGrants(t *testing.T) {
	password := url.Values{"grant_type": {"password"}, "username": {"ann"}, "password": {"pw"}, "scope": {"openid profile"}}
	machine := url.Values{"grant_type": {"client_credentials"}, "scope": {"openid profile"}}
	for name, c := range map[string]struct {
		form          url.Values
		kind, sub     string
		faults        oidctest.Faults
		email         []string
		asks, opinion int // of userinfo, of introspection
	}{
		"password":           {form: password, kind: "access_token", sub: "u-1", email: []string{"ann@example.org"}, asks: 1},
		"password, rich":     {form: password, kind: "access_token", sub: "u-1", faults: oidctest.Faults{Rich: true}, email: []string{"ann@example.org"}},
		"password, id token": {form: password, kind: "id_token", sub: "u-1", email: []string{"ann@example.org"}},
		"password, opaque":   {form: password, kind: "access_token", sub: "u-1", faults: oidctest.Faults{Opaque: true}, email: []string{"ann@example.org"}, asks: 1, opinion: 1},
		"no issuer is told": {form: password, kind: "access_token", sub: "u-1", faults: oidctest.Faults{Opaque: true, Extra: map[string]any{"iss": nil}},
			email: []string{"ann@example.org"}, asks: 1, opinion: 1},
		"password, signed":     {form: password, kind: "access_token", sub: "u-1", faults: oidctest.Faults{SignedUserinfo: true}, email: []string{"ann@example.org"}, asks: 1},
		"password, bare":       {form: password, kind: "access_token", sub: "u-1", faults: oidctest.Faults{NoUserinfo: true}},
		"credentials":          {form: machine, kind: "access_token", sub: "cloud", asks: 1},
		"credentials, opaque":  {form: machine, kind: "access_token", sub: "cloud", faults: oidctest.Faults{Opaque: true}, asks: 1, opinion: 1},
		"password, no opinion": {form: password, kind: "access_token", sub: "u-1", faults: oidctest.Faults{NoIntrospection: true}, email: []string{"ann@example.org"}, asks: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.idp.Misbehave(c.faults)
			token, ok := w.token("cloud", "s%cret:+", c.form)[c.kind].(string)
			if !ok {
				t.Fatal("no token")
			}
			claims := w.took(w.cloud.Bearer(t.Context(), token))
			want := [][]string{{w.idp.Issuer}, {c.sub}, c.email}
			if diff := cmp.Diff(want, [][]string{claims["iss"], claims["sub"], claims["email"]}); diff != "" {
				t.Error(diff)
			}
			if asks, opinion := w.idp.Calls("/userinfo"), w.idp.Calls("/introspect"); asks != c.asks || opinion != c.opinion {
				t.Errorf("userinfo was asked %d times, introspection %d times", asks, opinion)
			}
		})
	}
}

// Whom a token may be for, whatever says so.
func TestAudience(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change map[string]any
		want   bool
	}{
		"our client":             {nil, true},
		"our other name":         {map[string]any{"aud": "https://cloud.example"}, true},
		"among others":           {map[string]any{"aud": []string{"account", "cloud"}}, true},
		"issued to us":           {map[string]any{"aud": "account", "azp": "cloud"}, true},
		"issued to us, RFC 9068": {map[string]any{"aud": "account", "client_id": "cloud"}, true},
		"for us by another":      {map[string]any{"azp": "cli"}, true},
		"another":                {map[string]any{"aud": "other"}, false},
		"others":                 {map[string]any{"aud": []string{"other", "account"}, "azp": "other", "client_id": "other"}, false},
		"nobody":                 {map[string]any{"aud": nil}, false},
		"empty":                  {map[string]any{"aud": "", "azp": ""}, false},
		"a part of our name":     {map[string]any{"aud": "clou"}, false},
		"our name in a list":     {map[string]any{"aud": "other", "client_id": []string{"cloud"}}, false},
		"a list of parties":      {map[string]any{"aud": "other", "azp": []string{"cloud"}}, false},
		"another claim":          {map[string]any{"aud": "other", "audience": "cloud"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.cloud.Bearer(t.Context(), w.signed(c.change))
			if c.want && err != nil {
				t.Error(err)
			}
			if !c.want {
				fails(t, err, fault.Unauthenticated, "another application")
			}
		})
	}
	// An empty line in a configuration is no name that a token without one has.
	conf := config(w.idp, w.clock)
	conf.Audiences = []string{""}
	_, err := oidc.New(conf).Bearer(t.Context(), w.signed(map[string]any{"aud": "other"}))
	fails(t, err, fault.Unauthenticated, "another application")
	// An opaque token of another application is active as well.
	w.idp.Misbehave(oidctest.Faults{Opaque: true})
	_, err = w.cloud.Bearer(t.Context(), w.accessToken("other"))
	fails(t, err, fault.Unauthenticated, "another application")
}

func TestForgedTokens(t *testing.T) {
	w := newWorld(t)
	second, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	shared := []byte("0123456789abcdef0123456789abcdef")
	w.idp.Publish("second", "sig", second)
	w.idp.Publish("crypt", "enc", second)
	w.idp.Publish("rsa", "", private)
	w.idp.Publish("shared", "", shared)
	kid := func(name string) map[jose.HeaderKey]any { return map[jose.HeaderKey]any{"kid": name} }
	unsigned, err := oidctest.Unsigned(w.claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	good := w.signed(nil)
	w.took(w.cloud.Bearer(t.Context(), good))
	w.took(w.cloud.Bearer(t.Context(), w.forge(jose.ES256, second, kid("second"), false)))
	w.took(w.cloud.Bearer(t.Context(), w.forge(jose.ES256, second, nil, false)))
	w.took(w.cloud.Bearer(t.Context(), w.forge(jose.PS256, private, kid("rsa"), false)))
	parts := strings.Split(good, ".")
	other := strings.Split(w.signed(map[string]any{"sub": "admin"}), ".")
	for name, token := range map[string]string{
		"none":                         unsigned,
		"none in capitals":             base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"NONE"}`)) + "." + parts[1] + ".",
		"no signature":                 parts[0] + "." + parts[1] + ".",
		"another's signature":          parts[0] + "." + other[1] + "." + parts[2],
		"HMAC by our secret":           w.forge(jose.HS256, []byte("s%cret:+s%cret:+s%cret:+s%cret:+"), nil, false),
		"HMAC by a published key":      w.forge(jose.HS256, shared, kid("shared"), false),
		"HMAC by a public key":         w.forge(jose.HS256, der, kid("rsa"), false),
		"a foreign key":                w.forge(jose.ES256, foreign, nil, false),
		"a foreign key by our name":    w.forge(jose.ES256, foreign, kid(w.idp.KeyID()), false),
		"a foreign key that it brings": w.forge(jose.ES256, foreign, nil, true),
		"a foreign key by address":     w.forge(jose.ES256, foreign, map[jose.HeaderKey]any{"jku": w.idp.Issuer + "/elsewhere"}, false),
		"the name of another key":      w.forge(jose.ES256, second, kid(w.idp.KeyID()), false),
		"a key for encryption":         w.forge(jose.ES256, second, kid("crypt"), false),
		"an unknown name":              w.forge(jose.ES256, second, kid("third"), false),
		"a critical header":            w.forge(jose.ES256, second, map[jose.HeaderKey]any{"kid": "second", "crit": []string{"x"}, "x": 1}, false),
	} {
		t.Run(name, func(t *testing.T) {
			w.clock.Advance(time.Minute) // keys are looked for each time
			_, err := w.cloud.Bearer(t.Context(), token)
			fails(t, err, fault.Unauthenticated, "")
		})
	}
	if w.idp.Calls("/introspect") != 0 || w.idp.Calls("/elsewhere") != 0 {
		t.Error("a JWT was introspected, or its header obeyed")
	}
}

func TestClaimsThatDecide(t *testing.T) {
	w := newWorld(t)
	now := w.clock.Now().Unix()
	for name, c := range map[string]struct {
		change map[string]any
		why    string // empty: it counts
	}{
		"another issuer":         {map[string]any{"iss": "https://evil.example"}, "different provider"},
		"no issuer":              {map[string]any{"iss": nil}, "different provider"},
		"a slash more":           {map[string]any{"iss": w.idp.Issuer + "/"}, "different provider"},
		"expired":                {map[string]any{"exp": now - 1}, "expired"},
		"no end":                 {map[string]any{"exp": nil}, "expired"},
		"audience as object":     {map[string]any{"aud": map[string]any{"cloud": true}}, "unmarshal"},
		"an end in words":        {map[string]any{"exp": "tomorrow"}, ""},
		"an end as text":         {map[string]any{"exp": "1900000000"}, ""},
		"not yet":                {map[string]any{"nbf": now + 120}, "not valid yet"},
		"a second spelling":      {map[string]any{"aud": "other", "AUD": "cloud"}, "second spelling"},
		"a long s":               {map[string]any{"i\u017fs": "https://evil.example"}, ""},
		"a later end":            {map[string]any{"Exp": now + 6000}, "second spelling"},
		"no subject's name":      {map[string]any{"sub": ""}, "different subjects"},
		"a number as subject":    {map[string]any{"sub": 7}, ""},
		"a logout":               {map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}, "no access or id token"},
		"a refresh token":        {map[string]any{"typ": "Refresh"}, "no access or id token"},
		"too deep":               {map[string]any{"x": []any{[]any{[]any{[]any{[]any{[]any{[]any{[]any{1}}}}}}}}}, "too many, too deep"},
		"sources of more claims": {map[string]any{"_claim_names": map[string]string{"groups": "s"}}, "source does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.cloud.Bearer(t.Context(), w.signed(c.change))
			fails(t, err, fault.Unauthenticated, c.why)
		})
	}
	for name, change := range map[string]map[string]any{
		"a clock that is ahead": {"nbf": now + 50},
		"a fraction":            {"exp": float64(now) + 0.5 + 1},
		"no subject":            {"sub": nil},
		"sources": {"_claim_names": map[string]string{"groups": "s"},
			"_claim_sources": map[string]any{"s": map[string]any{"endpoint": w.idp.Issuer + "/more", "access_token": "secret"}}},
	} {
		t.Run(name, func(t *testing.T) {
			claims := w.took(w.cloud.Bearer(t.Context(), w.signed(change)))
			for name := range claims {
				if strings.HasPrefix(name, "_claim") {
					t.Errorf("%s is passed on", name)
				}
			}
		})
	}
	if w.idp.Calls("/more") != 0 {
		t.Error("an address from a token was called")
	}
}

// The provider's own misbehaviour, as the token endpoint issues it.
func TestMisissuedTokens(t *testing.T) {
	for name, c := range map[string]struct {
		faults oidctest.Faults
		kind   fault.Kind
		why    string
	}{
		"issuer":             {oidctest.Faults{Issuer: "https://evil.example"}, fault.Unauthenticated, "different provider"},
		"expired":            {oidctest.Faults{Lifetime: -time.Second}, fault.Unauthenticated, "expired"},
		"not yet":            {oidctest.Faults{NotBefore: time.Hour}, fault.Unauthenticated, "nbf"},
		"none":               {oidctest.Faults{Algorithm: "none"}, fault.Unauthenticated, "malformed"},
		"HMAC":               {oidctest.Faults{Algorithm: "HS256"}, fault.Unauthenticated, "malformed"},
		"key":                {oidctest.Faults{KeyID: "gone"}, fault.Unauthenticated, "verify signature"},
		"audience":           {oidctest.Faults{Audience: "other"}, fault.Unauthenticated, "another application"},
		"subject":            {oidctest.Faults{Subject: "u-2"}, fault.Unauthenticated, "different subjects"},
		"opaque, expired":    {oidctest.Faults{Opaque: true, Lifetime: -time.Second}, fault.Unauthenticated, "not active"},
		"opaque, not yet":    {oidctest.Faults{Opaque: true, NotBefore: time.Hour}, fault.Unauthenticated, "not valid yet"},
		"opaque, ended":      {oidctest.Faults{Opaque: true, Extra: map[string]any{"exp": 1_700_000_000}}, fault.Unauthenticated, "not valid yet"},
		"opaque, issuer":     {oidctest.Faults{Opaque: true, Issuer: "https://evil.example"}, fault.Unauthenticated, "another issuer"},
		"opaque, subject":    {oidctest.Faults{Opaque: true, Subject: "u-2"}, fault.Unauthenticated, "different subjects"},
		"opaque, spelling":   {oidctest.Faults{Opaque: true, Extra: map[string]any{"Active": true}}, fault.Unauthenticated, "second spelling"},
		"opaque, truth":      {oidctest.Faults{Opaque: true, Extra: map[string]any{"active": "true"}}, fault.Unauthenticated, "not active"},
		"opaque, refresh":    {oidctest.Faults{Opaque: true, Extra: map[string]any{"token_type": "refresh_token"}}, fault.Unauthenticated, "no access or id token"},
		"opaque, no opinion": {oidctest.Faults{Opaque: true, NoIntrospection: true}, fault.Unauthenticated, "no introspection"},
		"opaque, 400":        {oidctest.Faults{Opaque: true, Status: map[string]int{"/introspect": 400}}, fault.Unauthenticated, "not active"},
		"opaque, 401":        {oidctest.Faults{Opaque: true, Status: map[string]int{"/introspect": 401}}, fault.Unavailable, "answers 401"},
		"opaque, 500":        {oidctest.Faults{Opaque: true, Status: map[string]int{"/introspect": 500}}, fault.Unavailable, "answers 500"},
		"opaque, nothing":    {oidctest.Faults{Opaque: true, Status: map[string]int{"/introspect": 200}}, fault.Unavailable, "EOF"},
		"opaque, away":       {oidctest.Faults{Opaque: true, Redirect: map[string]string{"/introspect": "/elsewhere"}}, fault.Unavailable, "redirects"},
		"userinfo, 500":      {oidctest.Faults{Status: map[string]int{"/userinfo": 500}}, fault.Unavailable, "answers 500"},
		"userinfo, nothing":  {oidctest.Faults{Status: map[string]int{"/userinfo": 200}}, fault.Unavailable, "EOF"},
		"userinfo, away":     {oidctest.Faults{Redirect: map[string]string{"/userinfo": "/elsewhere"}}, fault.Unavailable, "redirects"},
		"userinfo, signed":   {oidctest.Faults{SignedUserinfo: true, Algorithm: "none"}, fault.Unauthenticated, "malformed"},
		"keys, 500":          {oidctest.Faults{Status: map[string]int{"/keys": 500}}, fault.Unavailable, "answers 500"},
		"keys, nothing":      {oidctest.Faults{Status: map[string]int{"/keys": 200}}, fault.Unavailable, "unexpected end"},
		"keys, long":         {oidctest.Faults{Padding: 2 << 20}, fault.Unavailable, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.idp.Misbehave(oidctest.Faults{NoIntrospection: c.faults.NoIntrospection})
			if _, err := w.cloud.AuthCodeURL(t.Context(), redirectURI, "s", "n", "v"); err != nil { // discovery is known
				t.Fatal(err)
			}
			w.idp.Misbehave(c.faults)
			_, err := w.cloud.Bearer(t.Context(), w.accessToken("cloud"))
			fails(t, err, c.kind, c.why)
			if w.idp.Calls("/elsewhere") != 0 {
				t.Error("a redirect was followed")
			}
		})
	}
}

// A signed userinfo answer is judged by its signature too.
func TestForgedUserinfo(t *testing.T) {
	w := newWorld(t)
	token := w.accessToken("cloud")
	w.idp.Misbehave(oidctest.Faults{SignedUserinfo: true, KeyID: "gone"})
	_, err := w.cloud.Bearer(t.Context(), token)
	fails(t, err, fault.Unavailable, "verify signature")
}

func TestTokensThatAreNone(t *testing.T) {
	w := newWorld(t)
	for _, token := range []string{"", " ", "a b", "a\r\nX-Evil: 1", "t\u00e4", strings.Repeat("x", 64<<10+1)} {
		_, err := w.cloud.Bearer(t.Context(), token)
		fails(t, err, fault.Unauthenticated, "characters")
	}
	if w.idp.Calls("/introspect") != 0 {
		t.Error("what cannot be a token was sent to the provider")
	}
	for _, token := range []string{"x", "a.b.c", "..", "eyJhbGciOiJSUzI1NiJ9", "a.b.c.d.e", "YQ.YQ.YQ"} {
		_, err := w.cloud.Bearer(t.Context(), token)
		fails(t, err, fault.Unauthenticated, "not active")
	}
}

// A key that the provider has changed is found again; tokens with unknown keys
// do not make us ask without end, and do not cost those that are good.
func TestRotatedKeys(t *testing.T) {
	w := newWorld(t)
	old := w.signed(nil)
	w.took(w.cloud.Bearer(t.Context(), old))
	w.idp.Rotate()
	w.took(w.cloud.Bearer(t.Context(), old)) // nobody has told us yet
	w.clock.Advance(11 * time.Second)
	w.took(w.cloud.Bearer(t.Context(), w.signed(nil)))
	_, err := w.cloud.Bearer(t.Context(), old)
	fails(t, err, fault.Unauthenticated, "verify signature")
	if n := w.idp.Calls("/keys"); n != 2 {
		t.Fatalf("keys were asked for %d times", n)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(11 * time.Second)
	for range 20 {
		_, err := w.cloud.Bearer(t.Context(), w.forge(jose.ES256, stranger, map[jose.HeaderKey]any{"kid": "stranger"}, false))
		fails(t, err, fault.Unauthenticated, "verify signature")
	}
	if n := w.idp.Calls("/keys"); n != 3 {
		t.Errorf("twenty forged tokens made us ask %d times", n-2)
	}
	// While keys cannot be fetched, those that are known go on.
	w.clock.Advance(11 * time.Second)
	w.idp.Misbehave(oidctest.Faults{Status: map[string]int{"/keys": http.StatusBadGateway}})
	_, err = w.cloud.Bearer(t.Context(), w.forge(jose.ES256, stranger, nil, false))
	fails(t, err, fault.Unavailable, "answers 502")
	w.took(w.cloud.Bearer(t.Context(), w.signed(nil)))
	// A withdrawn key ends with the hour, without a token that asks for new ones.
	w.idp.Misbehave(oidctest.Faults{})
	last := w.signed(map[string]any{"exp": w.clock.Now().Unix() + 9000})
	w.idp.Rotate()
	w.clock.Advance(time.Hour)
	_, err = w.cloud.Bearer(t.Context(), last)
	fails(t, err, fault.Unauthenticated, "verify signature")
}

// A provider that says nothing costs a request ten seconds at most, and the
// next one nothing.
func TestSilentProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud := oidc.New(oidc.Config{Issuer: "https://idp.example", ClientID: "cloud", Clock: clock.Real{}, HTTP: &http.Client{Transport: silence{}}})
		for _, want := range []time.Duration{10 * time.Second, 0} {
			began := time.Now()
			_, err := cloud.Bearer(t.Context(), "opaque")
			fails(t, err, fault.Unavailable, "deadline exceeded")
			if took := time.Since(began); took != want {
				t.Errorf("took %s, not %s", took, want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.Sleep(10 * time.Second)
		began := time.Now()
		_, err := cloud.Exchange(ctx, redirectURI, "code", "n", verifier)
		fails(t, err, fault.Unavailable, "deadline exceeded")
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// silence is a network in which nothing answers.
type silence struct{}

func (silence) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// Whatever stands in an Authorization header, a stranger stays outside and the
// provider is not to blame.
func FuzzBearer(f *testing.F) {
	c := clock.NewFake(time.Unix(1_800_000_000, 0))
	idp := oidctest.Start(f, c)
	idp.AddClient(oidctest.Client{ID: "cloud", Secret: "s%cret:+"})
	cloud := oidc.New(config(idp, c))
	token, err := oidctest.Unsigned(map[string]any{"iss": idp.Issuer, "sub": "u", "aud": "cloud", "exp": 1_900_000_000})
	if err != nil {
		f.Fatal(err)
	}
	other, err := idp.Sign(map[string]any{"iss": idp.Issuer, "sub": "u", "aud": "other", "exp": 1_900_000_000})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "x", "..", "a.b.c", token, other, other + "x", strings.ToUpper(other), `{"payload":"e30","signatures":[]}`, "a.b.c.d.e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if claims, err := cloud.Bearer(t.Context(), token); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%q: %v, %v", token, claims, err)
		}
	})
}

// A JWT is what has three parts and a header with an algorithm: no other
// spelling of a header turns it into something that the provider judges.
func TestHeadersOfTokens(t *testing.T) {
	w := newWorld(t)
	body, err := json.Marshal(w.claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{`{"alg":"none"}`, `{"ALG":"none"}`, `{"alg":"HS256","kid":"x"}`, `{"alg":"ES256","alg":"none"}`} {
		token := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(body) + ".AA"
		_, err := w.cloud.Bearer(t.Context(), token)
		fails(t, err, fault.Unauthenticated, "")
	}
}
