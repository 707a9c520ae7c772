package app

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mekcloud/mek/internal/objectstore/store"
)

// objectstore builds the store that the Swift and S3 APIs stand on.
func (b *builder) objectstore(context.Context) error {
	s := store.New(store.Config{Dir: b.Config.ObjectDir, Reserve: int64(b.Config.Objects.ReserveMiB) << 20, Clock: b.Clock, Log: b.Log})
	b.shared.objects = s
	b.elsewhere = newObjectHolder(b, s)
	b.openers = append(b.openers, func() {
		if err := s.Ready(); err != nil && b.elsewhere == nil {
			b.Log.Error("the object store cannot be opened", "error", err)
		}
	})
	loop := b.reconcilers(b.elsewhere.reconcilers(s.Reconcilers(b.DB))...)
	b.background("object store", func(ctx context.Context) error {
		loop.Run(ctx)
		return s.Close()
	})
	b.checks.Add(b.elsewhere.checks(s.Checks())...)
	count := func(name, help string, pick func(store.Totals) int64) {
		b.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(pick(s.Totals())) }))
	}
	count("mek_objectstore_objects", "Current objects.", func(t store.Totals) int64 { return t.Objects })
	count("mek_objectstore_bytes", "Bytes of objects and their versions.", func(t store.Totals) int64 { return t.Bytes })
	return nil
}
