package app

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mekcloud/mek/internal/objectstore/store"
	"github.com/mekcloud/mek/internal/reconcile"
)

// objectstore builds the store that the Swift and S3 APIs stand on.
func (b *builder) objectstore(context.Context) error {
	s := store.New(store.Config{Dir: b.Config.ObjectDir, Reserve: int64(b.Config.Objects.ReserveMiB) << 20, Clock: b.Clock, Log: b.Log})
	b.shared.objects = s
	b.openers = append(b.openers, func() {
		if err := s.Ready(); err != nil {
			b.Log.Error("the object store cannot be opened", "error", err)
		}
	})
	loop := reconcile.New(b.Clock, b.Log, s.Reconcilers(b.DB)...)
	b.background("object store", func(ctx context.Context) error {
		loop.Run(ctx)
		return s.Close()
	})
	b.routes.HandleFunc("GET "+objectChecks, b.objectChecks(s))
	count := func(name, help string, pick func(store.Totals) int64) {
		b.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(pick(s.Totals())) }))
	}
	count("mek_objectstore_objects", "Current objects.", func(t store.Totals) int64 { return t.Objects })
	count("mek_objectstore_bytes", "Bytes of objects and their versions.", func(t store.Totals) int64 { return t.Bytes })
	return nil
}

// objectChecks is where "mek doctor" asks for what only the process that has
// the store open can tell.
const objectChecks = "/checks/objects"

// objectChecks recounts the store for an administrator: names of objects are in
// what it finds, and it takes a while.
func (b *builder) objectChecks(s *store.Store) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		caller, err := b.shared.auth.Authenticate(r.Context(), r.Header.Get("X-Auth-Token"))
		if err != nil || !caller.HasRole("admin") {
			http.Error(w, "for administrators", http.StatusUnauthorized)
			return
		}
		found, err := s.Check(r.Context())
		if err != nil {
			b.Log.Error("the object store cannot be checked", "error", err)
			http.Error(w, "the object store cannot be checked", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"findings": found}) // a client that left needs no answer
	}
}
