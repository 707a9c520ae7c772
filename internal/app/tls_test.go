package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/remote"
	"github.com/mekcloud/mek/internal/installation/plan"
	"github.com/mekcloud/mek/internal/pki"
)

var here = pki.Names{Hosts: []string{"localhost"}, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}

// authorities are ours and those of others.
type authorities struct {
	t   *testing.T
	dir string
}

// open makes or opens the authority in a folder as of a time.
func (a *authorities) open(name string, at time.Time) *pki.Authority {
	a.t.Helper()
	dir := filepath.Join(a.dir, name)
	master, err := pki.MasterKey(filepath.Join(dir, "secrets", "master.key"))
	if err != nil {
		a.t.Fatal(err)
	}
	out, err := pki.OpenAuthority(pki.FilesIn(dir), master, "atlas", clock.NewFake(at))
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

func (a *authorities) path(elem ...string) string {
	return filepath.Join(append([]string{a.dir}, elem...)...)
}

// pair issues a certificate and gives it as a client or server has it.
func (a *authorities) pair(issue func(cert, key string) (bool, error)) tls.Certificate {
	a.t.Helper()
	dir := a.t.TempDir()
	cert, key := filepath.Join(dir, "x.crt"), filepath.Join(dir, "x.key")
	if _, err := issue(cert, key); err != nil {
		a.t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// TestClientsRefuseBadDoors (SEC-34): every client that we have speaks to a server
// of the cloud's own authority, in its time, by its name and by TLS 1.3 only.
func TestClientsRefuseBadDoors(t *testing.T) {
	t.Parallel()
	a := &authorities{t, t.TempDir()}
	now := clock.Real{}.Now()
	ours, foreign := a.open("ours", now), a.open("foreign", now)
	door := func(from *pki.Authority, names pki.Names) tls.Certificate {
		return a.pair(func(cert, key string) (bool, error) { return from.EnsureDoor(cert, key, names) })
	}
	old := a.open("ours", now.Add(-370*24*time.Hour))
	for name, c := range map[string]struct {
		pair tls.Certificate
		most uint16
		good bool
	}{
		"good":              {door(ours, here), 0, true},
		"foreign authority": {door(foreign, here), 0, false},
		"another name":      {door(ours, pki.Names{Hosts: []string{"elsewhere"}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}), 0, false},
		"past its time":     {door(old, here), 0, false},
		"of an agent": {a.pair(func(cert, key string) (bool, error) {
			return foreign.EnsureBus(cert, key, pki.RoleAgent, "h1", here)
		}), 0, false},
		"TLS 1.2": {door(ours, here), tls.VersionTLS12, false},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{c.pair}, MaxVersion: c.most})
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "{}") }), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
			go func() { _ = server.Serve(l) }() // ends with the listener
			defer server.Close()
			cfg := config.Default(a.path("ours"))
			cfg.Listen = l.Addr().String()
			said := func(err error) bool {
				return err != nil && (strings.Contains(err.Error(), "tls:") || strings.Contains(err.Error(), "x509:"))
			}
			if err := plan.Healthy(t.Context(), cfg); said(err) == c.good || c.good && err != nil {
				t.Errorf("health: %v", err)
			}
			_, err = apiclient.New(t.Context(), apiclient.Options{AuthURL: "https://" + cfg.Listen + "/identity/v3/", User: "u", Password: "p", Project: "p", Domain: "d", CAFile: cfg.Server().CAFile})
			if said(err) == c.good {
				t.Errorf("the client of the API: %v", err)
			}
		})
	}
}

// TestDoorsRefuseOldTLS (SEC-34): the front door speaks TLS 1.3 and nothing older, and no plain HTTP.
func TestDoorsRefuseOldTLS(t *testing.T) {
	t.Parallel()
	a := &authorities{t, t.TempDir()}
	ours := a.open("ours", clock.Real{}.Now())
	cfg := config.Default(a.path("ours")).Server()
	if _, err := ours.EnsureDoor(cfg.CertFile, cfg.KeyFile, here); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(cfg, "127.0.0.1:0", 0, NewHandshakes(1))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		h := harden(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }), apiContent, time.Minute)
		done <- Serve(ctx, l, h, cfg.Limits, slog.New(slog.DiscardHandler))
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	pool, err := pki.Pool(cfg.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		conf *tls.Config
		ok   bool
	}{
		"TLS 1.3":       {&tls.Config{RootCAs: pool}, true},
		"TLS 1.2":       {&tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS12}, false},
		"TLS 1.0":       {&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		"another trust": {&tls.Config{}, false},
	} {
		conn, err := tls.Dial("tcp", l.Addr().String(), c.conf)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			conn.Close()
		}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	reply, err := client.Get("https://" + l.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(reply.Body)
	reply.Body.Close()
	if err != nil || string(body) != "HTTP/2.0" || reply.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("over TLS: %s, %v, %v", body, reply.Header, err)
	}
	client.CloseIdleConnections()
	if reply, err := http.Get("http://" + l.Addr().String() + "/"); err == nil {
		if reply.StatusCode != http.StatusBadRequest {
			t.Errorf("plain HTTP is answered with %d", reply.StatusCode)
		}
		reply.Body.Close()
	}
}

// TestBusRefusesBadPeers (SEC-34): the bus and the streams take agents' certificates
// of the cloud's authority in their time; agents take the server's only.
func TestBusRefusesBadPeers(t *testing.T) {
	t.Parallel()
	a := &authorities{t, t.TempDir()}
	now := clock.Real{}.Now()
	ours, foreign := a.open("ours", now), a.open("foreign", now)
	files := config.BusFiles{Listen: "127.0.0.1:0", Streams: "127.0.0.1:0", CAFile: pki.FilesIn(a.path("ours")).RootCert, CertFile: a.path("bus.crt"), KeyFile: a.path("bus.key")}
	if _, err := ours.EnsureBus(files.CertFile, files.KeyFile, pki.RoleServer, "server-1", here); err != nil {
		t.Fatal(err)
	}
	h := hub.New(hub.Config{Log: slog.New(slog.DiscardHandler)})
	defer h.Close()
	cfg := config.Default(a.path("ours")).Server()
	cfg.Bus, cfg.Simulate = files, 1 // simulated hosts join nothing
	conf, err := busServer(Parts{Config: cfg, Hub: h, Log: slog.New(slog.DiscardHandler)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	server, err := remote.Serve(conf)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	pool, err := pki.Pool(files.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	bus := func(from *pki.Authority, role pki.Role) []tls.Certificate {
		return []tls.Certificate{a.pair(func(cert, key string) (bool, error) { return from.EnsureBus(cert, key, role, "h1", here) })}
	}
	old := a.open("ours", now.Add(-48*time.Hour))
	for name, c := range map[string]struct {
		conf *tls.Config
		ok   bool
	}{
		"an agent":          {&tls.Config{Certificates: bus(ours, pki.RoleAgent)}, true},
		"no certificate":    {&tls.Config{}, false},
		"foreign authority": {&tls.Config{Certificates: bus(foreign, pki.RoleAgent)}, false},
		"past its time":     {&tls.Config{Certificates: bus(old, pki.RoleAgent)}, false},
		"TLS 1.2":           {&tls.Config{Certificates: bus(ours, pki.RoleAgent), MaxVersion: tls.VersionTLS12}, false},
		"the front door's":  {&tls.Config{Certificates: []tls.Certificate{a.pair(func(cert, key string) (bool, error) { return ours.EnsureDoor(cert, key, here) })}}, false},
	} {
		for which, address := range map[string]string{"bus": server.Control(), "streams": server.Streams()} {
			c.conf.RootCAs, c.conf.ServerName = pool, "127.0.0.1"
			conn, err := tls.Dial("tcp", address, c.conf)
			if err == nil { // TLS 1.3 tells a client late, and a good one nothing until it speaks
				if err = conn.SetReadDeadline(clock.Real{}.Now().Add(300 * time.Millisecond)); err != nil {
					t.Fatal(err)
				}
				if _, err = conn.Read(make([]byte, 1)); err != nil && strings.Contains(err.Error(), "timeout") {
					err = nil
				}
				conn.Close()
			}
			if (err == nil) != c.ok {
				t.Errorf("%s: %s: %v", which, name, err)
			}
		}
	}
	// The other way round: an agent and its server.
	mine := files
	mine.CertFile, mine.KeyFile = a.path("agent.crt"), a.path("agent.key")
	if _, err := ours.EnsureBus(mine.CertFile, mine.KeyFile, pki.RoleAgent, "h1", here); err != nil {
		t.Fatal(err)
	}
	agent, err := busTLS(mine)
	if err != nil {
		t.Fatal(err)
	}
	agent.ServerName = "127.0.0.1"
	for name, c := range map[string]struct {
		pairs []tls.Certificate
		most  uint16
		ok    bool
	}{
		"good":              {bus(ours, pki.RoleServer), 0, true},
		"foreign authority": {bus(foreign, pki.RoleServer), 0, false},
		"past its time":     {bus(old, pki.RoleServer), 0, false},
		"TLS 1.2":           {bus(ours, pki.RoleServer), tls.VersionTLS12, false},
	} {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: c.pairs, MaxVersion: c.most})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_ = conn.(*tls.Conn).Handshake() // its other end says what came of it
				conn.Close()
			}
		}()
		conn, err := tls.Dial("tcp", l.Addr().String(), agent)
		if (err == nil) != c.ok {
			t.Errorf("an agent and a server: %s: %v", name, err)
		}
		if err == nil {
			conn.Close()
		}
		l.Close()
	}
}
