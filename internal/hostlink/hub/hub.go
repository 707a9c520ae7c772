package hub

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// Config says how a hub behaves. Zero durations mean the defaults.
type Config struct {
	Clock      clock.Clock   // nil: the machine's
	Log        *slog.Logger  // nil: slog.Default
	Lease      time.Duration // without a beat for so long a host is not alive; 3 s
	Repair     time.Duration // every host is compared again so often; 60 s
	Renderings int           // how many of whole sections run at once, and how many of parts; 8
	Epochs     Epochs        // nil: the database never goes back in time
	Book       Book          // nil: every host is rendered when it connects, and at each repair
}

// Epochs is the database's own word on which epoch it is in (hostlink.Document).
type Epochs interface {
	// Current is the present epoch; it is asked before each rendering.
	Current(ctx context.Context) (int64, error)
	// Next begins one later than above, because a host has accepted what the
	// database does not know of. It may decline, and answers what holds then.
	Next(ctx context.Context, above int64) (int64, error)
}

// Hub is the server's side of hostlink. Register, HandleStream and the On
// methods are for wiring, before the first host connects; the rest is safe
// for concurrent use.
type Hub struct {
	cfg      Config
	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	work     sync.WaitGroup
	slots    chan struct{} // taken while a whole section is rendered
	parts    chan struct{} // taken while a part is: somebody waits for it, and it is short
	sections map[hostlink.Section]section
	streams  map[string]hostlink.StreamHandler
	onFacts  []func(context.Context, hostlink.Facts) error
	onLease  []func(host string, alive bool)
	onReport []func(context.Context, hostlink.Report) error
	epoch    atomic.Int64 // as Epochs said last
	onTell   map[hostlink.Section][]func(context.Context, string, hostlink.Message) error
	others   Others

	mu    sync.Mutex
	hosts map[string]*host
	busy  int           // renderings begun and not ended
	idle  chan struct{} // closed whenever busy falls to 0, then made anew
	turn  int           // of the hosts that are rendered whole
	owed  float64       // how many of them are due
	order []string      // all hosts, sorted
	// unfiled is what hosts accepted since the book was written.
	unfiled map[hostlink.HostSection]hostlink.Held
}

// Others is what other servers of the cloud hear; package peers.
type Others interface {
	// With names another server that has a host's lease; empty: none has.
	With(host string) string
	// Poke passes a poke on. It never blocks; one that is lost is repaired in time.
	Poke(host string, section hostlink.Section)
}

// Beside names the other servers. For wiring; without it there are none.
func (h *Hub) Beside(o Others) { h.others = o }

type section struct {
	render  hostlink.Renderer
	part    hostlink.Part // nil: whole documents are rendered, always
	observe hostlink.Observer
}

var _ hostlink.Hosts = (*Hub)(nil)

// New makes a hub. Close ends its work.
func New(cfg Config) *Hub {
	if cfg.Clock == nil {
		cfg.Clock = clock.Real{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Lease <= 0 {
		cfg.Lease = 3 * time.Second
	}
	if cfg.Repair <= 0 {
		cfg.Repair = time.Minute
	}
	if cfg.Renderings <= 0 {
		cfg.Renderings = 8
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Hub{
		cfg: cfg, ctx: ctx, stop: stop,
		slots:    make(chan struct{}, cfg.Renderings),
		parts:    make(chan struct{}, cfg.Renderings),
		sections: map[hostlink.Section]section{},
		streams:  map[string]hostlink.StreamHandler{},
		onTell:   map[hostlink.Section][]func(context.Context, string, hostlink.Message) error{},
		hosts:    map[string]*host{},
		idle:     make(chan struct{}),
		unfiled:  map[hostlink.HostSection]hostlink.Held{},
	}
}

// Register gives a section its renderer and the observer of its reports (may be nil).
func (h *Hub) Register(s hostlink.Section, render hostlink.Renderer, observe hostlink.Observer) {
	h.sections[s] = section{render: render, observe: observe}
}

// RegisterPart adds what renders some objects of a registered section.
func (h *Hub) RegisterPart(s hostlink.Section, part hostlink.Part) {
	registered := h.sections[s]
	registered.part = part
	h.sections[s] = registered
}

// HandleStream serves streams of a kind that agents dial.
func (h *Hub) HandleStream(kind string, serve hostlink.StreamHandler) { h.streams[kind] = serve }

// OnFacts calls f with the facts of a host each time it says hello, before any
// section is rendered for it. An error makes the agent say hello again later.
func (h *Hub) OnFacts(f func(context.Context, hostlink.Facts) error) {
	h.onFacts = append(h.onFacts, f)
}

// OnLease calls f when a host's lease begins and when it is lost. f must not block.
func (h *Hub) OnLease(f func(host string, alive bool)) { h.onLease = append(h.onLease, f) }

// OnReport calls f with every report, after the section's observer. f may see a
// report twice, and out of order.
func (h *Hub) OnReport(f func(context.Context, hostlink.Report) error) {
	h.onReport = append(h.onReport, f)
}

// OnTell calls f with the messages of a section. f may see a message twice.
func (h *Hub) OnTell(s hostlink.Section, f func(ctx context.Context, host string, m hostlink.Message) error) {
	h.onTell[s] = append(h.onTell[s], f)
}

// Run watches leases and repairs: from time to time it compares every section of
// every host with what it should be. It returns when ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	next := h.cfg.Clock.Now().Add(h.cfg.Repair)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.ctx.Done():
			return nil
		case <-h.cfg.Clock.After(h.cfg.Lease / 6):
		}
		h.expire()
		h.file(ctx)
		h.lookAround()
		if now := h.cfg.Clock.Now(); !now.Before(next) {
			next = now.Add(h.cfg.Repair)
			h.repair(ctx)
		}
	}
}

// Close stops all work and waits for it.
func (h *Hub) Close() {
	h.mu.Lock() // no rendering begins after this
	h.stop()
	h.mu.Unlock()
	h.work.Wait()
}

// Settle waits until no rendering is going on. It is for tests and for shutting down.
func (h *Hub) Settle(ctx context.Context) error {
	for {
		h.mu.Lock()
		busy, idle := h.busy, h.idle
		h.mu.Unlock()
		if busy == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.Unavailablef("hosts are still being told").Because(ctx.Err())
		case <-idle:
		}
	}
}

// Serve answers a stream that a host asked for. Placements call it.
func (h *Hub) Serve(ctx context.Context, host, kind string, params json.RawMessage) (io.ReadWriteCloser, error) {
	serve, ok := h.streams[kind]
	if !ok {
		return nil, fault.NotFoundf("there are no streams of kind %q", kind)
	}
	return serve(ctx, host, params)
}
