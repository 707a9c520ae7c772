package http1

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
)

// handed is a listener of connections that others have accepted.
type handed struct {
	net.Listener
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHanded(l net.Listener) *handed {
	return &handed{Listener: l, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (h *handed) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		_ = c.Close() // nobody answers any more
	}
}

// Accept gives the next connection.
func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept, and the listener below.
func (h *handed) Close() (err error) {
	h.once.Do(func() {
		close(h.done)
		err = h.Listener.Close()
	})
	return err
}

// replayed is a connection on which what was read of it comes once more.
type replayed struct {
	net.Conn
	secure *tls.ConnectionState
	read   []byte
}

func (r *replayed) Read(p []byte) (int, error) {
	if len(r.read) > 0 {
		n := copy(p, r.read)
		r.read = r.read[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// ReadFrom keeps the way from a file to the network inside of the kernel.
func (r *replayed) ReadFrom(from io.Reader) (int64, error) {
	if to, ok := r.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(from)
	}
	return io.Copy(struct{ io.Writer }{r.Conn}, from)
}

// NetConn is the connection itself, as of a tls.Conn.
func (r *replayed) NetConn() net.Conn { return r.Conn }

type secureKey struct{}

// replaying tells a handler of the TLS that net/http does not see below what is replayed.
func replaying(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if state, ok := r.Context().Value(secureKey{}).(*tls.ConnectionState); ok && r.TLS == nil {
			r.TLS = state
		}
		next.ServeHTTP(w, r)
	})
}

// within gives the requests of a replayed connection its TLS, and what next does.
func within(next func(context.Context, net.Conn) context.Context) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, c net.Conn) context.Context {
		if r, ok := c.(*replayed); ok && r.secure != nil {
			ctx = context.WithValue(ctx, secureKey{}, r.secure)
		}
		if next != nil {
			ctx = next(ctx, c)
		}
		return ctx
	}
}
