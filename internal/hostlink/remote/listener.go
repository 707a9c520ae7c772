package remote

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// maxStreams bounds the streams of one host at a time.
const maxStreams = 512

// listener takes the streams that agents dial.
type listener struct {
	cfg  ServerConfig
	l    net.Listener
	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex
	open    map[*tls.Conn]string      // to its host; "" before the handshake
	awaited map[string]chan *tls.Conn // by host and id
}

func listen(cfg ServerConfig, tlsConfig *tls.Config) (*listener, error) {
	tcp, err := net.Listen("tcp", cfg.Streams)
	if err != nil {
		return nil, fmt.Errorf("listen for streams: %w", err)
	}
	l := &listener{cfg: cfg, l: tls.NewListener(wholeListener{tcp}, tlsConfig), open: map[*tls.Conn]string{}, awaited: map[string]chan *tls.Conn{}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.work.Add(1)
	go l.accept()
	return l, nil
}

func (l *listener) accept() {
	defer l.work.Done()
	for {
		c, err := l.l.Accept()
		if err != nil {
			if !ended(err) {
				l.cfg.Log.Error("streams are no longer taken", "error", err)
			}
			return
		}
		conn := c.(*tls.Conn) // of a TLS listener
		if !l.add(conn) {
			return
		}
		go func() {
			defer l.work.Done()
			if err := l.serve(conn); err != nil {
				l.cfg.Log.Warn("stream refused", "address", conn.RemoteAddr(), "error", err)
				l.drop(conn)
				_ = conn.Close() // the error is told already
			}
		}()
	}
}

// serve proves who dials and hands the stream to whom it is for.
func (l *listener) serve(conn *tls.Conn) error {
	if err := handshake(conn); err != nil {
		return err
	}
	host, err := l.cfg.HostOf(conn.ConnectionState().VerifiedChains[0][0])
	if err != nil {
		return err
	}
	var o opening
	if err := readFrame(conn, &o); err != nil {
		return err
	}
	if !l.claim(conn, host) {
		return l.refuse(conn, fault.Unavailablef("too many streams"))
	}
	if o.Answer != "" {
		return l.deliver(conn, host, o.Answer)
	}
	local, err := l.cfg.Hub.Serve(l.ctx, host, o.Kind, o.Params)
	if err != nil {
		return l.refuse(conn, err)
	}
	if err := writeFrame(conn, opened{}); err != nil {
		_ = local.Close() // nobody will read it
		return err
	}
	if err := unhurried(conn); err != nil {
		_ = local.Close() // nobody will read it
		return err
	}
	splice(conn, local)
	l.drop(conn)
	return nil
}

// refuse tells the agent why and returns the reason.
func (l *listener) refuse(conn *tls.Conn, why error) error {
	if err := writeFrame(conn, opened{hostlink.PackError(why)}); err != nil {
		return err
	}
	l.drop(conn)
	return conn.Close()
}

// deliver hands a stream to the one who asked the agent for it.
func (l *listener) deliver(conn *tls.Conn, host, id string) error {
	l.mu.Lock()
	to := l.awaited[host+"\x00"+id]
	delete(l.awaited, host+"\x00"+id)
	l.mu.Unlock()
	if to == nil {
		return l.refuse(conn, fault.NotFoundf("nobody waits for this stream"))
	}
	if err := writeFrame(conn, opened{}); err != nil {
		return err
	}
	if err := unhurried(conn); err != nil {
		return err
	}
	l.drop(conn) // the receiver owns it now
	to <- conn   // has room for one
	return nil
}

// expect says that a host will dial with an id.
func (l *listener) expect(host, id string) (arrived <-chan *tls.Conn, forget func()) {
	ch := make(chan *tls.Conn, 1)
	key := host + "\x00" + id
	l.mu.Lock()
	l.awaited[key] = ch
	l.mu.Unlock()
	return ch, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.awaited, key)
	}
}

func (l *listener) add(conn *tls.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		_ = conn.Close() // closing everything
		return false
	}
	l.open[conn] = ""
	l.work.Add(1)
	return true
}

// claim counts a stream to its host. False: it has too many.
func (l *listener) claim(conn *tls.Conn, host string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, h := range l.open {
		if h == host {
			n++
		}
	}
	l.open[conn] = host
	return n < maxStreams
}

func (l *listener) drop(conn *tls.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, conn)
}

func (l *listener) close() {
	l.mu.Lock()
	l.stop()
	_ = l.l.Close() // ends accept
	for conn := range l.open {
		cutOff(conn)
	}
	l.mu.Unlock()
	l.work.Wait()
}
