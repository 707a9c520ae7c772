package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// Servers that cannot be asked: one is gone, the other dies while it is asked.
const (
	gone  = "http://gone"
	dying = "http://dying"
)

// Who asks for an object while the server that had the store open is gone gets
// an answer from its successor, with all that was sent.
func TestObjectsOfADeadHolder(t *testing.T) {
	for name, c := range map[string]struct {
		method, first, marked string
		turns                 int64 // before a successor is known
		status                int
		took                  time.Duration
	}{
		"this server takes over":                     {method: "PUT", first: gone, turns: 4, status: 201, took: 400 * time.Millisecond},
		"a read that the holder died of":             {method: "GET", first: dying, turns: 2, status: 201, took: 200 * time.Millisecond},
		"a write that the holder may have seen":      {method: "PUT", first: dying, turns: 2, status: 503},
		"passed on to one that is about to open":     {method: "PUT", first: gone, marked: "swift", turns: 3, status: 201, took: 300 * time.Millisecond},
		"nobody is known yet":                        {method: "DELETE", turns: 2, status: 201, took: 200 * time.Millisecond},
		"nobody takes over: it is told to come back": {method: "GET", first: gone, turns: 1000, status: 503, took: holderless},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int64
				h := &objectHolder{b: &builder{Parts: Parts{Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler)}}, proxy: &httputil.ReverseProxy{Transport: dead{}}}
				h.find = func(context.Context) (bool, string) { return asked.Add(1) > c.turns, c.first }
				sent := "all of it"
				if c.method == "GET" {
					sent = ""
				}
				r := httptest.NewRequestWithContext(t.Context(), c.method, "/v1/a/c/o", strings.NewReader(sent))
				own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if body, err := io.ReadAll(r.Body); err != nil || string(body) != sent || w.Header().Get("Openstack-Request-Id") == "" {
						t.Errorf("%q, %v, %v", body, err, w.Header())
					}
					w.WriteHeader(http.StatusCreated)
				})
				if c.marked != "" {
					r.Header.Set(passedOn, c.marked)
				}
				out := httptest.NewRecorder()
				out.Header().Set("Openstack-Request-Id", "req-1")
				begun := time.Now()
				h.front(own).ServeHTTP(out, r)
				if took := time.Since(begun); out.Code != c.status || took != c.took || out.Code == 503 && out.Header().Get("Retry-After") == "" {
					t.Errorf("%d after %v, %v", out.Code, took, out.Header())
				}
			})
		})
	}
}

// dead is the way to servers that do not answer.
type dead struct{}

func (dead) RoundTrip(r *http.Request) (*http.Response, error) {
	err := error(&net.OpError{Op: "dial", Err: io.EOF})
	if r.URL.Host == "dying" {
		err = io.ErrUnexpectedEOF
	}
	if r.Body == nil {
		return nil, err
	}
	if r.URL.Host == "dying" {
		if _, read := io.ReadAll(r.Body); read != nil {
			err = read
		}
	}
	return nil, errors.Join(err, r.Body.Close())
}
