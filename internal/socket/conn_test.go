package socket_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/mekcloud/mek/internal/socket"
)

// TestConn does to a pair of connections what can be done to every net.Conn:
// deadlines, closing while others read and write, all at once.
func TestConn(t *testing.T) {
	nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
		x, y := pair(t)
		return socket.Of(x), socket.Of(y), func() { x.Close(); y.Close() }, nil
	})
}

// TestEndAndReset: a reader learns whether the other side has ended or broken off.
func TestEndAndReset(t *testing.T) {
	for name, linger := range map[string]int{"end": -1, "reset": 0} {
		x, y := pair(t)
		if err := x.(*net.TCPConn).SetLinger(linger); err != nil {
			t.Fatal(err)
		}
		x.Close()
		_, err := socket.Of(y).Read(make([]byte, 10))
		if want := map[string]error{"end": io.EOF, "reset": syscall.ECONNRESET}[name]; !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
		y.Close()
	}
}

// TestWritersAtOnce: pieces of several writers come whole, whatever their size,
// though the reader is slow.
func TestWritersAtOnce(t *testing.T) {
	x, y := pair(t)
	to, from := socket.Of(x), socket.Of(y)
	const writers, pieces, size = 4, 200, 30000
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for range pieces {
				piece := bytes.Repeat([]byte{byte(w)}, size)
				if n, err := to.Write(piece); err != nil || n != len(piece) {
					t.Errorf("%d %v", n, err)
				}
			}
		})
	}
	go func() { all.Wait(); to.Close() }()
	got, err := io.ReadAll(from)
	if err != nil || len(got) != writers*pieces*size {
		t.Fatalf("%d bytes: %v", len(got), err)
	}
	for ; len(got) > 0; got = got[size:] {
		if !bytes.Equal(got[:size], bytes.Repeat(got[:1], size)) {
			t.Fatal("pieces are mixed")
		}
	}
}

func pair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}
