package app

import (
	"context"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mekcloud/mek/internal/admission"
	"github.com/mekcloud/mek/internal/pace"
	"github.com/mekcloud/mek/internal/rest"
)

// gate is admission as package rest asks for it.
type gate struct {
	*admission.Gate
	transfers *bodies
	traffic   *traffic
}

func (g gate) Admit(ctx context.Context, caller, address, method string) (rest.Turn, error) {
	kind := admission.Write
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		kind = admission.Read
	case http.MethodDelete:
		kind = admission.Delete
	}
	turn, err := g.Gate.Admit(ctx, admission.Visitor{ID: caller, Address: address, Kind: kind})
	if err != nil {
		return nil, err // a nil *Turn is not a nil interface
	}
	if caller == "" {
		caller = address
	}
	return &turnstile{Turn: turn, transfers: g.transfers, traffic: g.traffic, caller: caller}, nil
}

// limits builds the gate of the front door.
func (b *builder) limits() gate {
	l, processors := b.Config.Limits, runtime.GOMAXPROCS(0)
	if l.Alone == 0 {
		l.Alone = max(32, 8*processors)
	}
	if l.Share == 0 {
		l.Share = max(1, processors-1) // one processor is left for whoever asks little
	}
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mek_refused_requests_total", Help: "Requests refused by limits, by limit."}, []string{"limit"})
	const mib = 1 << 20
	g := admission.New(admission.Config{Clock: b.Clock, Reads: admission.Rate{PerSecond: l.Reads, Burst: l.ReadsBurst},
		Writes: admission.Rate{PerSecond: l.Writes, Burst: l.WritesBurst}, Bytes: admission.Rate{PerSecond: l.MiB * mib, Burst: l.MiBBurst * mib},
		Strangers: admission.Rate{PerSecond: l.Strangers, Burst: l.StrangersBurst}, Open: l.Open, Places: 2 * l.Alone, Alone: l.Alone, Share: l.Share,
		Refused: func(limit string) { refused.WithLabelValues(limit).Inc() }, GiveWay: pace.GiveWay})
	b.Metrics.MustRegister(refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mek_waiting_requests", Help: "Requests that wait for a place to be worked on."},
		func() float64 { return float64(g.Waiting()) }))
	w := &bodies{open: map[*turnstile]transfer{}, clock: b.Clock}
	b.background("transfers", w.run)
	return gate{g, w, newTraffic(g.Mixed, processors)}
}

// logins is the line of those who log in by password, or have a request to a provider
// that speaks SAML signed for them. A hash keeps a processor
// busy for as long as ten other requests: one processor is left for those while
// they come.
func (b *builder) logins() *admission.Line {
	processors := runtime.GOMAXPROCS(0)
	return admission.NewLine(func() int {
		if b.gate.Mixed() {
			return max(1, processors-1)
		}
		return processors
	})
}
