package app

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/socket"
)

// bounded is a listener with a number of connections, in all and from one
// address; what is too much is closed at once. A client that does not read what
// is sent to it loses its connection.
type bounded struct {
	net.Listener
	all, each int
	stalled   time.Duration // how long what was sent may lie unread
	room      sync.Pool     // for answers that go out whole

	mu    sync.Mutex
	open  int
	hosts map[string]int
}

func bound(l net.Listener, c config.Limits) *bounded {
	return &bounded{Listener: l, all: c.Connections, each: c.PerAddress, stalled: 2 * c.StallTimeout, room: sync.Pool{New: newRoom}, hosts: map[string]int{}}
}

// Accept gives the next connection that may be.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(c.RemoteAddr().String())
		if err != nil {
			host = ""
		}
		if b.enter(host) {
			return &boundedConn{Conn: socket.Of(c), stalled: b.stalled, held: held{room: &b.room}, leave: sync.OnceFunc(func() { b.leave(host) })}, nil
		}
		_ = c.Close() // nobody has spoken on it
	}
}

func (b *bounded) enter(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open >= b.all || b.hosts[host] >= b.each && !net.ParseIP(host).IsLoopback() {
		return false
	}
	b.open++
	b.hosts[host]++
	return true
}

func (b *bounded) leave(host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open--
	if b.hosts[host]--; b.hosts[host] == 0 {
		delete(b.hosts, host)
	}
}

// boundedConn is a connection on which writes have to move. Safe as net.Conn is.
type boundedConn struct {
	net.Conn
	stalled time.Duration
	leave   func()
	held    held

	mu    sync.Mutex
	until time.Time
	cut   bool
}

// SetWriteDeadline with a time that has passed cuts the connection for good: a
// body that comes in then ends, too.
func (c *boundedConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = c.cut || t.Equal(longAgo())
	return c.Conn.SetWriteDeadline(t)
}

func (c *boundedConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	cut := c.cut
	c.mu.Unlock()
	if cut {
		return 0, os.ErrDeadlineExceeded
	}
	return c.Conn.Read(p)
}

// patient is how much is handed to the system between two looks at the clock.
const patient = 16 << 20

func (c *boundedConn) Write(p []byte) (int, error) {
	if c.held.add(p) {
		return len(p), nil
	}
	return c.sendWith(p)
}

func (c *boundedConn) write(p []byte) (int, error) {
	if err := c.hurry(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// ReadFrom keeps the way from a file to the network inside of the kernel.
func (c *boundedConn) ReadFrom(r io.Reader) (total int64, err error) {
	to, ok := c.Conn.(io.ReaderFrom)
	if !ok {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	part, limited := r.(*io.LimitedReader)
	if limited {
		if n, done, err := c.held.fill(part); done {
			return n, err
		}
	}
	if err := c.Send(); err != nil {
		return 0, err
	}
	if !limited {
		if err := c.hurry(); err != nil {
			return 0, err
		}
		return to.ReadFrom(r)
	}
	for part.N > 0 && err == nil {
		if err := c.hurry(); err != nil {
			return total, err
		}
		piece := &io.LimitedReader{R: part.R, N: min(part.N, patient)}
		asked := piece.N
		var n int64
		n, err = to.ReadFrom(piece)
		total += n
		part.N -= n
		if n < asked {
			break
		}
	}
	return total, err
}

func (c *boundedConn) hurry() error {
	now := clock.Real{}.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return os.ErrDeadlineExceeded
	}
	if c.until.Sub(now) > c.stalled*7/8 {
		return nil
	}
	c.until = now.Add(c.stalled)
	return c.Conn.SetWriteDeadline(c.until)
}

func (c *boundedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
