package http1_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/http1"
)

func serverOf(h http.Handler) *http1.Server {
	return &http1.Server{Handler: h, Other: &http.Server{ReadHeaderTimeout: time.Second, IdleTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)},
		Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler)}
}

// TestTLS: both protocols are spoken on one port, and handlers see TLS, also after
// a connection was handed over.
func TestTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := tls.NewListener(plain, &tls.Config{Certificates: certified.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}})
	s := serverOf(handlers)
	go s.Serve(l) //nolint:errcheck // TestAsTheStandardServer looks at it
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	for name, protocols := range map[string][]string{"HTTP/2.0": {"h2"}, "HTTP/1.1": {"http/1.1"}, "HTTP/1.1 ": nil} {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, NextProtos: protocols}, ForceAttemptHTTP2: name == "HTTP/2.0"}
		c := &http.Client{Transport: tr, Timeout: 10 * time.Second}
		for i, length := range []int{0, 10, 20000, 10} {
			a, err := c.Post("https://"+l.Addr().String()+"/echo", "text/plain", strings.NewReader(strings.Repeat("x", length)))
			if err != nil {
				t.Fatalf("%s, request %d: %v", name, i, err)
			}
			body, _ := io.ReadAll(a.Body)
			a.Body.Close()
			if text := string(body); a.Proto != strings.TrimSpace(name) || !strings.HasSuffix(text, " true") || strings.Count(text, "x") < length {
				t.Errorf("%s, request %d: %s %.300q", name, i, a.Proto, text)
			}
		}
		tr.CloseIdleConnections()
	}
	if out := string(talk(t, l.Addr().String(), "GET / HTTP/1.1\r\nHost: h\r\n\r\n")); !strings.Contains(out, "HTTP request to an HTTPS server") {
		t.Errorf("without TLS: %q", out)
	}
}

// TestClientsThatLeave: a request whose client is gone is told so, and one whose
// client says more meanwhile is not.
func TestClientsThatLeave(t *testing.T) {
	entered, left := make(chan bool, 9), make(chan error, 9)
	address := start(t, serverOf(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- true
		select {
		case <-r.Context().Done():
			left <- r.Context().Err()
		case <-time.After(map[string]time.Duration{"/wait": 20 * time.Second, "/while": 200 * time.Millisecond}[r.URL.Path]):
		}
		fmt.Fprint(w, r.URL.Path)
	})))
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, ask("GET", "/while", "\r\n"))
	<-entered
	fmt.Fprint(c, ask("GET", "/at-once", "\r\n"), ask("GET", "/while", "\r\n"))
	r := bufio.NewReader(c)
	for _, want := range []string{"/while", "/at-once", "/while"} {
		a, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(a.Body); string(body) != want {
			t.Errorf("%q instead of %q", body, want)
		}
	}
	<-entered
	<-entered
	fmt.Fprint(c, ask("GET", "/wait", "\r\n"))
	<-entered
	c.Close()
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the handler was not told that its client left")
	}
}

// TestShutdownFirst: a server that was ended does not begin.
func TestShutdownFirst(t *testing.T) {
	s := serverOf(handlers)
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("it ended with %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("its listener is open: %v", err)
	}
}

// TestShutdown: what runs is answered, what is idle is closed, what is new is not let in.
func TestShutdown(t *testing.T) {
	entered, goOn := make(chan bool), make(chan bool)
	s := serverOf(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			entered <- true
			<-goOn
		}
		fmt.Fprint(w, r.URL.Path)
	}))
	address := start(t, s)
	idle, busy := dial(t, address), dial(t, address)
	silent := dial(t, address)
	fmt.Fprint(idle, ask("GET", "/", "\r\n"))
	if a, err := http.ReadResponse(bufio.NewReader(idle), nil); err != nil || a.StatusCode != http.StatusOK {
		t.Fatal(a, err)
	}
	fmt.Fprint(busy, ask("GET", "/wait", "\r\n"))
	<-entered
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	for _, c := range []net.Conn{idle, silent} {
		if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // as net gives it
			t.Errorf("an idle connection: %d, %v", n, err)
		}
	}
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("a new connection was let in")
	}
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	if out, err := io.ReadAll(busy); err != nil || !strings.HasSuffix(string(out), "/wait") {
		t.Errorf("%q %v", out, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// TestPatience: who says nothing, and who says it slowly, loses the connection.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, text := range map[string]string{"nothing": "", "half a head": "GET / HT", "after a request": ask("GET", "/", "\r\n")} {
			s := serverOf(handlers)
			here, there := net.Pipe()
			l := &one{c: there, end: make(chan bool)}
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(l) }()
			begun := time.Now()
			go io.Copy(here, strings.NewReader(text)) //nolint:errcheck // the end is looked at
			_, _ = io.ReadAll(here)
			want := time.Second
			if name == "after a request" {
				want = time.Minute
			}
			if took := time.Since(begun); took < want/2 || took > want*3/2 {
				t.Errorf("%s: closed after %v", name, took)
			}
			s.Close()
			<-ended
		}
	})
}

// one is a listener of one connection.
type one struct {
	c   net.Conn
	end chan bool
}

func (o *one) Accept() (c net.Conn, err error) {
	if c, o.c = o.c, nil; c != nil {
		return c, nil
	}
	<-o.end
	return nil, net.ErrClosed
}

func (o *one) Close() error {
	select {
	case <-o.end:
	default:
		close(o.end)
	}
	return nil
}

func (o *one) Addr() net.Addr { return &net.TCPAddr{} }
