package hub_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/agent"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/inproc"
	"github.com/mekcloud/mek/internal/hostlink/linktest"
)

// book is a hub.Book in memory, that outlives hubs.
type book struct {
	mu      sync.Mutex
	present map[hostlink.HostSection]int64
	held    map[hostlink.HostSection]hostlink.Held
}

func (b *book) Told(_ context.Context, host string) (list []hostlink.Held, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, held := range b.held {
		if at.Host == host && held.Revision == b.present[at] {
			list = append(list, held)
		}
	}
	return list, nil
}

func (b *book) File(_ context.Context, all []hostlink.Accepted) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range all {
		b.held[hostlink.HostSection{Host: a.Host, Section: a.Section}] = a.Held
	}
	return nil
}

func (b *book) Revisions(context.Context) (map[hostlink.HostSection]int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return map[hostlink.HostSection]int64{{Host: "h1", Section: linktest.Section}: b.present[hostlink.HostSection{Host: "h1", Section: linktest.Section}]}, nil
}

// A server that starts renders only what hosts do not have on file; what was
// raised without a poke arrives at the repair.
func TestHostsOnFileAreNotRendered(t *testing.T) {
	at := hostlink.HostSection{Host: "h1", Section: linktest.Section}
	b := &book{present: map[hostlink.HostSection]int64{at: 1}, held: map[hostlink.HostSection]hostlink.Held{}}
	a := agent.New(agent.Config{Facts: hostlink.Facts{Host: "h1", ID: "h1"}, Journal: agent.MemoryJournal(), Log: slog.New(slog.DiscardHandler),
		Appliers: map[hostlink.Section]hostlink.Applier{linktest.Section: linktest.NewShelf()}})
	running := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { defer close(running); _ = a.Run(ctx) }()
	defer func() { cancel(); <-running }()
	var rendered atomic.Int64
	server := func(do func(h *hub.Hub)) {
		h := hub.New(hub.Config{Book: b, Log: slog.New(slog.DiscardHandler), Lease: 60 * time.Millisecond, Repair: 20 * time.Millisecond})
		h.Register(linktest.Section, func(context.Context, string) (any, int64, error) {
			rendered.Add(1)
			b.mu.Lock()
			defer b.mu.Unlock()
			return map[string]string{"word": "as of now"}, b.present[at], nil
		}, nil)
		inner, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = h.Run(inner) }()
		leave, err := inproc.Join(ctx, h, a)
		if err != nil {
			t.Fatal(err)
		}
		do(h)
		leave()
		stop()
		<-done
		h.Close()
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for !ok() {
			select {
			case <-t.Context().Done():
				t.Fatal(what)
			case <-time.After(time.Millisecond):
			}
		}
	}
	onFile := func(revision int64) func() bool {
		return func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.held[at].Revision == revision }
	}
	server(func(*hub.Hub) { until("nothing is on file", onFile(1)) })
	before := rendered.Load()
	h := hub.New(hub.Config{Book: b, Log: slog.New(slog.DiscardHandler)})
	h.Register(linktest.Section, func(context.Context, string) (any, int64, error) { rendered.Add(1); return nil, 1, nil }, nil)
	leave, err := inproc.Join(ctx, h, a)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	if n := rendered.Load() - before; n != 0 {
		t.Errorf("rendered %d times although the host has it", n)
	}
	leave()
	h.Close()
	b.mu.Lock()
	b.present[at] = 2
	b.mu.Unlock()
	server(func(*hub.Hub) { until("what was raised while no server ran did not arrive", onFile(2)) })
	server(func(*hub.Hub) {
		b.mu.Lock()
		b.present[at] = 3 // and nobody pokes
		b.mu.Unlock()
		until("a lost poke was not repaired", onFile(3))
	})
}
