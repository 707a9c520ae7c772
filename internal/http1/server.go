package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// Server answers a listener's connections. Its fields are set before Serve.
type Server struct {
	Handler http.Handler
	// Other answers what is not ordinary; its handler is Handler. Its times for idle
	// connections and for heads are those of all connections.
	Other *http.Server
	Clock clock.Clock
	Log   *slog.Logger

	rest    *handed
	parsers sync.Pool // of *bufio.Reader
	rooms   sync.Pool // of *[]byte, for answers

	mu    sync.Mutex
	open  map[*conn]bool
	ended bool
}

// Serve answers until Shutdown or Close, then http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error {
	if !s.prepare(l) {
		return errors.Join(http.ErrServerClosed, l.Close())
	}
	other := make(chan error, 1)
	go func() { other <- s.Other.Serve(s.rest) }()
	err := s.accept(l)
	if s.over() {
		return http.ErrServerClosed
	}
	s.rest.Close()
	return errors.Join(err, <-other)
}

// prepare is false when Shutdown or Close came before.
func (s *Server) prepare(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open, s.rest = map[*conn]bool{}, newHanded(l)
	s.parsers.New = func() any { return bufio.NewReaderSize(nil, room) }
	s.rooms.New = func() any { return new([]byte) }
	s.Other.Handler = replaying(s.Handler)
	s.Other.ConnContext = within(s.Other.ConnContext)
	return !s.ended
}

func (s *Server) accept(l net.Listener) error {
	for pause := time.Duration(0); ; {
		c, err := l.Accept()
		var temporary interface{ Temporary() bool }
		switch {
		case err == nil:
			pause = 0
			go s.greet(c)
		case errors.As(err, &temporary) && temporary.Temporary() && !s.over(): // no descriptors, for example
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			<-s.Clock.After(pause)
		default:
			return err
		}
	}
}

// greet finds out whose a connection is, and answers on it.
func (s *Server) greet(nc net.Conn) {
	var secure *tls.ConnectionState
	if t, ok := nc.(*tls.Conn); ok {
		state, ours := s.handshake(t)
		if !ours {
			s.rest.give(nc)
			return
		}
		secure = &state
	}
	c := &conn{Conn: nc, server: s, secure: secure, remote: nc.RemoteAddr().String(), buffer: make([]byte, 0, little), silent: true}
	c.ctx = s.Other.ConnContext(context.WithValue(context.Background(), http.LocalAddrContextKey, nc.LocalAddr()), nc)
	if !s.enter(c) {
		_ = nc.Close() // nobody has spoken on it
		return
	}
	read, over := c.serve()
	s.leave(c)
	if over || nc.SetReadDeadline(time.Time{}) != nil {
		_ = nc.Close() // whatever the answer, it is over
		return
	}
	s.rest.give(&replayed{Conn: nc, secure: secure, read: read})
}

// handshake tells whether a connection speaks HTTP/1.1. One that fails is for
// net/http, which says so to the client.
func (s *Server) handshake(t *tls.Conn) (state tls.ConnectionState, ours bool) {
	if t.SetDeadline(s.Clock.Now().Add(s.Other.ReadHeaderTimeout)) != nil || t.HandshakeContext(context.Background()) != nil {
		return state, false
	}
	state = t.ConnectionState()
	return state, t.SetDeadline(time.Time{}) == nil && state.NegotiatedProtocol != "h2"
}

func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.open[c] = true
	}
	return !s.ended
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

func (s *Server) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// all are the connections that are open; from now on there will be no new one.
func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended = true; s.rest != nil {
		_ = s.rest.Close() // no more come of it, whatever the answer
	}
	out := make([]*conn, 0, len(s.open))
	for c := range s.open {
		out = append(out, c)
	}
	return out
}

// Shutdown takes no new connections, and waits until the requests that run are
// answered, or ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	for _, c := range s.all() {
		c.closeIdle()
	}
	err := s.Other.Shutdown(ctx)
	for len(s.all()) > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Clock.After(10 * time.Millisecond):
		}
	}
	return err
}

// Close ends all connections at once.
func (s *Server) Close() error {
	for _, c := range s.all() {
		_ = c.Conn.Close() // its loop ends, whatever the answer
	}
	return s.Other.Close()
}
