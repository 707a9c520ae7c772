package app

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/objectstore/store"
	"github.com/mekcloud/mek/internal/pki"
	"github.com/mekcloud/mek/internal/reconcile"
)

// objectHolder knows which of several servers has the object store open: the
// lock on its files says so, and the database says where that server is. The
// others pass requests on to it, and open the store themselves once they can.
// Nil where there is one server.
type objectHolder struct {
	b     *builder
	store *store.Store
	proxy *httputil.ReverseProxy
	find  func(ctx context.Context) (here bool, at string)

	mu     sync.Mutex
	looked time.Duration // reading of the clock
	here   bool
	at     string // front door of the holder; empty: nobody known
}

const (
	objectsRole = "objects"
	// passedOn marks requests that another server passes on, with what is asked.
	passedOn  = "Mek-Passed-On"
	lookEvery = 500 * time.Millisecond
	// holderless is how long a request waits for a server to have the store open,
	// when the one that had it is gone: longer than another one takes to notice.
	holderless = 5 * time.Second
)

func newObjectHolder(b *builder, s *store.Store) *objectHolder {
	if b.Peers == nil {
		return nil
	}
	h := &objectHolder{b: b, store: s, looked: -time.Hour}
	h.find = h.look
	transport := &http.Transport{DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext, MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: 5 * time.Second, DisableCompression: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if file := b.Config.CAFile; b.Config.CertFile != "" {
		if pool, err := pki.Pool(file); err == nil {
			transport.TLSClientConfig.RootCAs = pool
		} else {
			b.Log.Error("requests for objects cannot be passed on", "error", err)
		}
	}
	h.proxy = &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, ErrorLog: slog.NewLogLogger(b.Log.Handler(), slog.LevelDebug),
		Rewrite: func(r *httputil.ProxyRequest) {}}
	return h
}

func notReady(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, "Object storage is not ready\n") // a client that left needs no answer
}

// look finds out who has the store open.
func (h *objectHolder) look(ctx context.Context) (here bool, at string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.here {
		return true, ""
	}
	now := clock.Elapsed(h.b.Clock)
	if now-h.looked < lookEvery {
		return false, h.at
	}
	h.looked = now
	if h.store.Ready() == nil {
		if err := h.b.Peers.Hold(ctx, objectsRole); err != nil {
			h.b.Log.Warn("the other servers do not learn who has the object store open; told again soon", "error", err)
			return true, ""
		}
		h.here = true
		return true, ""
	}
	holder, err := h.b.Peers.Leader(ctx, objectsRole)
	if err != nil {
		return false, h.at
	}
	h.at = h.b.Peers.URL(holder)
	return false, h.at
}

// pass answers a request by the holder, unless that is this server. A holder
// that died has a successor soon: who asks meanwhile waits for it, rather than
// being sent away.
func (h *objectHolder) pass(w http.ResponseWriter, r *http.Request, what string) bool {
	begun := clock.Elapsed(h.b.Clock)
	for {
		here, at := h.find(r.Context())
		if here {
			return false
		}
		if to, err := url.Parse(at); at != "" && err == nil && r.Header.Get(passedOn) == "" && h.by(to, w, r, what) {
			return true
		}
		if clock.Elapsed(h.b.Clock)-begun >= holderless {
			notReady(w)
			return true
		}
		select {
		case <-r.Context().Done():
			return true // nobody listens any more
		case <-h.b.Clock.After(lookEvery / 5):
		}
	}
}

// by answers a request by another server; false when that has done nothing with
// it, so that it can be asked again.
func (h *objectHolder) by(to *url.URL, w http.ResponseWriter, r *http.Request, what string) bool {
	answered := true
	p := *h.proxy
	p.Rewrite = func(pr *httputil.ProxyRequest) {
		pr.Out.URL.Scheme, pr.Out.URL.Host, pr.Out.Host = to.Scheme, to.Host, pr.In.Host // signatures cover the name that was used
		pr.Out.Header.Set(passedOn, what)
	}
	p.ModifyResponse = func(*http.Response) error {
		clear(w.Header()) // the holder's answer has its own
		return nil
	}
	p.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
		if untouched(r, err) {
			answered = false
			return
		}
		h.b.Log.Warn("the server that has the object store open does not answer", "error", err)
		notReady(w)
	}
	sent := *r
	if r.Body != nil {
		sent.Body = io.NopCloser(r.Body) // a connection that fails must not end it
	}
	p.ServeHTTP(w, &sent)
	return answered
}

// untouched tells whether a request that failed can be sent again: nothing of it
// went out, or it changes nothing.
func untouched(r *http.Request, err error) bool {
	var op *net.OpError
	dial := errors.As(err, &op) && op.Op == "dial"
	return r.Context().Err() == nil && (dial || r.ContentLength == 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead))
}

// swift is rest.Service.Elsewhere.
func (h *objectHolder) swift(w http.ResponseWriter, r *http.Request) bool {
	return h.pass(w, r, "swift")
}

// front is the object store's own port.
func (h *objectHolder) front(own http.Handler) http.Handler {
	if h == nil {
		return own
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.pass(w, r, "port") {
			own.ServeHTTP(w, r)
		}
	})
}

// door is the front door, which takes what was passed on for the store's own port.
func (h *objectHolder) door(door, objects http.Handler) http.Handler {
	if h == nil || objects == nil {
		return door
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(passedOn) == "port" {
			objects.ServeHTTP(w, r)
			return
		}
		door.ServeHTTP(w, r)
	})
}

// reconcilers leaves the store's work to its holder.
func (h *objectHolder) reconcilers(all []reconcile.Reconciler) []reconcile.Reconciler {
	if h == nil {
		return all
	}
	all = slices.Clone(all)
	for i := range all {
		run := all[i].Run
		all[i].Run = func(ctx context.Context) error {
			if here, _ := h.look(ctx); !here {
				return nil
			}
			return run(ctx)
		}
	}
	return all
}

// checks leaves them to the holder as well.
func (h *objectHolder) checks(all []check.Check) []check.Check {
	if h == nil {
		return all
	}
	all = slices.Clone(all)
	for i := range all {
		run := all[i].Run
		all[i].Run = func(ctx context.Context, l *check.Look) error {
			if here, at := h.look(ctx); !here && at != "" {
				return nil
			}
			return run(ctx, l)
		}
	}
	return all
}
