package faulty_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/agent"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/faulty"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/inproc"
	"github.com/mekcloud/mek/internal/hostlink/linktest"
)

// TestConvergesOverBadLines changes a host's rows and runs commands over a link
// that loses, delays and repeats, and expects the host to end as the rows say
// and each command to have run once.
func TestConvergesOverBadLines(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			badLine(t, seed)
		})
	}
}

func badLine(t *testing.T, seed uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	var mu sync.Mutex
	rows, revision := map[string]string{}, int64(0)
	log := slog.New(slog.DiscardHandler)
	h := hub.New(hub.Config{Log: log})
	t.Cleanup(h.Close)
	h.Register(linktest.Section, func(context.Context, string) (any, int64, error) {
		mu.Lock()
		defer mu.Unlock()
		return linktest.BodyOf(rows), revision, nil
	}, nil)
	h.RegisterPart(linktest.Section, func(_ context.Context, _ string, names []string) (any, error) {
		mu.Lock()
		defer mu.Unlock()
		some := maps.Clone(rows)
		maps.DeleteFunc(some, func(name, _ string) bool { return !slices.Contains(names, name) })
		return linktest.BodyOf(some), nil
	})
	shelf := linktest.NewShelf()
	a := agent.New(agent.Config{Facts: hostlink.Facts{Host: "h"}, Journal: agent.MemoryJournal(), Log: log,
		Appliers: map[hostlink.Section]hostlink.Applier{linktest.Section: shelf}})
	running, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = a.Run(running) }() // always nil
	t.Cleanup(func() { stop(); <-done })
	plan := faulty.NewPlan(seed)
	plan.Lose, plan.LoseBack, plan.Repeat, plan.Late, plan.Delay = 0.1, 0.1, 0.2, 0.1, 3*time.Millisecond
	leave, err := inproc.JoinVia(ctx, h, a, faulty.Endpoint(a, plan), func(up hostlink.Uplink) hostlink.Uplink { return faulty.Uplink(up, plan) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(leave)
	for i := range 20 {
		mu.Lock()
		rows[fmt.Sprint(i%5)] = fmt.Sprint("word ", i)
		revision++
		now := revision
		mu.Unlock()
		h.Raised("h", linktest.Section, now, fmt.Sprint(i%5))
		if i%7 == 6 {
			if _, err := h.Await(ctx, "h", linktest.Section, now, fmt.Sprint(i%5)); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		cmd := hostlink.Command{Token: fmt.Sprint("token ", i), Section: linktest.Section, Object: "o", Verb: "count"}
		for {
			raw, err := h.Do(ctx, "h", cmd)
			if err == nil && string(raw) != `{"runs":1}` || err != nil && !fault.Is(err, fault.Unavailable) {
				t.Fatalf("seed %d: command answered %s, %v", seed, raw, err)
			}
			if err == nil {
				break
			}
		}
	}
	if _, err := h.Await(ctx, "h", linktest.Section, 20, "4"); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if got := shelf.Words(); !maps.Equal(got, rows) {
		t.Errorf("seed %d: host has %v, rows say %v", seed, got, rows)
	}
}
