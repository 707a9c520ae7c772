package app

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mekcloud/mek/internal/rest"
)

// front adds what the front door answers besides the services.
func (b *builder) front() {
	b.routes.HandleFunc("GET /healthz", b.health)
	b.routes.Handle("GET /metrics", onlyHere(promhttp.HandlerFor(b.Metrics, promhttp.HandlerOpts{})))
	b.routes.Handle("GET "+profilePath, onlyHere(&profiler{clock: b.Clock}))
	b.routes.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"error":{"code":404,"message":"The resource could not be found.","title":"Not Found"}}`)) // a client that left needs no answer
	})
}

// others are those routes, under the limits of strangers: they ask for no token.
func (b *builder) others() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		turn, err := b.gate.Admit(r.Context(), "", r.RemoteAddr, r.Method)
		if err != nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "Too many requests. Try again later.", http.StatusTooManyRequests)
			return
		}
		if r.URL.Path == profilePath { // it only waits: nobody needs to give way to it
			turn.Leave(0)
		} else {
			defer turn.Leave(0)
		}
		b.routes.ServeHTTP(w, r)
	})
}

// health answers 200 when the database answers a query.
func (b *builder) health(w http.ResponseWriter, r *http.Request) {
	state, code := "ok", http.StatusOK
	var one int
	if err := b.DB.QueryRowContext(r.Context(), "SELECT 1").Scan(&one); err != nil {
		b.Log.Error("health: the database does not answer", "error", err)
		state, code = "the database does not answer", http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": state}) // a client that left needs no answer
}

// onlyHere hides a page from other machines. Where the front door has one address
// of its own, who asks from this machine comes from that.
func onlyHere(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if own, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr); !isHere(r.RemoteAddr, own) {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// measure counts and times requests by route, not by address.
func (b *builder) measure() rest.Observer {
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "mek_request_seconds", Help: "Time to answer a request, by route and status.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30}}, []string{"service", "method", "route", "status"})
	b.Metrics.MustRegister(took)
	return func(service, method, path string, status int, d time.Duration) {
		took.WithLabelValues(service, method, path, strconv.Itoa(status)).Observe(d.Seconds())
	}
}
