package app

import (
	"context"
	"io"
	"net"
	"sync"

	"github.com/mekcloud/mek/internal/rest"
)

// mostHeld is how much a connection keeps back of an answer that is to go out whole.
const mostHeld = 64 << 10

// held is what was written to a connection and is to go out with what comes
// after it. Its own mutex: TLS may say goodbye while an answer is written.
type held struct {
	room *sync.Pool // of *[]byte

	mu   sync.Mutex
	data *[]byte // nil: nothing is held
}

func newRoom() any { return new(make([]byte, 0, mostHeld)) }

// Hold has what is written from now on wait for Send, or until it is much.
func (c *boundedConn) Hold() {
	c.held.mu.Lock()
	defer c.held.mu.Unlock()
	if c.held.data == nil {
		c.held.data = c.held.room.Get().(*[]byte)
	}
}

// Send writes what was held.
func (c *boundedConn) Send() error {
	data := c.held.take()
	if data == nil {
		return nil
	}
	defer c.held.free(data)
	if len(*data) == 0 {
		return nil
	}
	_, err := c.write(*data)
	return err
}

func (h *held) free(data *[]byte) {
	*data = (*data)[:0]
	h.room.Put(data)
}

func (h *held) take() *[]byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	data := h.data
	h.data = nil
	return data
}

// add keeps what is written, if something is held and there is room.
func (h *held) add(p []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.data == nil || len(*h.data)+len(p) > cap(*h.data) {
		return false
	}
	*h.data = append(*h.data, p...)
	return true
}

// fill keeps what can be read, if something is held and there is room.
func (h *held) fill(r *io.LimitedReader) (n int64, done bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.data == nil || int64(len(*h.data))+r.N > int64(cap(*h.data)) {
		return 0, false, nil
	}
	b := *h.data
	for r.N > 0 && err == nil {
		var got int
		got, err = r.Read(b[len(b) : len(b)+int(r.N)])
		b, n = b[:len(b)+got], n+int64(got)
	}
	*h.data = b
	if err == io.EOF { //nolint:errorlint // readers give it as it is
		err = nil
	}
	return n, true, err
}

// sendWith writes what was held and a piece that there is no room for, by one call.
func (c *boundedConn) sendWith(p []byte) (int, error) {
	data := c.held.take()
	if data == nil {
		return c.write(p)
	}
	defer c.held.free(data)
	before := int64(len(*data))
	if err := c.hurry(); err != nil {
		return 0, err
	}
	all := net.Buffers{*data, p}
	n, err := all.WriteTo(c.Conn)
	return int(max(n-before, 0)), err
}

// together gives the requests of a connection the means to answer at once.
func together(ctx context.Context, c net.Conn) context.Context {
	for {
		around, ok := c.(interface{ NetConn() net.Conn }) // TLS, and what is read again
		if !ok {
			break
		}
		c = around.NetConn()
	}
	if b, ok := c.(*boundedConn); ok {
		return rest.WithHolder(ctx, b)
	}
	return ctx
}
