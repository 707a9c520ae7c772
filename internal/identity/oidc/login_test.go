package oidc_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity/oidc"
	"github.com/mekcloud/mek/internal/identity/oidc/oidctest"
)

const verifier = "a-verifier-of-43-characters-0123456789abcdef"

// begin is a browser's way to a code.
func (w *world) begin(nonce string) (code string) {
	w.Helper()
	address, err := w.cloud.AuthCodeURL(w.Context(), redirectURI, "state-1", nonce, verifier)
	if err != nil {
		w.Fatal(err)
	}
	code, state := w.browser(address)
	if state != "state-1" || code == "" {
		w.Fatalf("code %q, state %q", code, state)
	}
	return code
}

func TestLogin(t *testing.T) {
	for name, faults := range map[string]oidctest.Faults{"": {}, "signed userinfo": {SignedUserinfo: true}, "opaque": {Opaque: true}, "no userinfo": {NoUserinfo: true},
		"userinfo refuses": {Status: map[string]int{"/userinfo": http.StatusForbidden}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.idp.Misbehave(faults)
			claims := w.took(w.cloud.Exchange(t.Context(), redirectURI, w.begin("n-1"), "n-1", verifier))
			for name, want := range map[string][]string{"iss": {w.idp.Issuer}, "sub": {"u-1"}, "email": {"ann@example.org"}, "groups": {"ops", "dev"}, "aud": {"cloud"}} {
				if diff := cmp.Diff(want, claims[name]); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
			want := []string{"u-1@" + w.idp.Issuer} // only https:// is left out
			if diff := cmp.Diff(want, claims.Environment()["REMOTE_USER"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is signed in the token counts; userinfo adds to it.
func TestTokenComesFirst(t *testing.T) {
	w := newWorld(t)
	w.idp.Misbehave(oidctest.Faults{Extra: map[string]any{"email": "token@example.org", "groups": nil}})
	claims := w.took(w.cloud.Exchange(t.Context(), redirectURI, w.begin("n"), "n", verifier))
	if diff := cmp.Diff([][]string{{"token@example.org"}, {"ops", "dev"}}, [][]string{claims["email"], claims["groups"]}); diff != "" {
		t.Error(diff)
	}
}

func TestAddressOfLogin(t *testing.T) {
	w := newWorld(t)
	address, err := w.cloud.AuthCodeURL(t.Context(), redirectURI, "s", "n", verifier)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if got := slices.Sorted(maps.Keys(q)); !slices.Equal(got, []string{"client_id", "code_challenge", "code_challenge_method", "nonce", "redirect_uri", "response_type", "scope", "state"}) {
		t.Errorf("parameters %v", got)
	}
	if q.Get("code_challenge_method") != "S256" || q.Get("scope") != "openid email" || q.Get("nonce") != "n" || strings.Contains(address, verifier) {
		t.Error(address)
	}
	for _, bad := range [][3]string{{"", "n", "v"}, {"s", "", "v"}, {"s", "n", ""}} {
		_, err := w.cloud.AuthCodeURL(t.Context(), redirectURI, bad[0], bad[1], bad[2])
		fails(t, err, fault.Internal, "without")
	}
}

func TestForgedLogins(t *testing.T) {
	for name, c := range map[string]struct {
		faults oidctest.Faults
		kind   fault.Kind
		why    string
	}{
		"nonce of another login":   {oidctest.Faults{Nonce: "n-2"}, fault.Unauthenticated, "another login"},
		"issuer":                   {oidctest.Faults{Issuer: "https://evil.example"}, fault.Unauthenticated, "different provider"},
		"audience":                 {oidctest.Faults{Audience: "other"}, fault.Unauthenticated, "expected audience"},
		"audience by another name": {oidctest.Faults{Audience: "https://cloud.example"}, fault.Unauthenticated, "expected audience"},
		"party":                    {oidctest.Faults{Audience: []string{"cloud", "other"}, Extra: map[string]any{"azp": "other"}}, fault.Unauthenticated, "another party"},
		"parties":                  {oidctest.Faults{Extra: map[string]any{"azp": []string{"cloud"}}}, fault.Unauthenticated, "another party"},
		"expired":                  {oidctest.Faults{Lifetime: -time.Second}, fault.Unauthenticated, "expired"},
		"not yet":                  {oidctest.Faults{NotBefore: 2 * time.Minute}, fault.Unauthenticated, "not valid yet"},
		"none":                     {oidctest.Faults{Algorithm: "none"}, fault.Unauthenticated, "malformed"},
		"HMAC":                     {oidctest.Faults{Algorithm: "HS256"}, fault.Unauthenticated, "malformed"},
		"key":                      {oidctest.Faults{KeyID: "gone"}, fault.Unauthenticated, "verify signature"},
		"another's access token":   {oidctest.Faults{Extra: map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}}, fault.Unauthenticated, "access token hash"},
		"no subject":               {oidctest.Faults{Extra: map[string]any{"sub": nil}}, fault.Unauthenticated, "subjects"},
		"no subject at all":        {oidctest.Faults{NoUserinfo: true, Extra: map[string]any{"sub": nil}}, fault.Unauthenticated, "subjects"},
		"second spelling":          {oidctest.Faults{Extra: map[string]any{"Nonce": "n-1"}}, fault.Unauthenticated, "second spelling"},
		"userinfo of another":      {oidctest.Faults{Subject: "u-2"}, fault.Unauthenticated, "different subjects"},
		"userinfo fails":           {oidctest.Faults{Status: map[string]int{"/userinfo": 503}}, fault.Unavailable, "answers 503"},
		"token endpoint fails":     {oidctest.Faults{Status: map[string]int{"/token": 503}}, fault.Unavailable, "answers 503"},
		"token endpoint away":      {oidctest.Faults{Redirect: map[string]string{"/token": "/elsewhere"}}, fault.Unavailable, "redirects"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.idp.Misbehave(c.faults)
			_, err := w.cloud.Exchange(t.Context(), redirectURI, w.begin("n-1"), "n-1", verifier)
			fails(t, err, c.kind, c.why)
			if w.idp.Calls("/elsewhere") != 0 {
				t.Error("a redirect was followed")
			}
		})
	}
}

// What the browser brings back has to be of this login.
func TestCodes(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	_, err := w.cloud.Exchange(ctx, redirectURI, "", "n-1", verifier)
	fails(t, err, fault.Unauthenticated, "no authorization code")
	_, err = w.cloud.Exchange(ctx, redirectURI, "x", "", verifier)
	fails(t, err, fault.Internal, "without")
	_, err = w.cloud.Exchange(ctx, redirectURI, "x", "n-1", "")
	fails(t, err, fault.Internal, "without")
	_, err = w.cloud.Exchange(ctx, redirectURI, "guessed", "n-1", verifier)
	fails(t, err, fault.Unauthenticated, "invalid_grant")
	_, err = w.cloud.Exchange(ctx, redirectURI, w.begin("n-1"), "n-1", verifier+"x")
	fails(t, err, fault.Unauthenticated, "invalid_grant")
	_, err = w.cloud.Exchange(ctx, redirectURI+"/other", w.begin("n-1"), "n-1", verifier)
	fails(t, err, fault.Unauthenticated, "invalid_grant")
	code := w.begin("n-1")
	w.took(w.cloud.Exchange(ctx, redirectURI, code, "n-1", verifier))
	_, err = w.cloud.Exchange(ctx, redirectURI, code, "n-1", verifier)
	fails(t, err, fault.Unauthenticated, "invalid_grant")
	// A code of an earlier login does not do for a later one.
	_, err = w.cloud.Exchange(ctx, redirectURI, w.begin("n-1"), "n-2", verifier)
	fails(t, err, fault.Unauthenticated, "another login")
}

// A wrong secret of ours is no fault of the user's.
func TestProviderDoesNotKnowUs(t *testing.T) {
	w := newWorld(t)
	code := w.begin("n-1")
	conf := config(w.idp, w.clock)
	conf.ClientSecret = "wrong"
	_, err := oidc.New(conf).Exchange(t.Context(), redirectURI, code, "n-1", verifier)
	fails(t, err, fault.Unavailable, "invalid_client")
	_, err = oidc.New(conf).Bearer(t.Context(), "opaque")
	fails(t, err, fault.Unavailable, "answers 401")
}

// Public clients send no secret; the form is used where the header is not taken.
func TestHowWeIdentifyOurselves(t *testing.T) {
	w := newWorld(t)
	w.idp.AddClient(oidctest.Client{ID: "public", Redirects: []string{redirectURI}})
	conf := config(w.idp, w.clock)
	conf.ClientID, conf.ClientSecret = "public", ""
	w.cloud = oidc.New(conf)
	w.took(w.cloud.Exchange(t.Context(), redirectURI, w.begin("n"), "n", verifier))
	w.idp.Misbehave(oidctest.Faults{Opaque: true})
	w.took(w.cloud.Bearer(t.Context(), w.accessToken("public")))

	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/openid-configuration") {
			at := "http://" + r.Host
			_, _ = rw.Write([]byte(`{"issuer":"` + at + `","token_endpoint":"` + at + `/t","introspection_endpoint":"` + at + `/i","token_endpoint_auth_methods_supported":["client_secret_post"]}`))
			return
		}
		seen = append(seen, r.URL.Path+" "+r.PostFormValue("client_secret")+r.Header.Get("Authorization"))
		rw.WriteHeader(http.StatusBadRequest)
	}))
	defer server.Close()
	conf = config(w.idp, w.clock)
	conf.Issuer = server.URL
	byForm := oidc.New(conf)
	_, err := byForm.Bearer(t.Context(), "opaque")
	fails(t, err, fault.Unauthenticated, "not active")
	_, err = byForm.Exchange(t.Context(), redirectURI, "code", "n", verifier)
	fails(t, err, fault.Unavailable, "answers 400")
	if diff := cmp.Diff([]string{"/i s%cret:+", "/t s%cret:+"}, seen); diff != "" {
		t.Error(diff)
	}
	_, err = byForm.AuthCodeURL(t.Context(), redirectURI, "s", "n", verifier)
	fails(t, err, fault.Unavailable, "no such endpoint")
}
