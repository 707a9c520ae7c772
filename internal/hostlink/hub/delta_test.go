package hub_test

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
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/inproc"
	"github.com/mekcloud/mek/internal/hostlink/linktest"
	"github.com/mekcloud/mek/test/report"
)

// rows is what one host should have, and what was rendered of it.
type rows struct {
	t   *testing.T
	hub *hub.Hub

	mu       sync.Mutex
	words    map[string]string
	revision int64
	wholes   int
	parts    [][]string
	seen     []hostlink.Report
}

func newRows(t *testing.T, cfg hub.Config) *rows {
	cfg.Log = slog.New(slog.DiscardHandler)
	r := &rows{t: t, hub: hub.New(cfg), words: map[string]string{}}
	t.Cleanup(r.hub.Close)
	r.hub.Register(linktest.Section, func(context.Context, string) (any, int64, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.wholes++
		return linktest.BodyOf(r.words), r.revision, nil
	}, func(_ context.Context, report hostlink.Report) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seen = append(r.seen, report)
		return nil
	})
	r.hub.RegisterPart(linktest.Section, func(_ context.Context, _ string, names []string) (any, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.parts = append(r.parts, names)
		some := maps.Clone(r.words)
		maps.DeleteFunc(some, func(name, _ string) bool { return !slices.Contains(names, name) })
		return linktest.BodyOf(some), nil
	})
	return r
}

// change is a transaction: an empty word deletes.
func (r *rows) change(name, word string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.words[name] = word; word == "" {
		delete(r.words, name)
	}
	r.revision++
	return r.revision
}

func (r *rows) put(name, word string) int64 {
	n := r.change(name, word)
	r.hub.Raised("h", linktest.Section, n, name)
	return n
}

func (r *rows) await(revision int64, name string) hostlink.ObjectReport {
	r.t.Helper()
	o, err := r.hub.Await(r.t.Context(), "h", linktest.Section, revision, name)
	if err != nil {
		r.t.Fatal(err)
	}
	return o
}

func (r *rows) rendered() (wholes int, parts [][]string) {
	if err := r.hub.Settle(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wholes, slices.Clone(r.parts)
}

// wire counts what reaches an agent, and what it says.
type wire struct {
	*agent.Agent
	old     bool // it knows no deltas
	oldHub  bool // the server does not
	mu      sync.Mutex
	docs    []hostlink.Document
	deltas  []hostlink.Delta
	reports []hostlink.Report

	amending func() // called with each delta; may be nil
}

func (w *wire) Hello() hostlink.Hello {
	h := w.Agent.Hello()
	if w.old {
		h.Deltas, h.Listed = false, nil
	}
	return h
}

func (w *wire) Accept(ctx context.Context, doc hostlink.Document) error {
	w.mu.Lock()
	w.docs = append(w.docs, doc)
	w.mu.Unlock()
	return w.Agent.Accept(ctx, doc)
}

func (w *wire) Amend(ctx context.Context, d hostlink.Delta) error {
	if w.amending != nil {
		w.amending()
	}
	w.mu.Lock()
	w.deltas = append(w.deltas, d)
	w.mu.Unlock()
	return w.Agent.Amend(ctx, d)
}

type wireUp struct {
	hostlink.Uplink
	w *wire
}

func (u wireUp) Deltas() bool { return !u.w.oldHub && u.Uplink.Deltas() }

func (u wireUp) Report(ctx context.Context, r hostlink.Report) error {
	u.w.mu.Lock()
	u.w.reports = append(u.w.reports, r)
	u.w.mu.Unlock()
	return u.Uplink.Report(ctx, r)
}

func (w *wire) join(t *testing.T, h *hub.Hub) (leave func()) {
	t.Helper()
	leave, err := inproc.JoinVia(t.Context(), h, w, w, func(up hostlink.Uplink) hostlink.Uplink { return wireUp{up, w} })
	if err != nil {
		t.Fatal(err)
	}
	return leave
}

func newWire(t *testing.T, shelf *linktest.Shelf) *wire {
	a := agent.New(agent.Config{Facts: hostlink.Facts{Host: "h", ID: "h"}, Journal: agent.MemoryJournal(), Log: slog.New(slog.DiscardHandler),
		Appliers: map[hostlink.Section]hostlink.Applier{linktest.Section: shelf}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = a.Run(ctx) }() // always nil
	t.Cleanup(func() { cancel(); <-done })
	return &wire{Agent: a}
}

// Of many objects only those are rendered, sent and reported that a transaction
// named; what nobody named is found by its missing number, and costs the whole.
func TestOnlyChangesTravel(t *testing.T) {
	r, shelf := newRows(t, hub.Config{}), linktest.NewShelf()
	w := newWire(t, shelf)
	for i := range 50 {
		r.change(fmt.Sprint("w", i), "x")
	}
	leave := w.join(t, r.hub)
	defer leave()
	r.await(r.revision, "w1")
	wholes, parts := r.rendered()
	r.await(r.put("w7", "y"), "w7")
	r.await(r.put("new", "z"), "new")
	r.await(r.put("w8", ""), "w8")
	if n, p := r.rendered(); n != wholes || len(p) != len(parts)+3 || !slices.Equal(p[len(p)-1], []string{"w8"}) {
		t.Errorf("rendered whole %d times and parts %v", n-wholes, p)
	}
	w.mu.Lock()
	for _, d := range w.deltas {
		if len(d.Set)+len(d.Remove) != 1 {
			t.Errorf("a delta of %d and %d objects", len(d.Set), len(d.Remove))
		}
	}
	if len(w.docs) != 1 || len(w.deltas) != 3 {
		t.Errorf("%d documents and %d deltas travelled", len(w.docs), len(w.deltas))
	}
	if last := w.reports[len(w.reports)-1]; last.Since == 0 || len(last.Objects) > 1 {
		t.Errorf("the last report goes on from %d with %d objects", last.Since, len(last.Objects))
	}
	w.mu.Unlock()
	r.change("w9", "nobody says so")
	n := r.put("w10", "v")
	if r.await(n, "w10"); shelf.Words()["w9"] != "nobody says so" {
		t.Error("what was not named did not arrive")
	}
	if got, want := shelf.Words(), r.words; !maps.Equal(got, want) {
		t.Errorf("the host has %v, rows say %v", got, want)
	}
}

// What is named while a part is on its way waits a moment for more: the host puts
// its document on disk for each.
func TestPartsAreGathered(t *testing.T) {
	r, shelf := newRows(t, hub.Config{}), linktest.NewShelf()
	w := newWire(t, shelf)
	r.change("w", "x")
	leave := w.join(t, r.hub)
	defer leave()
	r.await(r.revision, "w")
	steady, times, last := clock.Real{}, []time.Duration{}, int64(0)
	w.amending = func() {
		if times = append(times, steady.Elapsed()); len(times) == 1 {
			last = r.put("second", "y")
		}
	}
	r.await(r.put("first", "y"), "first")
	r.await(last, "second")
	if r.rendered(); len(times) != 2 || times[1]-times[0] < 5*time.Millisecond {
		t.Errorf("parts were sent at %v", times)
	}
}

// An end that knows no deltas gets none.
func TestOlderEnds(t *testing.T) {
	for _, c := range []struct{ old, oldHub bool }{{old: true}, {oldHub: true}, {old: true, oldHub: true}} {
		r, shelf := newRows(t, hub.Config{}), linktest.NewShelf()
		w := newWire(t, shelf)
		w.old, w.oldHub = c.old, c.oldHub
		leave := w.join(t, r.hub)
		for i := range 5 {
			r.await(r.put(fmt.Sprint("w", i), "x"), fmt.Sprint("w", i))
		}
		leave()
		if c.old && (len(w.deltas) > 0 || len(w.docs) == 0) {
			t.Errorf("an older agent gets %d deltas, %d documents", len(w.deltas), len(w.docs))
		}
		for _, report := range w.reports {
			if c.oldHub && report.Since != 0 {
				t.Error("an older server gets a report of what changed")
			}
		}
		if !maps.Equal(shelf.Words(), r.words) {
			t.Errorf("the host has %v, rows say %v", shelf.Words(), r.words)
		}
	}
}

// A server that starts goes on with deltas from what its hosts say they hold.
func TestDeltasGoOnAfterARestart(t *testing.T) {
	shelf := linktest.NewShelf()
	w := newWire(t, shelf)
	at := hostlink.HostSection{Host: "h", Section: linktest.Section}
	b := &book{present: map[hostlink.HostSection]int64{}, held: map[hostlink.HostSection]hostlink.Held{}}
	first := newRows(t, hub.Config{})
	leave := w.join(t, first.hub)
	first.await(first.put("a", "x"), "a")
	n := first.put("b", "y")
	first.await(n, "b")
	leave()
	b.present[at], b.held[at] = n, w.Held()[0]
	docs := len(w.docs)
	second := newRows(t, hub.Config{Book: b})
	second.words, second.revision = first.words, first.revision
	defer w.join(t, second.hub)()
	second.await(second.put("c", "z"), "c")
	if wholes, parts := second.rendered(); wholes != 0 || len(parts) != 1 || len(w.docs) != docs {
		t.Errorf("%d wholes, parts %v, %d documents more", wholes, parts, len(w.docs)-docs)
	}
}

// TestPerturbedDeltas records the deltas of an undisturbed run and replays them
// with one perturbation at each point: missing, repeated, in the other order,
// stale. Each is found by its digest, and the whole document that is sent then
// brings the host to where it should be.
func TestPerturbedDeltas(t *testing.T) {
	r := newRows(t, hub.Config{})
	w := newWire(t, linktest.NewShelf())
	r.change("a", "1")
	leave := w.join(t, r.hub)
	r.await(1, "a")
	for _, one := range [][2]string{{"b", "1"}, {"a", "2"}, {"c", "1"}, {"b", ""}, {"a", "1"}, {"b", "1"}} { // back to a state that was
		r.await(r.put(one[0], one[1]), one[0])
	}
	leave()
	run, first := w.deltas, w.docs[0]
	whole, _, _, err := hostlink.NewListed(linktest.Section, r.revision, linktest.BodyOf(r.words))
	if err != nil || len(run) != 6 {
		t.Fatal(err, len(run))
	}
	figures := report.Start(t, "F2", 0)
	for i := range run {
		j := (i + 1) % len(run)
		swapped := slices.Clone(run)
		swapped[i], swapped[j] = swapped[j], swapped[i]
		for name, order := range map[string][]hostlink.Delta{
			"missing":  slices.Delete(slices.Clone(run), i, i+1),
			"repeated": slices.Insert(slices.Clone(run), i, run[i]),
			"stale":    append(slices.Clone(run), run[i]),
			"swapped":  swapped,
		} {
			figures.Fault(name+" delta", 1)
			if said, held := deliver(t, first, order, whole); held != whole.Held() {
				figures.Violation("delta %d %s: the host holds %+v, want %+v; it said %v", i, name, held, whole.Held(), said)
			}
		}
	}
}

// deliver gives a host deltas, and the whole document once it refuses one.
func deliver(t *testing.T, first hostlink.Document, run []hostlink.Delta, whole hostlink.Document) (said []error, held hostlink.Held) {
	t.Helper()
	w := newWire(t, linktest.NewShelf())
	if err := w.Agent.Accept(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	for _, d := range run {
		err := w.Agent.Amend(t.Context(), d)
		if said = append(said, err); err == nil {
			if held := w.Held()[0]; held != d.Held() {
				t.Errorf("a delta to %+v led to %+v", d.Held(), held)
			}
			continue
		}
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("a delta that does not fit is refused with %v", err)
		}
		if err := w.Agent.Accept(t.Context(), whole); err != nil {
			t.Fatal(err)
		}
	}
	if w.Held()[0] != whole.Held() { // the last one was lost: the next beat says so, and the whole follows
		if err := w.Agent.Accept(t.Context(), whole); err != nil {
			t.Fatal(err)
		}
	}
	return said, w.Held()[0]
}
