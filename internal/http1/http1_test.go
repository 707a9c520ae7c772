package http1_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/http1"
)

// handlers are answers in all the ways in which handlers give them.
var handlers = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	switch body, _ := io.ReadAll(r.Body); r.URL.Path {
	case "/echo":
		fmt.Fprintf(w, "%s %s %s %s %q %d %q %v", r.Method, r.Host, r.RequestURI, r.Proto, r.Header, r.ContentLength, body, r.TLS != nil)
	case "/typed":
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", "2")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, "{}")
	case "/untyped":
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, "<html><body>")
	case "/encoded":
		h.Set("Content-Encoding", "gzip")
		fmt.Fprint(w, "<html>")
	case "/nothing":
	case "/status":
		w.WriteHeader(http.StatusNotFound)
		w.WriteHeader(http.StatusOK)
		h.Set("X-Late", "yes")
	case "/204":
		w.WriteHeader(http.StatusNoContent)
		if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrBodyNotAllowed) {
			panic("a body passed")
		}
	case "/304":
		h.Set("ETag", "e")
		w.WriteHeader(http.StatusNotModified)
	case "/split":
		h.Set("X-Split", "a\r\nSet-Cookie: b")
		h["Bad Name"] = []string{"x"}
		h["X-Many"] = []string{"1", " 2 "}
	case "/long":
		for range 100 {
			fmt.Fprint(w, strings.Repeat("line\n", 200))
		}
	case "/sized":
		h.Set("Content-Length", "100000")
		for range 100 {
			fmt.Fprint(w, strings.Repeat("line\n", 200))
		}
	case "/copied":
		h.Set("Content-Length", "100000")
		h.Set("Content-Type", "text/x")
		w.WriteHeader(http.StatusOK)
		if _, err := io.Copy(w, io.LimitReader(zeros{}, 100000)); err != nil {
			panic(err)
		}
	case "/flushed":
		fmt.Fprint(w, "one")
		_ = http.NewResponseController(w).Flush()
		fmt.Fprint(w, "two")
	case "/flushedfirst":
		_ = http.NewResponseController(w).Flush()
		fmt.Fprint(w, "two")
	case "/short":
		h.Set("Content-Length", "10")
		fmt.Fprint(w, "four")
	case "/beyond":
		h.Set("Content-Length", "3")
		fmt.Fprint(w, "abc")
		if _, err := fmt.Fprint(w, "d"); !errors.Is(err, http.ErrContentLength) {
			panic("too much passed")
		}
	case "/close":
		h.Set("Connection", "close")
		fmt.Fprint(w, "bye")
	case "/panic":
		panic(http.ErrAbortHandler)
	case "/date":
		h.Set("Date", "never")
	}
})

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type server interface {
	Serve(l net.Listener) error
	Close() error
	Shutdown(ctx context.Context) error
}

func start(t testing.TB, s server) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v", err)
		}
	})
	return l.Addr().String()
}

func both(t testing.TB, h http.Handler) (own, standard string) {
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	other := func() *http.Server {
		return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, ErrorLog: quiet}
	}
	return start(t, &http1.Server{Handler: h, Other: other(), Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler)}), start(t, other())
}

// talk sends pieces, and gives what is answered until the connection ends.
func talk(t testing.TB, address string, pieces ...string) []byte {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	for i, p := range pieces {
		if i > 0 {
			time.Sleep(20 * time.Millisecond) // pieces that the server reads one by one
		}
		if _, err := io.WriteString(c, p); err != nil {
			break // it has answered without reading all
		}
	}
	_ = c.(*net.TCPConn).CloseWrite() // or it is closed
	out, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%q: %v after %q", pieces, err, out)
	}
	return out
}

// answers are those to requests of these methods, without what may differ: the
// order of headers, how a long body is cut into chunks, and the time.
func answers(out []byte, methods ...string) (all []string) {
	r := bufio.NewReader(bytes.NewReader(out))
	for _, m := range methods {
		a, err := http.ReadResponse(r, &http.Request{Method: m})
		if err != nil {
			return append(all, err.Error())
		}
		body, err := io.ReadAll(a.Body)
		if a.Header.Get("Date") != "never" && a.Header.Get("Date") != "" {
			a.Header.Set("Date", "now")
		}
		all = append(all, fmt.Sprintf("%s %s %v length %d close %v %v body %q %v", a.Proto, a.Status, a.Header, a.ContentLength, a.Close, a.TransferEncoding, body, err))
	}
	rest, _ := io.ReadAll(r)
	return append(all, string(rest))
}

func ask(method, path string, more ...string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: h:1\r\n" + strings.Join(more, "")
}

// conversations are what clients send, by pieces.
func conversations() map[string][]string {
	out := map[string][]string{}
	for _, path := range []string{"/typed", "/untyped", "/encoded", "/nothing", "/status", "/204", "/304", "/split", "/long", "/sized", "/copied", "/flushed", "/flushedfirst",
		"/short", "/beyond", "/close", "/panic", "/date"} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			out[method+" "+path] = []string{ask(method, path, "\r\n") + ask("GET", "/echo", "\r\n")}
		}
	}
	for name, text := range map[string]string{
		"fields":            ask("GET", "/echo?a=%20b", "X-Auth-Token: t\r\nuser_agent: x\r\nACCEPT:  */* \r\nx: \r\n\r\n"),
		"twice":             ask("GET", "/echo", "A: 1\r\na: 2\r\n\r\n"),
		"body":              ask("POST", "/echo", "Content-Length: 5\r\n\r\nhello"),
		"body of a get":     ask("GET", "/echo", "Content-Length: 5\r\n\r\nhello"),
		"no body":           ask("POST", "/echo", "Content-Length: 0\r\n\r\n"),
		"long body":         ask("PUT", "/echo", "Content-Length: 20000\r\n\r\n"+strings.Repeat("x", 20000)),
		"as long as may be": ask("PUT", "/echo", "Content-Length: 8100\r\n\r\n"+strings.Repeat("x", 8100)),
		"chunked":           ask("PUT", "/echo", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		"both lengths":      ask("PUT", "/echo", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		"two lengths":       ask("PUT", "/echo", "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
		"same lengths":      ask("PUT", "/echo", "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
		"no length":         ask("PUT", "/echo", "Content-Length: \r\n\r\n"),
		"signed length":     ask("PUT", "/echo", "Content-Length: +5\r\n\r\nhello"),
		"expectation":       ask("PUT", "/echo", "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
		"long head":         ask("GET", "/echo", "X-Long: "+strings.Repeat("y", 9000)+"\r\n\r\n"),
		"keep alive":        ask("GET", "/echo", "Connection: Keep-Alive\r\n\r\n"),
		"close":             ask("GET", "/echo", "Connection: close\r\n\r\n"),
		"older":             "GET /echo HTTP/1.0\r\nHost: h\r\n\r\n",
		"no host":           "GET /echo HTTP/1.1\r\n\r\n",
		"two hosts":         ask("GET", "/echo", "Host: i\r\n\r\n"),
		"strange host":      "GET /echo HTTP/1.1\r\nHost: a b\r\n\r\n",
		"whole address":     "GET http://k/echo HTTP/1.1\r\nHost: h\r\n\r\n",
		"options":           "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
		"bad escape":        ask("GET", "/echo%zz", "\r\n"),
		"bare newline":      "GET /echo HTTP/1.1\nHost: h\n\n",
		"folded":            ask("GET", "/echo", "A: 1\r\n 2\r\n\r\n"),
		"blank in a name":   ask("GET", "/echo", "A : 1\r\n\r\n"),
		"control":           ask("GET", "/echo", "A: \x01\r\n\r\n"),
		"return":            ask("GET", "/echo", "A: a\rb\r\n\r\n"),
		"other letters":     ask("GET", "/echo", "A: \xc3\xa9\r\n\r\n"),
		"nothing":           "\r\n\r\n",
		"rubbish":           "\x16\x03\x01 rubbish\r\n\r\n",
		"tunnel":            "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
		"small method":      "get /echo HTTP/1.1\r\nHost: h\r\n\r\n",
		"half":              "GET /echo HT",
		"half a body":       ask("POST", "/echo", "Content-Length: 5\r\n\r\nhel"),
	} {
		out[name] = []string{text + ask("GET", "/echo", "\r\n")}
		out[name+", in pieces"] = []string{text[:len(text)/2], text[len(text)/2:], ask("GET", "/echo", "\r\n")}
	}
	out["late"] = []string{ask("POST", "/echo", "Content-Length: 5\r\n\r\n"), "hello", ask("GET", "/nothing", "\r\n"), ask("GET", "/echo", "\r\n")}
	return out
}

// TestAsTheStandardServer: whatever is sent, the answers are those of net/http.
func TestAsTheStandardServer(t *testing.T) {
	own, standard := both(t, handlers)
	for name, pieces := range conversations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, _, _ := strings.Cut(pieces[0], " ")
			methods := []string{first, "GET", "GET"}
			got, want := answers(talk(t, own, pieces...), methods...), answers(talk(t, standard, pieces...), methods...)
			if !slices.Equal(got, want) {
				t.Errorf("%.300q:\ngot  %.1000q\nwant %.1000q", pieces, got, want)
			}
		})
	}
}

// FuzzAsTheStandardServer is the same with what nobody has thought of.
func FuzzAsTheStandardServer(f *testing.F) {
	for _, pieces := range conversations() {
		f.Add([]byte(strings.Join(pieces, "")))
	}
	own, standard := both(f, handlers)
	f.Fuzz(func(t *testing.T, text []byte) {
		methods := make([]string, 8)
		for i := range methods {
			methods[i], _, _ = strings.Cut(string(text), " ")
		}
		got, want := answers(talk(t, own, string(text)), methods...), answers(talk(t, standard, string(text)), methods...)
		if !slices.Equal(got, want) {
			t.Errorf("%q:\ngot  %.1000q\nwant %.1000q", text, got, want)
		}
	})
}
