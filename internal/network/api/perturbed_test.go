package networkapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/network/northbound"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/test/report"
)

// slate is a northbound database in memory; something happens at its n-th write,
// before it or after.
type slate struct {
	mu     sync.Mutex
	scopes map[string]string
	writes int
	at     func(n int, after bool) error
}

func (s *slate) write(do func()) error {
	s.mu.Lock()
	s.writes++
	n, at := s.writes, s.at
	s.mu.Unlock()
	if at == nil {
		at = func(int, bool) error { return nil }
	}
	if err := at(n, false); err != nil {
		return err
	}
	s.mu.Lock()
	do()
	s.mu.Unlock()
	return at(n, true)
}

func (s *slate) put(scope string, rows []ovn.Row) {
	if len(rows) == 0 {
		delete(s.scopes, scope)
		return
	}
	rows = slices.SortedFunc(slices.Values(rows), func(a, b ovn.Row) int { return strings.Compare(a.Key, b.Key) })
	text, err := json.Marshal(rows)
	s.scopes[scope] = fmt.Sprint(string(text), err)
}

func (s *slate) Apply(_ context.Context, scope string, rows []ovn.Row) error {
	return s.write(func() { s.put(scope, rows) })
}

func (s *slate) ApplyAll(_ context.Context, all []ovn.Rendered) (map[string]error, error) {
	return nil, s.write(func() {
		for _, r := range all {
			s.put(r.Scope, r.Rows)
		}
	})
}

func (s *slate) Resync(_ context.Context, scopes map[string][]ovn.Row) (int, error) {
	return 0, s.write(func() {
		s.scopes = map[string]string{}
		for scope, rows := range scopes {
			s.put(scope, rows)
		}
	})
}

func (s *slate) Compare(map[string][]ovn.Row) []ovn.Difference { return nil }
func (s *slate) Gateways() []string                            { return []string{"host-1"} }
func (s *slate) Close()                                        {}

func (s *slate) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out strings.Builder
	for _, scope := range slices.Sorted(maps.Keys(s.scopes)) {
		fmt.Fprintln(&out, scope, s.scopes[scope])
	}
	return out.String()
}

// wires is a site whose northbound database is a slate.
type wires struct {
	*site
	queue *northbound.Queue
	slate *slate
	ports []string
}

func (w *wires) sync(lead northbound.Lead) func(context.Context) error {
	open := func(context.Context) (northbound.Database, error) { return w.slate, nil }
	s := northbound.New(w.s.records, open, w.s.gateways, lead, clock.Real{}, slog.New(slog.DiscardHandler))
	return func(ctx context.Context) error { return s.Run(ctx, w.queue) }
}

// change does what users do, and tells of it as the watcher of rows would.
func (w *wires) change(n int) {
	w.do("PUT", "/ports/"+w.ports[0], map[string]any{"port": map[string]any{"admin_state_up": n%2 == 0, "name": fmt.Sprint("p", n)}})
	extra := w.make("port", "ports", map[string]any{"network_id": w.ports[1], "binding:host_id": "host-1"})
	scopes := []string{"port/" + w.ports[0], "port/" + extra}
	if len(w.ports) > 2 {
		w.do("DELETE", "/ports/"+w.ports[2], nil)
		scopes = append(scopes, "port/"+w.ports[2])
		w.ports = w.ports[:2]
	}
	w.ports = append(w.ports, extra)
	w.queue.Dirty(scopes...)
}

// differing are the lines that are not in both.
func differing(got, want string) string {
	var out []string
	for _, pair := range [][2]string{{got, want}, {want, got}} {
		for _, line := range strings.Split(pair[0], "\n") {
			if !strings.Contains(pair[1], line) {
				out = append(out, line)
			}
		}
	}
	return strings.Join(out, "\n")
}

// TestPerturbedNorthbound: whatever happens to the one that writes the northbound
// database, in the end it holds what the rows mean (F2).
func TestPerturbedNorthbound(t *testing.T) {
	run := report.Start(t, "F2", 0)
	s := newSite(t, dbtest.One(t), "")
	w := &wires{site: s, queue: northbound.NewQueue(func() {}), slate: &slate{scopes: map[string]string{}}}
	n := s.make("network", "networks", map[string]any{"name": "n"})
	s.make("subnet", "subnets", map[string]any{"network_id": n, "cidr": "10.0.0.0/24", "ip_version": 4})
	w.ports = []string{s.make("port", "ports", map[string]any{"network_id": n, "binding:host_id": "host-1"}), n}
	w.s.HostsChanged()
	live := w.sync(nil)
	if err := live(t.Context()); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the database went away")
	round := 0
	same := func(how string, again func(context.Context) error) {
		t.Helper()
		run.Fault(how, 1)
		w.slate.at = nil
		for range 2 { // the loop tries again what failed
			if err := again(t.Context()); err != nil {
				t.Errorf("%s: %v", how, err)
			}
		}
		fresh := &wires{site: s, queue: northbound.NewQueue(func() {}), slate: &slate{scopes: map[string]string{}}}
		if err := fresh.sync(nil)(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := w.slate.text(), fresh.slate.text(); got != want {
			run.Violation("%s: differ\n%s", how, differing(got, want))
		}
		round++
	}
	for k := 1; k <= 3; k++ {
		for _, after := range []bool{false, true} {
			at := func(n int, then bool) error {
				if n == w.slate.writes && (n == 1 || n > k) && then == after {
					return broken // of all scopes together, and then of some alone
				}
				return nil
			}
			w.change(round)
			w.slate.writes, w.slate.at = 0, at
			_ = live(t.Context()) // it says what failed
			same("write failed", live)
			w.change(round)
			w.slate.writes, w.slate.at = 0, at
			_ = live(t.Context()) // it is dead
			w.queue = northbound.NewQueue(func() {})
			live = w.sync(nil)
			same("reconciler killed at a write", live)
		}
		w.change(round)
		w.slate.writes, w.slate.at = 0, func(n int, after bool) error {
			if n == k && !after {
				w.change(round + 1) // what was read is no longer so
			}
			if n == 1 && k > 1 && !after {
				return broken // so that scopes are written alone
			}
			return nil
		}
		if err := live(t.Context()); err != nil {
			t.Error(err)
		}
		same("stale read", live)
	}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	w.change(round)
	_ = live(late)
	same("reconciler late", live)
	w.change(round)
	w.queue.All()
	late, cancel = context.WithCancel(t.Context())
	cancel()
	_ = live(late)
	same("everything, late", live)
	leads := true
	led := w.sync(func(context.Context) (func() bool, error) { return func() bool { return leads }, nil })
	if err := led(t.Context()); err != nil {
		t.Error(err)
	}
	w.change(round)
	before := w.slate.text()
	leads = false // between the question and the write
	if err := led(t.Context()); err == nil || w.slate.text() != before {
		run.Violation("a server that is no longer the leader writes: %v", err)
	}
	leads = true
	same("leadership lost and won", led)
}

// TestPerturbedGateways: the watcher of gateways may miss looks or look twice; in
// the end they are where they would be (F2).
func TestPerturbedGateways(t *testing.T) {
	run := report.Start(t, "F2", 0)
	play := func(skip, twice int) string {
		silent, pokes := false, 0
		s := New(Deps{DB: dbtest.One(t), Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler), Agents: quiet{silent: &silent}})
		s.queue = northbound.NewQueue(func() { pokes++ })
		look := func(i int) {
			for range map[bool]int{true: 2, false: 1}[i == twice] {
				if i != skip {
					if err := s.gatewaysStay(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		}
		s.HostsChanged()
		for i, away := range []bool{false, true, false, true, false} {
			silent = away
			look(i)
			if _, err := s.gateways(t.Context(), holding{}, northbound.Going); err != nil {
				t.Error(err)
			}
		}
		hosts, err := s.gateways(t.Context(), holding{}, northbound.Going)
		return fmt.Sprint(hosts, err)
	}
	want := play(-1, -1)
	for i := range 5 {
		run.Fault("look missed", 1)
		run.Fault("look repeated", 1)
		if got := play(i, -1); got != want {
			run.Violation("without look %d: %s, want %s", i, got, want)
		}
		if got := play(-1, i); got != want {
			run.Violation("with look %d twice: %s, want %s", i, got, want)
		}
	}
}
