package remote

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/id"
)

// ServerConfig says where agents reach the server.
type ServerConfig struct {
	Hub     *hub.Hub
	Control string      // host:port of the bus; port 0: any free one
	Streams string      // host:port of the stream listener
	TLS     *tls.Config // certificate of the server and ClientCAs; the rest is set here
	// HostOf names the host that a verified client certificate belongs to. Nil: its common name.
	HostOf func(*x509.Certificate) (string, error)
	Log    *slog.Logger // nil: slog.Default
}

// Server is the bus and the stream listener of a server process.
type Server struct {
	cfg     ServerConfig
	secret  string // of the server's own connection to its bus
	bus     *natsd.Server
	nc      *nats.Conn
	streams *listener
	ctx     context.Context
	stop    context.CancelFunc
	slots   chan struct{} // taken while a message of an agent is worked on
	work    sync.WaitGroup

	mu    sync.Mutex
	links map[string]session
}

type session struct {
	id   string
	link *hub.Link
}

// Serve starts the bus and the stream listener; both listen when it returns.
func Serve(cfg ServerConfig) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.HostOf == nil {
		cfg.HostOf = commonName
	}
	s := &Server{cfg: cfg, secret: id.Secret(32), links: map[string]session{}, slots: make(chan struct{}, 64)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	opts, err := s.options()
	if err != nil {
		return nil, err
	}
	if s.bus, err = natsd.NewServer(opts); err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	s.bus.Start()
	if !s.bus.ReadyForConnections(openTimeout) {
		s.Close()
		return nil, fmt.Errorf("bus does not listen on %s", cfg.Control)
	}
	if err := s.join(); err != nil {
		s.Close()
		return nil, err
	}
	if s.streams, err = listen(cfg, s.tls()); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) options() (*natsd.Options, error) {
	host, port, err := net.SplitHostPort(s.cfg.Control)
	if err != nil {
		return nil, fmt.Errorf("address of the bus: %w", err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("port of the bus: %w", err)
	}
	if n == 0 {
		n = natsd.RANDOM_PORT
	}
	return &natsd.Options{
		ServerName: "mek", Host: host, Port: n,
		NoSigs: true, NoLog: true,
		MaxPayload: maxPayload, MaxPending: 4 * maxPayload, MaxControlLine: 4096,
		TLS: true, TLSVerify: true, TLSConfig: s.tls(), TLSTimeout: openTimeout.Seconds(), TLSHandshakeFirst: true,
		CustomClientAuthentication: gate{s},
		PingInterval:               5 * time.Second, MaxPingsOut: 2,
		WriteDeadline: openTimeout,
	}, nil
}

func (s *Server) tls() *tls.Config {
	c := s.cfg.TLS.Clone()
	c.MinVersion = tls.VersionTLS13
	c.ClientAuth = tls.RequireAndVerifyClientCert
	return c
}

func commonName(cert *x509.Certificate) (string, error) {
	if cert.Subject.CommonName == "" {
		return "", fault.Forbiddenf("the certificate names no host")
	}
	return cert.Subject.CommonName, nil
}

// gate decides who may use the bus, and for what.
type gate struct{ s *Server }

// Check lets in the server itself by its secret and agents by certificate.
func (g gate) Check(c natsd.ClientAuthentication) bool {
	state := c.GetTLSConnectionState()
	if state == nil { // within the process
		return subtle.ConstantTimeCompare([]byte(c.GetOpts().Token), []byte(g.s.secret)) == 1
	}
	if len(state.VerifiedChains) == 0 {
		return false
	}
	host, err := g.s.cfg.HostOf(state.VerifiedChains[0][0])
	if err != nil {
		g.s.cfg.Log.Warn("agent refused", "address", c.RemoteAddress(), "error", err)
		return false
	}
	c.RegisterUser(&natsd.User{Username: host, Permissions: &natsd.Permissions{
		Publish:   &natsd.SubjectPermission{Allow: []string{toServer(host, ">")}},
		Subscribe: &natsd.SubjectPermission{Allow: []string{toAgent(host, ">"), inbox(host) + ".>"}},
		Response:  &natsd.ResponsePermission{MaxMsgs: 1, Expires: time.Hour},
	}})
	return true
}

// join connects the server to its own bus and listens to agents.
func (s *Server) join() error {
	nc, err := nats.Connect("", nats.InProcessServer(s.bus), nats.Token(s.secret), nats.Name("server"),
		nats.MaxReconnects(-1), nats.CustomInboxPrefix("_INBOX_server"))
	if err != nil {
		return fmt.Errorf("connect to the bus: %w", err)
	}
	s.nc = nc
	for word, f := range map[string]func(context.Context, string, []byte) (any, error){
		sayHello: s.hello, sayBeat: s.beat, sayReport: s.report, sayTell: s.tell,
	} {
		if _, err := nc.Subscribe("mek.s.*."+word, func(m *nats.Msg) { s.work1(m, f) }); err != nil {
			return fmt.Errorf("listen to agents: %w", err)
		}
	}
	return nil
}

// work1 works on one message of an agent beside others.
func (s *Server) work1(m *nats.Msg, f func(context.Context, string, []byte) (any, error)) {
	host, ok := hostIn(m.Subject)
	if !ok {
		return // no agent can be permitted such a subject
	}
	select {
	case s.slots <- struct{}{}:
	case <-s.ctx.Done():
		return
	}
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		defer func() { <-s.slots }()
		ctx, cancel := context.WithTimeout(s.ctx, openTimeout)
		defer cancel()
		value, err := f(ctx, host, m.Data)
		if err := m.Respond(answer(value, err)); err != nil && s.ctx.Err() == nil {
			s.cfg.Log.Debug("answer to agent not sent; it asks again", "host", host, "error", err)
		}
	}()
}

func (s *Server) hello(ctx context.Context, host string, raw []byte) (any, error) {
	var h hello
	if err := json.Unmarshal(raw, &h); err != nil || h.Session == "" {
		return nil, fault.Invalidf("hello of %s cannot be read", host).Because(err)
	}
	link, err := s.cfg.Hub.Up(ctx, host, h.Hello, peer{s, host, h.Session}, false)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.links[host] = session{h.Session, link}
	s.mu.Unlock()
	_, port, err := net.SplitHostPort(s.Streams())
	return welcome{port, true}, err
}

func (s *Server) beat(_ context.Context, host string, raw []byte) (any, error) {
	var b beat
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, fault.Invalidf("beat of %s cannot be read", host).Because(err)
	}
	s.mu.Lock()
	known := s.links[host]
	s.mu.Unlock()
	return beaten{known.id == b.Session && known.link != nil && known.link.Beat(b.Held)}, nil
}

func (s *Server) report(ctx context.Context, host string, raw []byte) (any, error) {
	var r hostlink.Report
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fault.Invalidf("report of %s cannot be read", host).Because(err)
	}
	link, err := s.link(host)
	if err != nil {
		return nil, err
	}
	return nil, link.Report(ctx, r)
}

func (s *Server) tell(ctx context.Context, host string, raw []byte) (any, error) {
	var m hostlink.Message
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fault.Invalidf("message of %s cannot be read", host).Because(err)
	}
	link, err := s.link(host)
	if err != nil {
		return nil, err
	}
	return nil, link.Tell(ctx, m)
}

func (s *Server) link(host string) (*hub.Link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.links[host]; ok {
		return known.link, nil
	}
	return nil, fault.Unavailablef("host %s has not said hello", host)
}

// Control is the address of the bus.
func (s *Server) Control() string { return s.bus.Addr().String() }

// Streams is the address of the stream listener.
func (s *Server) Streams() string { return s.streams.l.Addr().String() }

// Close ends all connections and waits for what is being worked on.
func (s *Server) Close() {
	s.stop()
	if s.streams != nil {
		s.streams.close()
	}
	if s.nc != nil {
		s.nc.Close()
	}
	s.bus.Shutdown()
	s.bus.WaitForShutdown()
	s.work.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.links {
		known.link.Down()
	}
}
