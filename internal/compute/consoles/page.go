package consoles

import (
	"context"
	"embed"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/mekcloud/mek/internal/fault"
)

//go:embed page
var files embed.FS

// dialTimeout bounds how long a host may take to open a screen.
const dialTimeout = 15 * time.Second

// Handler serves the page and its websocket below /console/.
func (s *Consoles) Handler() (http.Handler, error) {
	pages, err := fs.Sub(files, "page")
	if err != nil {
		return nil, err
	}
	static := http.StripPrefix("/console/", http.FileServerFS(pages))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /console/websockify", s.websocket)
	mux.HandleFunc("GET /console/", func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		static.ServeHTTP(w, r)
	})
	return mux, nil
}

// websocket carries bytes between a browser and a screen until either ends.
// A bad token is refused before the upgrade, without a body.
func (s *Consoles) websocket(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), dialTimeout)
	screen, standing, err := s.open(ctx, r.URL.Query().Get("token"))
	cancel()
	if err != nil {
		status := http.StatusForbidden
		if fault.Is(err, fault.Unavailable) {
			status = http.StatusServiceUnavailable
		}
		w.Header().Set("Connection", "close")
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(status)
		return
	}
	defer screen.Close()
	w.Header().Set("Server", "WebSockify")
	// Without a list of origins only the page's own passes, or a client that is no browser.
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"binary"}, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	conn := websocket.NetConn(context.WithoutCancel(r.Context()), ws, websocket.MessageBinary)
	defer conn.Close()
	s.carry(r.Context(), conn, screen, standing)
}

// carry copies both ways; when one way ends, or who looks may no longer, both are closed.
func (s *Consoles) carry(ctx context.Context, a, b io.ReadWriteCloser, standing string) {
	ctx, over := context.WithCancel(context.WithoutCancel(ctx))
	var all errgroup.Group
	copyTo := func(to, from io.ReadWriteCloser) func() error {
		return func() error {
			defer over()
			_, err := io.Copy(to, from)
			return errors.Join(err, a.Close(), b.Close())
		}
	}
	all.Go(copyTo(b, a))
	all.Go(copyTo(a, b))
	watch := func() error {
		if err := s.follow(ctx, standing); err != nil {
			return errors.Join(err, a.Close(), b.Close())
		}
		return nil
	}
	all.Go(watch)  // like the others, it ends with the connection, and is waited for here
	_ = all.Wait() // either end leaving is the normal end
}
