package remote

import (
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/hostlink"
)

// The bounds of a stream's beginning.
const (
	maxFrame    = 1 << 20
	openTimeout = 10 * time.Second
)

// opening is the first frame of a stream, from the agent.
type opening struct {
	Answer string          `json:"answer,omitempty"` // id of the dial this stream answers; empty: the agent asks
	Kind   string          `json:"kind,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
}

// opened is the first frame back.
type opened struct {
	Error *hostlink.WireError `json:"error,omitempty"`
}

func writeFrame(w io.Writer, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	if len(body) > maxFrame {
		return fmt.Errorf("frame of %d bytes is too large", len(body))
	}
	buf := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	if _, err := w.Write(append(buf, body...)); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

// readFrame reads exactly one frame and nothing behind it.
func readFrame(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("read frame: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		return fmt.Errorf("frame of %d bytes is too large", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return fmt.Errorf("read frame: %w", err)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("decode frame: %w", err)
	}
	return nil
}

// splice carries bytes both ways until both ends are done, and closes both.
// A side that fails is told by an end without the closing record.
func splice(conn *tls.Conn, local io.ReadWriteCloser) {
	var both sync.WaitGroup
	both.Add(2)
	go func() {
		defer both.Done()
		_, err := io.Copy(conn, local)
		if err == nil {
			err = conn.CloseWrite()
		}
		if err != nil {
			cutOff(conn)
		}
	}()
	go func() {
		defer both.Done()
		_, err := io.Copy(local, conn)
		half, ok := local.(interface{ CloseWrite() error })
		if err == nil && ok {
			err = half.CloseWrite()
		}
		if err != nil || !ok {
			_ = local.Close() // the other direction ends by it and tells
		}
	}()
	both.Wait()
	_ = local.Close() // may be closed already
	_ = conn.Close()  // likewise
}

// cutOff ends a connection without the closing record: the reader gets an error, not an end.
func cutOff(conn *tls.Conn) { _ = conn.NetConn().Close() }

// handshake proves both sides within the time that an opening may take.
func handshake(conn *tls.Conn) error {
	if err := conn.SetDeadline(clock.Real{}.Now().Add(openTimeout)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	if err := conn.Handshake(); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	return nil
}

// unhurried takes the opening's deadline away.
func unhurried(conn *tls.Conn) error {
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("clear deadline: %w", err)
	}
	return nil
}

// ended tells whether an error is only the end of a listener or connection.
func ended(err error) bool { return errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) }
