package remote_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"io"
	"log/slog"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/mekcloud/mek/internal/agent"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/linktest"
	"github.com/mekcloud/mek/internal/hostlink/remote"
	"github.com/mekcloud/mek/test/await"
)

// authority is a certificate authority of one test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authority{t, cert, key, pool}
}

// issue makes a TLS configuration for a name; server certificates are for 127.0.0.1.
func (a *authority) issue(name string) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: a.pool, ClientCAs: a.pool, ServerName: "127.0.0.1"}
}

// proxy is a network that can be cut: it forwards to an address until it is told not to.
type proxy struct {
	l  net.Listener
	to func() string

	mu     sync.Mutex
	broken bool
	frozen bool
	conns  []net.Conn
}

func newProxy(t *testing.T, to func() string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, to: to}
	go p.accept()
	t.Cleanup(func() { _ = l.Close(); p.cut(true) })
	return p
}

func (p *proxy) accept() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to())
		p.mu.Lock()
		if p.broken || err != nil {
			_ = in.Close()
			if err == nil {
				_ = out.Close()
			}
			p.mu.Unlock()
			continue
		}
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		go p.forward(in, out)
		go p.forward(out, in)
	}
}

func (p *proxy) forward(from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		for p.isFrozen() {
			time.Sleep(5 * time.Millisecond) // a cable pulled: bytes wait, nobody is told
		}
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err == io.EOF {
			_ = to.(*net.TCPConn).CloseWrite()
			return
		}
		if err != nil {
			_, _ = from.Close(), to.Close()
			return
		}
	}
}

func (p *proxy) isFrozen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.frozen && !p.broken
}

func (p *proxy) freeze(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = on
}

func (p *proxy) cut(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = on
	if on {
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.conns = nil
	}
}

type world struct {
	t  *testing.T
	ca *authority

	mu      sync.Mutex
	server  *remote.Server
	proxies map[string]*proxy
}

func newWorld(t *testing.T, h *hub.Hub) *world {
	w := &world{t: t, ca: newAuthority(t), proxies: map[string]*proxy{}}
	w.server = w.serve(h)
	return w
}

func (w *world) serve(h *hub.Hub) *remote.Server {
	s, err := remote.Serve(remote.ServerConfig{Hub: h, Control: "127.0.0.1:0", Streams: "127.0.0.1:0", TLS: w.ca.issue("server"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.Close)
	return s
}

func (w *world) control() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.server.Control()
}

func (w *world) streams() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.server.Streams()
}

func (w *world) Connect(t *testing.T, a *agent.Agent) {
	p := newProxy(t, w.control)
	w.mu.Lock()
	w.proxies[a.Facts().Host] = p
	w.mu.Unlock()
	cfg := remote.AgentConfig{Agent: a, Control: p.l.Addr().String(), Streams: newProxy(t, w.streams).l.Addr().String(),
		TLS: w.ca.issue(a.Facts().Host), Beat: 200 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := remote.Run(ctx, cfg); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

func (w *world) Cut(_ *testing.T, host string)  { w.proxies[host].cut(true) }
func (w *world) Heal(_ *testing.T, host string) { w.proxies[host].cut(false) }

func (w *world) Restart(_ *testing.T, h *hub.Hub) {
	w.mu.Lock()
	old := w.server
	w.mu.Unlock()
	old.Close()
	made := w.serve(h)
	w.mu.Lock()
	w.server = made
	w.mu.Unlock()
}

func TestConformance(t *testing.T) {
	t.Parallel()
	linktest.Run(t, func(t *testing.T, h *hub.Hub) linktest.World { return newWorld(t, h) })
}

func TestFrozenNetworkEndsTheLease(t *testing.T) {
	t.Parallel()
	h := hub.New(hub.Config{Lease: 600 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(h.Close)
	w := newWorld(t, h)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	a := agent.New(agent.Config{Facts: hostlink.Facts{Host: "h1"}, Journal: agent.MemoryJournal()})
	go func() { _ = a.Run(ctx) }() // always nil
	w.Connect(t, a)
	await.That(t, "alive", func() bool { return h.Alive("h1") })
	w.proxies["h1"].freeze(true)
	await.That(t, "lease over", func() bool { return !h.Alive("h1") })
	w.proxies["h1"].freeze(false)
	await.That(t, "alive again", func() bool { return h.Alive("h1") })
}

func TestAgentsAreKeptToTheirOwnSubjects(t *testing.T) {
	t.Parallel()
	h := hub.New(hub.Config{Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(h.Close)
	w := newWorld(t, h)
	violations := make(chan error, 8)
	nc, err := nats.Connect("tls://"+w.control(), nats.Secure(w.ca.issue("evil")), nats.TLSHandshakeFirst(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violations <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	other := hex.EncodeToString([]byte("good"))
	for what, do := range map[string]func() error{
		"report for another":   func() error { return nc.Publish("mek.s."+other+".report", nil) },
		"command to another":   func() error { return nc.Publish("mek.a."+other+".cmd", nil) },
		"listen to another":    func() error { _, err := nc.SubscribeSync("mek.a." + other + ".>"); return err },
		"listen to everything": func() error { _, err := nc.SubscribeSync(">"); return err },
		"answers of another":   func() error { _, err := nc.SubscribeSync("_INBOX_" + other + ".>"); return err },
		"answers of server":    func() error { _, err := nc.SubscribeSync("_INBOX_server.>"); return err },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-violations:
		case <-time.After(5 * time.Second):
			t.Errorf("%s was permitted", what)
		}
	}
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	h := hub.New(hub.Config{Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(h.Close)
	w := newWorld(t, h)
	stranger := newAuthority(t).issue("h1")
	stranger.RootCAs = w.ca.pool // trusts the server, but is not trusted
	none := &tls.Config{RootCAs: w.ca.pool, ServerName: "127.0.0.1"}
	for name, cfg := range map[string]*tls.Config{"foreign authority": stranger, "no certificate": none} {
		if nc, err := nats.Connect("tls://"+w.control(), nats.Secure(cfg), nats.TLSHandshakeFirst()); err == nil {
			nc.Close()
			t.Errorf("bus: %s is let in", name)
		}
		conn, err := tls.Dial("tcp", w.streams(), cfg)
		if err == nil {
			_, err = conn.Read(make([]byte, 1)) // TLS 1.3 tells a client late
			_ = conn.Close()
		}
		if err == nil {
			t.Errorf("streams: %s is let in", name)
		}
	}
	if nc, err := nats.Connect("nats://" + w.control()); err == nil {
		nc.Close()
		t.Error("bus: a plain connection is let in")
	}
}

func TestDroppedHostsAreGone(t *testing.T) {
	t.Parallel()
	h := hub.New(hub.Config{Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(h.Close)
	w := newWorld(t, h)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if got := w.server.Connected(); len(got) > 0 {
		t.Errorf("connected before anybody came: %v", got)
	}
	for _, name := range []string{"h1", "h2"} {
		a := agent.New(agent.Config{Facts: hostlink.Facts{Host: name}, Journal: agent.MemoryJournal()})
		go func() { _ = a.Run(ctx) }() // always nil
		w.Connect(t, a)
		await.That(t, name+" is alive", func() bool { return h.Alive(name) })
	}
	if got := w.server.Connected(); !slices.Equal(got, []string{"h1", "h2"}) {
		t.Errorf("connected: %v", got)
	}
	w.server.Drop("h1")
	if h.Alive("h1") {
		t.Error("a dropped host is alive")
	}
	w.server.Drop("unknown")
	await.That(t, "a host that is not refused comes back", func() bool { return h.Alive("h1") })
	if !h.Alive("h2") {
		t.Error("the other host was dropped too")
	}
}
