package http1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

const (
	// room is how long a request may be, body and all; little is what an idle
	// connection holds for it.
	room, little = 8 << 10, 2 << 10
	// moment is how long a request that has begun may take to come; Python's
	// clients send head and body one after the other.
	moment = 100 * time.Millisecond
	// beginning is how much of a further request net/http waits for before it
	// complains of what is missing.
	beginning = 4
	// long is how long a request is worked on before somebody looks whether its
	// client is still there.
	long = 50 * time.Millisecond
)

// conn is a connection whose requests are answered here. Its loop is one goroutine.
type conn struct {
	net.Conn
	server *Server
	secure *tls.ConnectionState
	remote string
	ctx    context.Context // of all its requests

	buffer []byte    // what was read and is not used
	until  time.Time // the deadline of an idle connection, while it is set
	silent bool      // it has not asked for anything
	out    response
	ahead  ahead

	mu     sync.Mutex
	busy   bool
	closed bool // by Shutdown
}

// serve answers request after request, until the connection is over or the next
// one is for net/http: then it gives what was read.
func (c *conn) serve() (read []byte, over bool) {
	c.ahead.conn = c
	defer c.ahead.stop()
	for {
		r, v := c.next()
		switch v {
		case foreign:
			return c.buffer, false
		case partial:
			return nil, true
		}
		if !c.begin() {
			return nil, true
		}
		req, err := c.read(r)
		if err != nil {
			return c.buffer, false
		}
		if !c.answer(req) || !c.end() {
			return nil, true
		}
		c.buffer = append(c.buffer[:0], c.buffer[r.end:]...)
	}
}

// next waits until a whole request lies in the buffer; partial: none will.
func (c *conn) next() (request, verdict) {
	for {
		if len(c.buffer) > 0 {
			if r, v := look(c.buffer, room); v != partial {
				return r, v
			}
		}
		if !c.wait(len(c.buffer) > 0) {
			return request{}, partial
		}
		if len(c.buffer) == cap(c.buffer) {
			c.buffer = slices.Grow(c.buffer, room-len(c.buffer))
		}
		n, err := c.Conn.Read(c.buffer[len(c.buffer):cap(c.buffer)])
		c.buffer = c.buffer[:len(c.buffer)+n]
		switch {
		case err == nil || n > 0:
		case len(c.buffer) >= beginning || c.silent && len(c.buffer) > 0:
			return request{}, foreign // a slow client, or one that breaks off
		default:
			return request{}, partial
		}
	}
}

// wait sets until when something has to come. That of an idle connection is set
// anew only when much of it is gone.
func (c *conn) wait(begun bool) bool {
	now := c.server.Clock.Now()
	if begun {
		c.until = time.Time{}
		return c.SetReadDeadline(now.Add(moment)) == nil
	}
	patience := c.server.Other.IdleTimeout
	if c.silent {
		patience = c.server.Other.ReadHeaderTimeout
	}
	if c.until.Sub(now) > patience*7/8 {
		return true
	}
	c.until = now.Add(patience)
	return c.SetReadDeadline(c.until) == nil
}

// read parses a request; its body is what lies behind its head.
func (c *conn) read(r request) (*http.Request, error) {
	parser := c.server.parsers.Get().(*bufio.Reader)
	defer c.server.parsers.Put(parser)
	parser.Reset(bytes.NewReader(c.buffer[:r.head]))
	req, err := http.ReadRequest(parser)
	if err != nil {
		return nil, err
	}
	c.silent = false
	req.RemoteAddr, req.TLS, req.Body = c.remote, c.secure, http.NoBody
	if r.end > r.head {
		req.Body = io.NopCloser(bytes.NewReader(c.buffer[r.head:r.end]))
	}
	return req, nil
}

// answer has the handler answer; false: the connection is to be closed.
func (c *conn) answer(req *http.Request) (goesOn bool) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	c.ahead.begin(cancel)
	room := c.server.rooms.Get().(*[]byte)
	c.out.begin(c, req, (*room)[:0])
	defer func() {
		if p := recover(); p != nil {
			goesOn = false
			if p != http.ErrAbortHandler { //nolint:errorlint // a panic's value
				c.server.Log.Error("panic in a handler", "panic", p, "stack", string(debug.Stack()))
			}
		}
		if goesOn = c.ahead.end() && goesOn; cap(c.out.out) <= spare {
			*room = c.out.out
			c.server.rooms.Put(room)
		}
		c.out.out = nil
	}()
	c.server.Handler.ServeHTTP(&c.out, req.WithContext(ctx))
	return c.out.finish() == nil && !c.out.last
}

// begin and end bound the time in which Shutdown leaves the connection alone.
func (c *conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = !c.closed
	return c.busy
}

func (c *conn) end() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
	return !c.closed
}

// closeIdle closes the connection, at once or when its request is answered.
func (c *conn) closeIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed = true; !c.busy {
		_ = c.Conn.Close() // its loop ends, whatever the answer
	}
}
