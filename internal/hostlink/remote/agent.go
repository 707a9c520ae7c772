package remote

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/id"
)

// heedFor is how long after the last sign of a server an agent does what it
// asks. It is less than what lies between peers.Fresh and peers.Lease.
const heedFor = 4 * time.Second

// Agent is what a connection needs of an agent.
type Agent interface {
	hostlink.Endpoint
	Hello() hostlink.Hello
	Held() []hostlink.Held
	Bind(up hostlink.Uplink)
	Unbind(up hostlink.Uplink)
}

// AgentConfig says how an agent reaches the server.
type AgentConfig struct {
	Agent   Agent
	Control string        // host:port of the bus
	Streams string        // host:port of the stream listener; empty: where the server says
	TLS     *tls.Config   // certificate of the host, RootCAs, ServerName
	Beat    time.Duration // 0: 1 s
	Log     *slog.Logger  // nil: slog.Default
}

// client is an agent's end of the connection.
type client struct {
	cfg  AgentConfig
	host string
	nc   *nats.Conn
	kick chan struct{}          // the connection came or went
	at   atomic.Pointer[string] // host:port of the stream listener
	ctx  context.Context
	work sync.WaitGroup

	mu    sync.Mutex
	name  string        // of the session
	fresh time.Duration // reading of the clock when the server was last known to hold it
}

// Run keeps an agent connected until ctx ends: it says hello on each
// connection, then beats. The server may be away at any time.
func Run(ctx context.Context, cfg AgentConfig) error {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Beat <= 0 {
		cfg.Beat = time.Second
	}
	cfg.TLS = cfg.TLS.Clone()
	cfg.TLS.MinVersion = tls.VersionTLS13
	c := &client{cfg: cfg, host: cfg.Agent.Hello().Facts.Host, kick: make(chan struct{}, 1), ctx: ctx}
	if err := c.connect(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		c.session()
	}
	c.nc.Close()
	c.work.Wait()
	return nil
}

func (c *client) connect() error {
	changed := func(*nats.Conn) {
		select {
		case c.kick <- struct{}{}:
		default: // told already
		}
	}
	nc, err := nats.Connect("tls://"+c.cfg.Control, nats.Secure(c.cfg.TLS), nats.TLSHandshakeFirst(), nats.Name(c.host),
		nats.CustomInboxPrefix(inbox(c.host)), nats.NoEcho(),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(200*time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 400*time.Millisecond),
		nats.ReconnectBufSize(-1), // what cannot be sent now is not sent later
		nats.PingInterval(5*time.Second), nats.MaxPingsOutstanding(2), nats.Timeout(openTimeout),
		nats.ConnectHandler(changed), nats.ReconnectHandler(changed),
		nats.DisconnectErrHandler(func(nc *nats.Conn, _ error) { changed(nc) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			c.cfg.Log.Warn("bus", "error", err)
		}))
	if err != nil {
		return fmt.Errorf("connect to the bus: %w", err)
	}
	c.nc = nc
	for word, f := range map[string]func(context.Context, []byte) (any, error){
		askDo: c.do, askForget: c.forget, askDial: c.dialBack,
	} {
		if err := c.listen(word, f, true); err != nil {
			return err
		}
	}
	if err := c.listen(askAmend, c.amend, false); err != nil {
		return err
	}
	return c.listen(askAccept, c.accept, false) // documents keep their order
}

// listen answers one kind of question. beside: without waiting for earlier ones.
func (c *client) listen(word string, f func(context.Context, []byte) (any, error), beside bool) error {
	_, err := c.nc.Subscribe(toAgent(c.host, word), func(m *nats.Msg) {
		if c.ctx.Err() != nil {
			return
		}
		serve := func() {
			value, err := any(nil), c.heed(m.Header.Get(inSession))
			if err == nil {
				value, err = f(c.ctx, m.Data)
			}
			if err := m.Respond(answer(value, err)); err != nil {
				c.cfg.Log.Debug("answer to server not sent; it asks again", "error", err)
			}
		}
		if !beside {
			serve()
			return
		}
		c.work.Add(1)
		go func() { defer c.work.Done(); serve() }()
	})
	if err != nil {
		return fmt.Errorf("listen to the server: %w", err)
	}
	return nil
}

// session says hello and beats until the connection is over or forgotten.
func (c *client) session() {
	known, err := c.hello()
	if err != nil {
		if c.nc.IsConnected() {
			c.cfg.Log.Warn("server did not take the hello; trying again", "error", err)
		}
		c.pause(500 * time.Millisecond)
		return
	}
	if err := c.found(known.Streams); err != nil {
		c.cfg.Log.Warn("server does not say where it takes streams", "error", err)
		c.pause(500 * time.Millisecond)
		return
	}
	connected, over := context.WithCancel(c.ctx) // what waits for an answer does not outlive the connection
	defer over()
	up := &uplink{c, connected, known.Deltas}
	c.cfg.Agent.Bind(up)
	defer c.cfg.Agent.Unbind(up)
	missed := 0
	for c.ctx.Err() == nil && c.nc.IsConnected() {
		c.pause(c.cfg.Beat)
		var back beaten
		sent := clock.Elapsed(clock.Real{})
		switch err := c.say(sayBeat, beat{c.name, c.cfg.Agent.Held()}, &back, 2*c.cfg.Beat); {
		case err == nil && !back.Known:
			return
		case err != nil:
			if missed++; missed > 2 {
				return
			}
		default:
			missed = 0
			c.renew(c.name, sent)
		}
	}
}

// renew notes that the server held a session at a reading of the clock.
func (c *client) renew(name string, at time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name, c.fresh = name, at
}

// heed refuses what was asked in a session that is over, or of which nothing
// was heard for a while: the server may have been stopped since, and another
// may have taken over what it was at.
func (c *client) heed(session string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if session != c.name || clock.Elapsed(clock.Real{})-c.fresh > heedFor {
		return fault.Unavailablef("the session is over")
	}
	return nil
}

func (c *client) hello() (welcome, error) {
	var w welcome
	if !c.nc.IsConnected() {
		return w, fault.Unavailablef("not connected")
	}
	name := id.New()
	c.renew(name, clock.Elapsed(clock.Real{}))
	err := c.say(sayHello, hello{c.cfg.Agent.Hello(), name}, &w, openTimeout)
	return w, err
}

// found notes where streams go.
func (c *client) found(port string) error {
	at := c.cfg.Streams
	if at == "" {
		host, _, err := net.SplitHostPort(c.cfg.Control)
		if err != nil || port == "" {
			return fault.Unavailablef("no port for streams").Because(err)
		}
		at = net.JoinHostPort(host, port)
	}
	c.at.Store(&at)
	return nil
}

func (c *client) say(word string, body, out any, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	defer cancel()
	return request(ctx, c.nc, toServer(c.host, word), nil, body, out)
}

// pause waits, but not past a change of the connection.
func (c *client) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.ctx.Done():
	case <-c.kick:
	case <-t.C:
	}
}

func (c *client) accept(ctx context.Context, raw []byte) (any, error) {
	var doc hostlink.Document
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fault.Invalidf("document cannot be read").Because(err)
	}
	return nil, c.cfg.Agent.Accept(ctx, doc)
}

func (c *client) amend(ctx context.Context, raw []byte) (any, error) {
	var delta hostlink.Delta
	if err := json.Unmarshal(raw, &delta); err != nil {
		return nil, fault.Invalidf("delta cannot be read").Because(err)
	}
	return nil, c.cfg.Agent.Amend(ctx, delta)
}

func (c *client) do(ctx context.Context, raw []byte) (any, error) {
	var cmd hostlink.Command
	if err := json.Unmarshal(raw, &cmd); err != nil {
		return nil, fault.Invalidf("command cannot be read").Because(err)
	}
	return c.cfg.Agent.Command(ctx, cmd)
}

func (c *client) forget(ctx context.Context, raw []byte) (any, error) {
	var token string
	if err := json.Unmarshal(raw, &token); err != nil {
		return nil, fault.Invalidf("token cannot be read").Because(err)
	}
	return nil, c.cfg.Agent.Forget(ctx, token)
}

// dialBack opens a stream of a section and dials the server with it.
func (c *client) dialBack(ctx context.Context, raw []byte) (any, error) {
	var d dial
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fault.Invalidf("dial cannot be read").Because(err)
	}
	local, err := c.cfg.Agent.Stream(ctx, d.Kind, d.Params)
	if err != nil {
		return nil, err
	}
	conn, err := c.dial(ctx, opening{Answer: d.ID})
	if err != nil {
		_ = local.Close() // nobody will read it
		return nil, err
	}
	stop := context.AfterFunc(c.ctx, func() { cutOff(conn) })
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		defer stop()
		splice(conn, local)
	}()
	return nil, nil
}

// dial opens a stream at the server's listener.
func (c *client) dial(ctx context.Context, o opening) (*tls.Conn, error) {
	at := c.at.Load()
	if at == nil {
		return nil, fault.Unavailablef("the server takes no stream")
	}
	d := net.Dialer{Timeout: openTimeout}
	tcp, err := d.DialContext(ctx, "tcp", *at)
	if err != nil {
		return nil, fault.Unavailablef("the server takes no stream").Because(err)
	}
	conn := tls.Client(whole{tcp}, c.cfg.TLS)
	var back opened
	err = handshake(conn)
	if err == nil {
		err = writeFrame(conn, o)
	}
	if err == nil {
		err = readFrame(conn, &back)
	}
	if err == nil {
		err = unhurried(conn)
	}
	if err != nil {
		_ = conn.Close() // the first error tells
		return nil, fault.Unavailablef("the server takes no stream").Because(err)
	}
	if err := back.Error.Err(); err != nil {
		_ = conn.Close() // nothing was sent
		return nil, err
	}
	return conn, nil
}

// uplink is the server while connected.
type uplink struct {
	c         *client
	connected context.Context
	deltas    bool
}

func (u *uplink) Deltas() bool { return u.deltas }

func (u *uplink) Report(ctx context.Context, r hostlink.Report) error {
	return u.ask(ctx, sayReport, r)
}

// ask waits for an answer while the connection lasts.
func (u *uplink) ask(ctx context.Context, word string, body any) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	defer context.AfterFunc(u.connected, cancel)()
	return request(ctx, u.c.nc, toServer(u.c.host, word), nil, body, nil)
}

func (u *uplink) Tell(ctx context.Context, section hostlink.Section, object, verb string, params any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return fault.Internalf("parameters of message %s: %w", verb, err)
	}
	m := hostlink.Message{Section: section, Object: object, Verb: verb, Params: raw}
	return u.ask(ctx, sayTell, m)
}

func (u *uplink) Open(ctx context.Context, kind string, params any) (io.ReadWriteCloser, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, fault.Internalf("parameters of stream %s: %w", kind, err)
	}
	conn, err := u.c.dial(ctx, opening{Kind: kind, Params: raw})
	if err != nil {
		return nil, err // a nil *tls.Conn is not a nil interface
	}
	return conn, nil
}
