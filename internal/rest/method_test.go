package rest_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// A dialect may answer 405 where a path exists without the method, and say
// which methods it has.
func TestDialectTurnsMissingMethodsInto405(t *testing.T) {
	enforcer, err := policy.New(policy.Base())
	if err != nil {
		t.Fatal(err)
	}
	var methods []string
	open := func(*rest.Call) (rest.Reply, error) { return rest.NoContent() }
	svc := &rest.Service{Name: "placement", Prefix: "/p", Routes: []rest.Route{{Method: "GET", Path: "/x", Open: true, Handle: open}, {Method: "PUT", Path: "/x", Open: true, Audit: "update", Handle: open}},
		Dialect: rest.Dialect{Error: func(c *rest.Call, status int, f *fault.Fault) rest.Reply {
			methods = c.Methods()
			if f.Code == rest.CodeNoMethod {
				return rest.Reply{Status: http.StatusMethodNotAllowed}
			}
			return rest.Reply{}
		}}}
	h := rest.New(rest.Config{Policy: enforcer, Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler)}, http.NotFoundHandler(), svc)
	for path, want := range map[string]int{"/p/x": http.StatusMethodNotAllowed, "/p/y": http.StatusNotFound} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("DELETE", path, nil))
		if w.Code != want {
			t.Errorf("DELETE %s: %d, want %d", path, w.Code, want)
		}
		if want == http.StatusMethodNotAllowed && !slices.Equal(methods, []string{"GET", "PUT"}) {
			t.Errorf("methods: %v", methods)
		}
	}
}
