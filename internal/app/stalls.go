package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mekcloud/mek/internal/clock"
)

// How often this process looks at its clock, and how much later than that it may
// be before somebody should know.
const (
	heartbeat = time.Second
	stalled   = 2 * time.Second
)

// watchStalls counts the times that this process stood still: it was stopped, or
// got no processor or memory. Nothing else in it can tell, and its hosts and the
// other servers have taken it for dead meanwhile (I-42).
func (b *builder) watchStalls() {
	stalls := prometheus.NewCounter(prometheus.CounterOpts{Name: "mek_stalls_total", Help: "Times that this process stood still for seconds."})
	b.Metrics.MustRegister(stalls)
	b.background("stalls", func(ctx context.Context) error {
		return standsStill(ctx, b.Clock, func(late time.Duration) {
			stalls.Inc()
			b.Log.Warn("this process stood still", "for", late.Round(time.Millisecond))
		})
	})
}

// standsStill tells of each time that the process did, until ctx ends.
func standsStill(ctx context.Context, c clock.Clock, tell func(late time.Duration)) error {
	for last := clock.Elapsed(c); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-c.After(heartbeat):
		}
		now := clock.Elapsed(c)
		if late := now - last - heartbeat; late >= stalled {
			tell(late)
		}
		last = now
	}
}
