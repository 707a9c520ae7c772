package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// counted is a listener that counts what is handed to the system.
type counted struct {
	net.Listener
	writes atomic.Int64
}

type countedConn struct {
	net.Conn
	of *counted
}

func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	return &countedConn{conn, c}, err
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.of.writes.Add(1)
	return c.Conn.Write(p)
}

// ReadFrom is as a connection of TCP has it.
func (c *countedConn) ReadFrom(r io.Reader) (int64, error) {
	c.of.writes.Add(1)
	return c.Conn.(io.ReaderFrom).ReadFrom(r)
}

// answersOf serves bodies by their lengths: as bytes, as something that is read,
// from a file, and one that breaks off.
func answersOf(t *testing.T, file string) http.Handler {
	enforcer, err := policy.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	sized := func(c *rest.Call) (int, string) {
		return map[string]int{"short": 100, "page": 4 << 10, "more": 30 << 10, "long": 300 << 10}[c.Var("size")], map[string]string{
			"short": "100", "page": "4096", "more": "30720", "long": "307200"}[c.Var("size")]
	}
	stream := func(c *rest.Call, from io.Reader) (rest.Reply, error) {
		n, text := sized(c)
		return rest.Reply{Stream: func(w http.ResponseWriter) error {
			_, err := io.Copy(w, &io.LimitedReader{R: from, N: int64(n)})
			return err
		}}.With("Content-Length", text), nil
	}
	route := func(path string, h rest.Handler) rest.Route {
		return rest.Route{Method: "GET", Path: path, Open: true, Handle: h}
	}
	service := &rest.Service{Name: "x", Type: "x", Prefix: "/x", Policy: enforcer, Routes: []rest.Route{
		route("/v1/bytes/{size}", func(c *rest.Call) (rest.Reply, error) {
			n, _ := sized(c)
			return rest.OK(bytes.Repeat([]byte("a"), n))
		}),
		route("/v1/read/{size}", func(c *rest.Call) (rest.Reply, error) {
			return stream(c, struct{ io.Reader }{bytes.NewReader(bytes.Repeat([]byte("a"), 1<<20))})
		}),
		route("/v1/file/{size}", func(c *rest.Call) (rest.Reply, error) {
			f, err := os.Open(file)
			if err != nil {
				return rest.Reply{}, err
			}
			r, err := stream(c, f)
			r.Close = f.Close
			return r, err
		}),
		route("/v1/broken", func(c *rest.Call) (rest.Reply, error) {
			return rest.Reply{Stream: func(w http.ResponseWriter) error {
				_, err := w.Write([]byte("half"))
				return errors.Join(err, errors.New("the rest is lost"))
			}}.With("Content-Length", "8"), nil
		}),
	}}
	return rest.New(rest.Config{Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler)}, http.NotFoundHandler(), service)
}

// TestAnswersGoOutAtOnce: the head and the body of an answer are handed to the
// system by one call, the bytes are those, and the connection goes on.
func TestAnswersGoOutAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(file, bytes.Repeat([]byte("a"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	count := &counted{Listener: l}
	limits := config.Default(t.TempDir()).Server().Limits
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, bound(count, limits), answersOf(t, file), limits, slog.New(slog.DiscardHandler))
	}()
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	for _, c := range []struct {
		path   string
		size   int
		writes int64
	}{
		{"bytes/short", 100, 1}, {"bytes/page", 4 << 10, 1}, {"bytes/more", 30 << 10, 1}, {"bytes/long", 300 << 10, 2}, {"read/short", 100, 1},
		{"read/page", 4 << 10, 1}, {"read/more", 30 << 10, 1}, {"file/page", 4 << 10, 1}, {"file/more", 30 << 10, 1}, {"file/long", 300 << 10, 99}, {"bytes/page", 4 << 10, 1},
	} {
		before := count.writes.Load()
		answer, err := client.Get("http://" + l.Addr().String() + "/x/v1/" + c.path)
		if err != nil {
			t.Fatal(c.path, err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !bytes.Equal(body, bytes.Repeat([]byte("a"), c.size)) {
			t.Errorf("%s: %d, %d bytes, %v", c.path, answer.StatusCode, len(body), err)
		}
		if n := count.writes.Load() - before; n > c.writes {
			t.Errorf("%s: written by %d calls, at most %d expected", c.path, n, c.writes)
		}
	}
	answer, err := client.Get("http://" + l.Addr().String() + "/x/v1/broken")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(answer.Body); err == nil || string(body) != "half" {
		t.Errorf("an answer that breaks off: %q, %v", body, err)
	}
	answer.Body.Close()
	client.CloseIdleConnections()
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestHeldConnections: what is held goes out with what there is no room for, in
// its order, and nothing is held afterwards; a connection that was cut takes nothing.
func TestHeldConnections(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	c := &boundedConn{Conn: ours, stalled: time.Hour, held: held{room: &sync.Pool{New: newRoom}}, leave: func() {}}
	got := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(theirs) // ends with our end
		got <- all
	}()
	write := func(what byte, n int) {
		t.Helper()
		if m, err := c.Write(bytes.Repeat([]byte{what}, n)); m != n || err != nil {
			t.Fatal(m, err)
		}
	}
	c.Hold()
	write('a', 100)
	write('b', mostHeld)
	if c.held.data != nil {
		t.Error("held after it went out")
	}
	write('c', 10)
	c.Hold()
	write('d', 5)
	if n, err := c.ReadFrom(&io.LimitedReader{R: bytes.NewReader([]byte("eeeee")), N: 3}); n != 3 || err != nil {
		t.Error(n, err)
	}
	if n, err := c.ReadFrom(&io.LimitedReader{R: bytes.NewReader([]byte("fff")), N: 1 << 20}); n != 3 || err != nil {
		t.Error(n, err)
	}
	c.Hold()
	write('g', 7)
	if err := errors.Join(c.Send(), c.Send()); err != nil {
		t.Error(err)
	}
	c.Hold()
	write('h', 7)
	if err := c.SetWriteDeadline(longAgo()); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("what is held is sent on a connection that was cut: %v", err)
	}
	c.Close()
	want := ""
	for _, part := range []struct {
		what string
		n    int
	}{{"a", 100}, {"b", mostHeld}, {"c", 10}, {"d", 5}, {"e", 3}, {"f", 3}, {"g", 7}} {
		want += string(bytes.Repeat([]byte(part.what), part.n))
	}
	if all := <-got; string(all) != want {
		t.Errorf("%d bytes arrived, %d expected", len(all), len(want))
	}
}
