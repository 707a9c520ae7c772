package qmp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrClosed is what waiters get when the connection has ended, whoever ended it.
var ErrClosed = errors.New("qmp: connection closed")

// handshakeLimit is how long a greeting may take when the context sets no deadline.
const handshakeLimit = 30 * time.Second

// Client is one connection to one QEMU. Safe for concurrent use.
type Client struct {
	conn    *net.UnixConn
	version Version
	oob     bool
	done    chan struct{}

	sendMu sync.Mutex // one message, with its descriptor, at a time

	mu      sync.Mutex
	nextID  uint64
	waiting map[uint64]chan message
	subs    map[*Subscription]struct{}
	err     error // why the connection ended
}

// New takes over a connection, reads the greeting and negotiates. It closes
// conn when it fails. Close ends the client.
func New(ctx context.Context, conn *net.UnixConn) (*Client, error) {
	c := &Client{conn: conn, done: make(chan struct{}), waiting: map[uint64]chan message{}, subs: map[*Subscription]struct{}{}}
	r := newReader(conn)
	if err := c.greet(ctx, r); err != nil {
		_ = conn.Close() // the handshake's error says more
		return nil, err
	}
	go c.read(r)
	if err := c.negotiate(ctx); err != nil {
		_ = c.Close() // likewise
		return nil, err
	}
	return c, nil
}

// Dial connects to a socket and makes a client of the connection.
func Dial(ctx context.Context, path string) (*Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("connect to the monitor: %w", err)
	}
	return New(ctx, conn.(*net.UnixConn))
}

// greet reads the greeting, which ends with ctx.
func (c *Client) greet(ctx context.Context, r *reader) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetReadDeadline(time.Unix(1, 0)) })
	m, err := r.next()
	if !stop() {
		return fmt.Errorf("wait for the monitor's greeting: %w", context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("read the monitor's greeting: %w", err)
	}
	if m.QMP == nil {
		return errors.New("read the monitor's greeting: something else came")
	}
	c.version = m.QMP.Version.QEMU
	c.version.Package = m.QMP.Version.Package
	for _, capability := range m.QMP.Capabilities {
		c.oob = c.oob || capability == "oob"
	}
	return nil
}

func (c *Client) negotiate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeLimit)
	defer cancel()
	args := map[string][]string{}
	if c.oob {
		args["enable"] = []string{"oob"}
	}
	return c.Execute(ctx, "qmp_capabilities", args, nil)
}

// Version is QEMU's.
func (c *Client) Version() Version { return c.version }

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close ends the connection; QEMU goes on. Closing twice is fine.
func (c *Client) Close() error {
	err := c.conn.Close()
	<-c.done
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Execute runs a command and decodes what it returns into result, unless that
// is nil. The error is *Error when QEMU refused, ErrClosed when the connection
// ended, ctx's when it did; after the latter two the outcome is unknown.
func (c *Client) Execute(ctx context.Context, command string, args, result any) error {
	return c.run(ctx, request{Execute: command, Arguments: args}, nil, result)
}

// ExecuteOOB runs a command out of band, ahead of those that are queued. Only a
// few commands allow it. It falls back to Execute where QEMU does not offer it.
func (c *Client) ExecuteOOB(ctx context.Context, command string, args, result any) error {
	if !c.oob {
		return c.Execute(ctx, command, args, result)
	}
	return c.run(ctx, request{OOB: command, Arguments: args}, nil, result)
}

// ExecuteFile is Execute with a descriptor beside the command (getfd, add-fd).
// QEMU gets its own copy; file stays the caller's.
func (c *Client) ExecuteFile(ctx context.Context, command string, args, result any, file *os.File) error {
	return c.run(ctx, request{Execute: command, Arguments: args}, file, result)
}

func (c *Client) run(ctx context.Context, req request, file *os.File, result any) error {
	name := req.Execute + req.OOB
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", name, context.Cause(ctx))
	}
	answer := make(chan message, 1)
	id, err := c.register(answer)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	req.ID = id
	defer c.forget(id)
	if err := c.send(ctx, req, file); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	select {
	case m, ok := <-answer:
		if !ok {
			return fmt.Errorf("%s: %w", name, c.closed())
		}
		return finish(name, m, result)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", name, context.Cause(ctx))
	}
}

func finish(name string, m message, result any) error {
	if m.Error != nil {
		return fmt.Errorf("%s: %w", name, m.Error)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(m.Return, result); err != nil {
		return fmt.Errorf("%s: decode the answer: %w", name, err)
	}
	return nil
}

func (c *Client) register(answer chan message) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		return 0, c.closedLocked()
	}
	c.nextID++
	c.waiting[c.nextID] = answer
	return c.nextID, nil
}

func (c *Client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

// send writes one message. A half-written one would garble the next, so any
// failure ends the connection.
func (c *Client) send(ctx context.Context, req request, file *os.File) error {
	line, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	line = append(line, '\n')
	var beside []byte
	if file != nil {
		beside = unix.UnixRights(int(file.Fd()))
	}
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	if err := c.writeWithin(ctx, line, beside); err != nil {
		_ = c.conn.Close() // the reader notices and tells everybody
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// writeWithin gives up writing when ctx ends.
func (c *Client) writeWithin(ctx context.Context, line, beside []byte) error {
	var mu sync.Mutex
	written := false
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if !written { // afterwards it would hit the next message
			_ = c.conn.SetWriteDeadline(time.Unix(1, 0))
		}
	})
	err := c.write(line, beside)
	mu.Lock()
	defer mu.Unlock()
	written = true
	if !stop() && err == nil {
		err = c.conn.SetWriteDeadline(time.Time{})
	}
	return err
}

func (c *Client) write(line, beside []byte) error {
	n, _, err := c.conn.WriteMsgUnix(line, beside, nil)
	if err != nil || n == len(line) {
		return err
	}
	_, err = c.conn.Write(line[n:])
	return err
}

// read hands out messages until the connection ends.
func (c *Client) read(r *reader) {
	for {
		m, err := r.next()
		if err != nil {
			c.end(err)
			return
		}
		switch {
		case m.Event != "":
			at := time.Unix(m.Timestamp.Seconds, m.Timestamp.Microseconds*1000).UTC()
			c.publish(Event{Name: m.Event, Data: m.Data, At: at})
		case m.ID != nil:
			c.deliver(*m.ID, m)
		case m.Error != nil:
			// An answer without an id: QEMU could not parse what we sent.
			c.end(m.Error)
			return
		}
	}
}

func (c *Client) deliver(id uint64, m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch, ok := c.waiting[id]; ok {
		ch <- m // has room for its one answer
		delete(c.waiting, id)
	}
}

func (c *Client) end(err error) {
	_ = c.conn.Close() // may be closed already
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	for _, ch := range c.waiting {
		close(ch)
	}
	c.waiting = nil
	for s := range c.subs {
		s.finish()
	}
	c.subs = nil
	close(c.done)
}

func (c *Client) closed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closedLocked()
}

func (c *Client) closedLocked() error {
	var refused *Error
	if errors.As(c.err, &refused) {
		return fmt.Errorf("%w: %s", ErrClosed, refused.Desc)
	}
	return ErrClosed
}
