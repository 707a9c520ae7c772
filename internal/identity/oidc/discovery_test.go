package oidc_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity/oidc"
	"github.com/mekcloud/mek/internal/identity/oidc/oidctest"
)

const wellKnown = "/.well-known/openid-configuration"

func (w *world) login() error {
	_, err := w.cloud.AuthCodeURL(w.Context(), redirectURI, "s", "n", verifier)
	return err
}

func TestDiscoveryIsKept(t *testing.T) {
	w := newWorld(t)
	if n := w.idp.Calls(wellKnown); n != 0 {
		t.Fatalf("New has called the provider %d times", n)
	}
	for _, step := range []struct {
		after time.Duration
		calls int
	}{{0, 1}, {59 * time.Minute, 1}, {time.Minute, 2}, {time.Minute, 2}} {
		w.clock.Advance(step.after)
		if err := w.login(); err != nil || w.idp.Calls(wellKnown) != step.calls {
			t.Fatalf("after %s: %d calls, want %d; %v", step.after, w.idp.Calls(wellKnown), step.calls, err)
		}
	}
}

func TestFailedDiscoveryIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.idp.Misbehave(oidctest.Faults{Status: map[string]int{wellKnown: http.StatusServiceUnavailable}})
	for range 3 {
		fails(t, w.login(), fault.Unavailable, "503")
	}
	w.clock.Advance(4 * time.Second)
	fails(t, w.login(), fault.Unavailable, "503")
	if n := w.idp.Calls(wellKnown); n != 1 {
		t.Errorf("the provider was asked %d times in four seconds", n)
	}
	w.idp.Misbehave(oidctest.Faults{})
	w.clock.Advance(time.Second)
	if err := w.login(); err != nil {
		t.Error(err)
	}
}

// However many come, the provider is asked once; who leaves costs the others nothing.
func TestOneDiscoveryForMany(t *testing.T) {
	w := newWorld(t)
	gate := make(chan struct{})
	w.idp.Misbehave(oidctest.Faults{Gate: gate})
	ask := func(ctx context.Context) error {
		_, err := w.cloud.AuthCodeURL(ctx, redirectURI, "s", "n", verifier)
		return err
	}
	var wg sync.WaitGroup
	first, leave := context.WithCancel(t.Context())
	wg.Go(func() { _ = ask(first) }) // it fetches, and has gone when the answer comes
	for w.idp.Calls(wellKnown) == 0 {
		<-time.After(time.Millisecond)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	fails(t, ask(gone), fault.Unavailable, "context canceled")
	errs := make(chan error, 32)
	for range cap(errs) {
		wg.Go(func() { errs <- ask(t.Context()) })
	}
	leave()
	<-time.After(20 * time.Millisecond) // time enough for a call that would end with its client
	close(gate)
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if n := w.idp.Calls(wellKnown); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestBadDiscovery(t *testing.T) {
	answer := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(strings.ReplaceAll(text, "SELF", "http://"+r.Host)))
		}
	}
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		why   string
	}{
		"another issuer":     {answer(`{"issuer":"https://evil.example","token_endpoint":"SELF/t"}`), "did not match"},
		"a slash more":       {answer(`{"issuer":"SELF/"}`), "did not match"},
		"no issuer":          {answer(`{}`), "did not match"},
		"no JSON":            {answer(`<html>`), "decode"},
		"huge":               {answer(`{"issuer":"SELF","x":"` + strings.Repeat("x", 1<<20) + `"}`), "too long"},
		"without end":        {endless, "too long"},
		"plain keys":         {answer(`{"issuer":"SELF","jwks_uri":"http://keys.example/"}`), "not an address that is called"},
		"a script":           {answer(`{"issuer":"SELF","authorization_endpoint":"javascript:alert(1)"}`), "not an address that is called"},
		"a file":             {answer(`{"issuer":"SELF","introspection_endpoint":"file:///etc/passwd"}`), "not an address that is called"},
		"names in addresses": {answer(`{"issuer":"SELF","userinfo_endpoint":"https://user:pw@idp.example/"}`), "not an address that is called"},
		"nothing":            {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, "404"},
		"away": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
		}, "not an address that is called"},
		"in circles": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "redirects"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.serve)
			defer server.Close()
			cloud := oidc.New(oidc.Config{Issuer: server.URL, ClientID: "cloud", Clock: clock.NewFake(time.Unix(1_800_000_000, 0))})
			_, err := cloud.AuthCodeURL(t.Context(), redirectURI, "s", "n", verifier)
			fails(t, err, fault.Unavailable, c.why)
			if len(err.Error()) > 1000 {
				t.Errorf("%d bytes of cause", len(err.Error()))
			}
		})
	}
}

// endless writes until nobody reads any more.
func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := w.Write([]byte(strings.Repeat(" ", 64<<10))); err != nil {
			return
		}
	}
}

// A document that anybody may read may have moved.
func TestMovedDiscovery(t *testing.T) {
	w := newWorld(t)
	reply, err := http.Get(w.idp.Issuer + wellKnown)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	document, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) }))
	defer there.Close()
	w.idp.Misbehave(oidctest.Faults{Redirect: map[string]string{wellKnown: there.URL}})
	if err := w.login(); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	for issuer, want := range map[string]bool{"https://idp.example/realms/cloud": true, "https://idp.example": true, "http://127.0.0.1:8080": true, "http://[::1]:8080/x": true,
		"http://localhost:1": true, "http://idp.example": false, "http://127.0.0.1.example": false, "ftp://idp.example": false, "idp.example": false, "": false, "https://": false,
		"https://u:p@idp.example": false, "https://idp.example/?x": false, "https://idp.example/#x": false, "http://10.0.0.1": false, "::": false} {
		conf := oidc.Config{Issuer: issuer, ClientID: "cloud", Clock: clock.Real{}}
		err := conf.Check()
		if (err == nil) != want || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", issuer, err)
		}
		if !want {
			_, err := oidc.New(conf).Bearer(t.Context(), "x")
			fails(t, err, fault.Unavailable, "")
		}
	}
	if err := (oidc.Config{Issuer: "https://idp.example"}).Check(); !fault.Is(err, fault.Invalid) {
		t.Errorf("no client: %v", err)
	}
}

// An https issuer's documents and endpoints are https, wherever they are.
func TestNoWayBackToPlain(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("plain http was used") }))
	defer plain.Close()
	for name, serve := range map[string]func(http.ResponseWriter, *http.Request){
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain.URL, http.StatusFound) },
		"endpoint": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"issuer":"https://` + r.Host + `","introspection_endpoint":"` + plain.URL + `"}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			secure := httptest.NewTLSServer(http.HandlerFunc(serve))
			defer secure.Close()
			cloud := oidc.New(oidc.Config{Issuer: secure.URL, ClientID: "cloud", Clock: clock.NewFake(time.Unix(1_800_000_000, 0)), HTTP: secure.Client()})
			_, err := cloud.Bearer(t.Context(), "opaque")
			fails(t, err, fault.Unavailable, "not an address that is called")
		})
	}
}
