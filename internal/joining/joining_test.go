package joining

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/pki"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// site is a server that machines join.
type site struct {
	*Service
	t         *testing.T
	clock     *clock.Fake
	authority *pki.Authority
	http      *httptest.Server
}

func newSite(t *testing.T, d *db.DB) *site {
	t.Helper()
	s := &site{t: t, clock: clock.NewFake(time.Now())}
	dir := t.TempDir()
	master, err := pki.MasterKey(filepath.Join(dir, "master"))
	if err != nil {
		t.Fatal(err)
	}
	if s.authority, err = pki.OpenAuthority(pki.FilesIn(dir), master, "test", s.clock); err != nil {
		t.Fatal(err)
	}
	s.Service = New(Config{DB: d, Clock: s.clock, Log: slog.New(slog.DiscardHandler), Home: "home",
		Settings:  Settings{API: []string{"https://192.0.2.1:443"}, Servers: []string{"192.0.2.1:4224"}, Streams: []string{"192.0.2.1:4225"}},
		Authority: func() (*pki.Authority, error) { return pki.LoadAuthority(pki.FilesIn(dir), master, s.clock) }})
	mux := http.NewServeMux()
	s.Handle(mux, func(r *http.Request) (event.Record, error) {
		if r.Header.Get("X-Auth-Token") != "admin" {
			return event.Record{}, errors.New("nobody")
		}
		return event.Record{UserID: "u"}, nil
	})
	s.http = httptest.NewServer(mux)
	t.Cleanup(s.http.Close)
	return s
}

func (s *site) mint() Token {
	s.t.Helper()
	t, _, err := s.Mint(s.t.Context(), time.Hour, event.Record{})
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

// csr is the request of a machine with a key of its own.
func csr(t *testing.T) []byte {
	t.Helper()
	der, err := pki.HostRequest(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func leaf(t *testing.T, a Answer) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(a.Chain)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestJoinOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := newSite(t, d), t.Context()
		token, own := s.mint(), csr(t)
		ask := func(token Token, host string, csr []byte) (Answer, error) {
			return s.Join(ctx, Request{ID: token.ID, Secret: token.Secret, Host: host, CSR: csr})
		}
		for what, bad := range map[string]Token{"secret": {ID: token.ID, Secret: "x"}, "token": {ID: "x", Secret: token.Secret}} {
			if _, err := ask(bad, "a", own); !fault.Is(err, fault.Forbidden) {
				t.Errorf("wrong %s: %v", what, err)
			}
		}
		for _, name := range []string{"", "-a", "a/b", "a b", "..", "a\n", strings.Repeat("a", 65)} {
			if _, err := ask(token, name, own); !fault.Is(err, fault.Invalid) {
				t.Errorf("name %q: %v", name, err)
			}
		}
		if _, err := ask(token, "home", own); !fault.Is(err, fault.Conflict) {
			t.Errorf("the server's own name: %v", err)
		}
		if _, err := ask(token, "a", own[:20]); !fault.Is(err, fault.Invalid) {
			t.Errorf("broken request: %v", err)
		}
		first, err := ask(token, "a", own)
		if err != nil {
			t.Fatal(err)
		}
		if role, name, err := pki.Peer(leaf(t, first)); err != nil || role != pki.RoleAgent || name != "a" {
			t.Errorf("certificate of %s %s: %v", role, name, err)
		}
		if _, err := ask(token, "a", own); err != nil {
			t.Errorf("asked again, since the answer was lost: %v", err)
		}
		if _, err := ask(token, "b", csr(t)); !fault.Is(err, fault.Forbidden) {
			t.Errorf("used token: %v", err)
		}
		if _, err := ask(s.mint(), "a", csr(t)); !fault.Is(err, fault.Conflict) {
			t.Errorf("taken name: %v", err)
		}
		if _, err := ask(s.mint(), "c", own); !fault.Is(err, fault.Conflict) {
			t.Errorf("one machine under two names: %v", err)
		}
		late := s.mint()
		s.clock.Advance(time.Hour + time.Second)
		if _, err := ask(late, "d", csr(t)); !fault.Is(err, fault.Forbidden) {
			t.Errorf("expired token: %v", err)
		}
		if names, err := s.Names(ctx); err != nil || !slices.Equal(names, []string{"a"}) {
			t.Errorf("hosts %v, %v", names, err)
		}
	})
}

// cutter stands in for the bus.
type cutter struct{ connected, dropped []string }

func (c *cutter) Connected() []string { return c.connected }
func (c *cutter) Drop(host string)    { c.dropped = append(c.dropped, host) }

func TestRemovedHostIsRefusedAndCutOff(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := newSite(t, d), t.Context()
		token, own := s.mint(), csr(t)
		request := Request{ID: token.ID, Secret: token.Secret, Host: "a", CSR: own}
		a, err := s.Join(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		if name, err := s.Admit(leaf(t, a)); name != "a" || err != nil {
			t.Errorf("admitted as %q: %v", name, err)
		}
		s.clock.Advance(72 * time.Hour) // off for longer than a certificate lives
		again, err := s.Renew(ctx, own)
		if err != nil || again.Host != "a" {
			t.Fatalf("renewed for %q: %v", again.Host, err)
		}
		if !leaf(t, again).NotAfter.After(s.clock.Now()) {
			t.Error("the new certificate has expired")
		}
		bus := &cutter{connected: []string{"a", "home"}}
		if err := s.enforce(ctx, bus); err != nil || len(bus.dropped) > 0 {
			t.Errorf("dropped %v: %v", bus.dropped, err)
		}
		if err := d.Write(ctx, func(tx *db.Tx) error { return s.Removed(ctx, tx, "a") }); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Admit(leaf(t, again)); err == nil {
			t.Error("admitted after it was removed")
		}
		if _, err := s.Renew(ctx, own); !fault.Is(err, fault.Forbidden) {
			t.Errorf("renewed after it was removed: %v", err)
		}
		if err := s.enforce(ctx, bus); err != nil || !slices.Equal(bus.dropped, []string{"a"}) {
			t.Errorf("dropped %v: %v", bus.dropped, err)
		}
		if _, err := s.Join(ctx, request); !fault.Is(err, fault.Forbidden) {
			t.Errorf("joined by the old token: %v", err)
		}
		fresh := s.mint()
		if _, err := s.Join(ctx, Request{ID: fresh.ID, Secret: fresh.Secret, Host: "a", CSR: csr(t)}); err != nil {
			t.Errorf("joined anew: %v", err)
		}
		if _, err := s.Admit(leaf(t, again)); err == nil {
			t.Error("admitted with the key that it had before it was removed")
		}
		if err := d.Write(ctx, func(tx *db.Tx) error { return s.Removed(ctx, tx, "unknown") }); err != nil {
			t.Errorf("a host that never joined: %v", err)
		}
	})
}

func TestOnlyAgentsOfTheCloudAreAdmitted(t *testing.T) {
	s := newSite(t, dbtest.One(t))
	dir := t.TempDir()
	issue := func(role pki.Role, name string) *x509.Certificate {
		file := filepath.Join(dir, string(role)+name)
		if _, err := s.authority.EnsureBus(file, file+".key", role, name, pki.Names{}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return leaf(t, Answer{Chain: b})
	}
	if name, err := s.Admit(issue(pki.RoleAgent, "home")); name != "home" || err != nil {
		t.Errorf("the server's own machine: %q, %v", name, err)
	}
	if _, err := s.Admit(issue(pki.RoleAgent, "other-home")); err == nil {
		t.Error("the machine of an unknown server")
	}
	other := New(Config{DB: s.cfg.DB, Clock: s.clock, Home: "other-home"})
	if err := errors.Join(other.AtHome(t.Context()), other.AtHome(t.Context())); err != nil {
		t.Fatal(err)
	}
	if name, err := s.Admit(issue(pki.RoleAgent, "other-home")); name != "other-home" || err != nil {
		t.Errorf("another server's own machine: %q, %v", name, err)
	}
	if _, err := s.Admit(issue(pki.RoleServer, "home")); err == nil {
		t.Error("a server is no agent")
	}
	if _, err := s.Admit(issue(pki.RoleAgent, "a")); err == nil {
		t.Error("a host that never joined was admitted")
	}
}

func TestRoutes(t *testing.T) {
	s := newSite(t, dbtest.One(t))
	do := func(path, token string, body any) (int, []byte) {
		t.Helper()
		raw, ok := body.(string)
		if !ok {
			b, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			raw = string(b)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.http.URL+path, strings.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Auth-Token", token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var out bytes.Buffer
		if _, err := out.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, out.Bytes()
	}
	for _, c := range []struct {
		path, token string
		body        any
		want        int
	}{
		{pathTokens, "", MintRequest{}, 401}, {pathTokens, "x", MintRequest{}, 401}, {pathTokens, "admin", MintRequest{Seconds: 90000}, 400},
		{pathTokens, "admin", MintRequest{Seconds: -1}, 400}, {pathTokens, "admin", `{"other":1}`, 400}, {pathTokens, "admin", `{} {}`, 400},
		{pathJoin, "", "", 400}, {pathJoin, "", Request{Host: "a", CSR: csr(t)}, 403}, {pathRenew, "", map[string]any{"csr": csr(t)}, 403},
		{pathJoin, "", `{"host":"` + strings.Repeat("a", maxBody) + `"}`, 400}, {pathRenew, "", `{"csr":"AAAA"}`, 400},
	} {
		if got, body := do(c.path, c.token, c.body); got != c.want {
			t.Errorf("%s %v: %d %s, want %d", c.path, c.body, got, body, c.want)
		}
	}
	code, body := do(pathTokens, "admin", MintRequest{Seconds: 60})
	var m Minted
	if err := json.Unmarshal(body, &m); code != 200 || err != nil {
		t.Fatalf("%d %s", code, body)
	}
	token, err := ParseToken(m.Token)
	if err != nil || m.Expires.Sub(s.clock.Now()).Round(time.Second) != time.Minute {
		t.Errorf("token until %v: %v", m.Expires, err)
	}
	if code, body := do(pathJoin, "", Request{ID: token.ID, Secret: token.Secret, Host: "a", CSR: csr(t)}); code != 200 {
		t.Errorf("join: %d %s", code, body)
	}
}

func TestAClosedCloudMintsNothing(t *testing.T) {
	s := newSite(t, dbtest.One(t))
	s.cfg.Settings.API = nil
	if _, _, err := s.Mint(context.Background(), time.Hour, event.Record{}); !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
}

func FuzzToken(f *testing.F) {
	f.Add(Token{API: []string{"https://192.0.2.1:443"}, Fingerprint: strings.Repeat("a", 64), ID: "i", Secret: "s"}.String())
	f.Add("mek1.e30")
	f.Add("mek1.!!")
	f.Fuzz(func(t *testing.T, word string) {
		got, err := ParseToken(word)
		if err != nil {
			return
		}
		again, err := ParseToken(got.String())
		if err != nil || again.String() != got.String() {
			t.Errorf("%q becomes %q: %v", word, again, err)
		}
	})
}
