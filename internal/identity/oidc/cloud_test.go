package oidc_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity/oidc"
	"github.com/mekcloud/mek/internal/identity/oidc/oidctest"
)

const redirectURI = "https://cloud.example/identity/v3/auth/OS-FEDERATION/websso/redirect"

// world is a provider with two applications, of which the cloud is one.
type world struct {
	*testing.T
	idp   *oidctest.Provider
	clock *clock.Fake
	cloud *oidc.Provider
}

func config(idp *oidctest.Provider, c clock.Clock) oidc.Config {
	return oidc.Config{Issuer: idp.Issuer, ClientID: "cloud", ClientSecret: "s%cret:+", Scopes: []string{"email"}, Audiences: []string{"https://cloud.example"}, Clock: c}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c := clock.NewFake(time.Unix(1_800_000_000, 0))
	idp := oidctest.Start(t, c)
	idp.AddClient(oidctest.Client{ID: "cloud", Secret: "s%cret:+", Redirects: []string{redirectURI}})
	idp.AddClient(oidctest.Client{ID: "other", Secret: "other", Redirects: []string{redirectURI}})
	idp.AddUser(oidctest.User{Name: "ann", Password: "pw", Claims: map[string]any{"sub": "u-1", "email": "ann@example.org", "groups": []string{"ops", "dev"}}})
	idp.AddUser(oidctest.User{Name: "bob", Password: "pw"})
	idp.SignIn("ann")
	return &world{T: t, idp: idp, clock: c, cloud: oidc.New(config(idp, c))}
}

// accessToken is ann's, for a client.
func (w *world) accessToken(client string) string {
	w.Helper()
	token, err := w.idp.AccessToken("ann", client)
	if err != nil {
		w.Fatal(err)
	}
	return token
}

// claims are those of a good access token, changed; nil takes one away.
func (w *world) claims(change map[string]any) map[string]any {
	now := w.clock.Now().Unix()
	out := map[string]any{"iss": w.idp.Issuer, "sub": "u-1", "aud": "cloud", "exp": now + 600, "iat": now, "email": "ann@example.org"}
	for name, value := range change {
		if out[name] = value; value == nil {
			delete(out, name)
		}
	}
	return out
}

func (w *world) signed(change map[string]any) string {
	w.Helper()
	token, err := w.idp.Sign(w.claims(change))
	if err != nil {
		w.Fatal(err)
	}
	return token
}

// forge signs with any key under any header.
func (w *world) forge(alg jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any, embed bool) string {
	w.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, &jose.SignerOptions{ExtraHeaders: header, EmbedJWK: embed})
	if err != nil {
		w.Fatal(err)
	}
	body, err := json.Marshal(w.claims(nil))
	if err != nil {
		w.Fatal(err)
	}
	jws, err := signer.Sign(body)
	if err != nil {
		w.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		w.Fatal(err)
	}
	return token
}

// took checks that somebody was let in, and gives the claims.
func (w *world) took(claims oidc.Claims, err error) oidc.Claims {
	w.Helper()
	if err != nil {
		w.Fatalf("refused: %v", err)
	}
	return claims
}

// fails checks a failure: its kind, a word of its private cause, and that the
// public text tells nothing of it.
func fails(t *testing.T, err error, kind fault.Kind, why string) {
	t.Helper()
	if !fault.Is(err, kind) || !strings.Contains(err.Error(), why) {
		t.Errorf("%v: want %s because of %q", err, kind, why)
		return
	}
	if kind == fault.Unauthenticated && fault.As(err).Text != "The request you have made requires authentication." {
		t.Errorf("the text tells why: %s", fault.As(err).Text)
	}
}

// browser follows the address of a login to the code that comes back.
func (w *world) browser(address string) (code, state string) {
	w.Helper()
	client := &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		w.Fatal(err)
	}
	reply, err := client.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer reply.Body.Close()
	to, err := url.Parse(reply.Header.Get("Location"))
	if err != nil || reply.StatusCode != http.StatusFound || !strings.HasPrefix(to.String(), redirectURI+"?") {
		w.Fatalf("%s: %d to %s, %v", address, reply.StatusCode, to, err)
	}
	return to.Query().Get("code"), to.Query().Get("state")
}

// token asks the token endpoint as keystoneauth does.
func (w *world) token(client, secret string, form url.Values) map[string]any {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.idp.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(client, secret)
	reply, err := (&http.Client{Timeout: time.Minute}).Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer reply.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(reply.Body).Decode(&body); err != nil {
		w.Fatal(err)
	}
	return body
}
