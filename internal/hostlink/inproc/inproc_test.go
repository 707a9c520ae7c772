package inproc_test

import (
	"context"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/agent"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/inproc"
	"github.com/mekcloud/mek/internal/hostlink/linktest"
)

type world struct {
	mu     sync.Mutex
	hub    *hub.Hub
	agents map[string]*agent.Agent
	leave  map[string]func()
}

func (w *world) Connect(t *testing.T, a *agent.Agent) {
	w.mu.Lock()
	w.agents[a.Facts().Host] = a
	w.mu.Unlock()
	w.Heal(t, a.Facts().Host)
}

func (w *world) Cut(_ *testing.T, host string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leave[host]()
}

func (w *world) Heal(t *testing.T, host string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	leave, err := inproc.Join(context.Background(), w.hub, w.agents[host])
	if err != nil {
		t.Fatal(err)
	}
	w.leave[host] = leave
}

func (w *world) Restart(t *testing.T, h *hub.Hub) {
	w.mu.Lock()
	w.hub = h
	w.mu.Unlock()
	for host := range w.agents {
		w.Cut(t, host)
		w.Heal(t, host)
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	linktest.Run(t, func(_ *testing.T, h *hub.Hub) linktest.World {
		return &world{hub: h, agents: map[string]*agent.Agent{}, leave: map[string]func(){}}
	})
}
