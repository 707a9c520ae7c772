package ports_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/agent/ports"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/network/hostnet"
)

// host is a driver without a switch: ports are wired when the test says so.
type host struct {
	mu      sync.Mutex
	ports   map[string]bool // wired?
	broken  map[string]bool
	changed chan struct{}
}

func newHost() *host {
	return &host{ports: map[string]bool{}, broken: map[string]bool{}, changed: make(chan struct{}, 1)}
}

func (h *host) Ensure(_ context.Context, ports []hostnet.Port) map[string]error {
	h.mu.Lock()
	defer h.mu.Unlock()
	failed := map[string]error{}
	for _, p := range ports {
		if h.broken[p.ID] {
			failed[p.ID] = fault.Invalidf("this port can never be made")
			continue
		}
		h.ports[p.ID] = h.ports[p.ID]
	}
	return failed
}

func (h *host) Remove(_ context.Context, ids ...string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		delete(h.ports, id)
	}
	return nil
}

func (h *host) OpenTap(context.Context, string) (*os.File, error) { return os.Open(os.DevNull) }

func (h *host) Inventory(context.Context) ([]hostnet.State, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []hostnet.State
	for id, wired := range h.ports {
		out = append(out, hostnet.State{ID: id, Wired: wired})
	}
	return out, nil
}

func (h *host) wire(id string) {
	h.mu.Lock()
	h.ports[id] = true
	h.mu.Unlock()
	h.changed <- struct{}{}
}

func (h *host) Changed() <-chan struct{}                       { return h.changed }
func (h *host) Metadata(context.Context, []hostnet.Port) error { return nil }
func (h *host) Ingress(peer netip.Addr) (portID string, ok bool) {
	return "p1", peer.String() == "100.64.0.1"
}

func document(t *testing.T, ids ...string) hostlink.Document {
	t.Helper()
	var d hostnet.Document
	for _, id := range ids {
		d.Ports = append(d.Ports, hostnet.Port{ID: id, ServerID: "server-of-" + id})
	}
	body, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return hostlink.Document{Section: hostlink.Ports, Body: body}
}

func TestReadyFollowsTheSwitch(t *testing.T) {
	h := newHost()
	h.ports["stray"], h.broken["p3"] = true, true
	a := ports.New(h, slog.New(slog.DiscardHandler))
	var mu sync.Mutex
	var said []string
	seen := make(chan string, 20)
	report := func(list ...hostlink.ObjectReport) {
		mu.Lock()
		defer mu.Unlock()
		for _, o := range list {
			said = append(said, o.ID+" "+string(o.Phase))
			seen <- o.ID + " " + string(o.Phase)
		}
	}
	done := make(chan error, 1)
	go func() { done <- a.Apply(t.Context(), document(t, "p1", "p2", "p3"), report) }()
	for range 4 { // stray absent, p3 failed, p1 and p2 pending
		<-seen
	}
	h.wire("p1")
	if got := <-seen; got != "p1 ready" {
		t.Errorf("after p1 was wired: %s", got)
	}
	h.wire("p2")
	if err := <-done; !fault.Is(err, fault.Unavailable) {
		t.Errorf("a document with a port that cannot be made: %v", err)
	}
	for _, want := range []string{"stray absent", "p3 failed", "p1 pending", "p2 ready"} {
		if !slices.Contains(said, want) {
			t.Errorf("not reported: %s; said %v", want, said)
		}
	}
	if server, ok := a.ServerAt(netip.MustParseAddr("100.64.0.1")); !ok || server != "server-of-p1" {
		t.Errorf("port p1 belongs to %q", server)
	}
	if _, ok := a.ServerAt(netip.MustParseAddr("100.64.0.2")); ok {
		t.Error("an address that stands for no port has a server")
	}
}

func TestNewerDocumentStopsWaiting(t *testing.T) {
	h := newHost()
	a := ports.New(h, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{}, 1)
	done := make(chan error, 1)
	go func() {
		done <- a.Apply(ctx, document(t, "p1"), func(...hostlink.ObjectReport) { begun <- struct{}{} })
	}()
	<-begun
	cancel()
	if err := <-done; err == nil {
		t.Error("a document that waits for ever was applied")
	}
	if err := a.Apply(t.Context(), document(t), func(...hostlink.ObjectReport) {}); err != nil {
		t.Error(err)
	}
	if left, _ := a.Inventory(t.Context()); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
