package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/test/report"
)

// silent is a host that takes everything and says only what the test says.
type silent struct{}

func (silent) Accept(context.Context, hostlink.Document) error { return nil }
func (silent) Amend(context.Context, hostlink.Delta) error     { return nil }
func (silent) Command(context.Context, hostlink.Command) (json.RawMessage, error) {
	return nil, fault.Unavailablef("silent")
}
func (silent) Forget(context.Context, string) error { return nil }
func (silent) Stream(context.Context, string, json.RawMessage) (io.ReadWriteCloser, error) {
	return nil, fault.Unavailablef("silent")
}

// TestPerturbedReports records the reports of an undisturbed run and replays
// them with one perturbation at each point: missing and sent again later,
// repeated, in the other order, stale at the end, or refused by an observer that
// fails. What the observer has kept must be the same each time.
func TestPerturbedReports(t *testing.T) {
	var run []hostlink.Report
	for i, phases := range []map[string]hostlink.Phase{{"a": hostlink.Pending}, {"a": hostlink.Ready, "b": hostlink.Pending}, {"a": hostlink.Ready, "b": hostlink.Ready},
		{"b": hostlink.Failed}, {"b": hostlink.Ready, "c": hostlink.Ready}} {
		r := hostlink.Report{Section: hostlink.Guests, Sequence: int64(i + 1), Revision: int64(i + 1), Applied: int64(i + 1)}
		for _, id := range slices.Sorted(maps.Keys(phases)) {
			r.Objects = append(r.Objects, hostlink.ObjectReport{ID: id, Phase: phases[id], Revision: int64(i + 1)})
		}
		run = append(run, r)
	}
	figures := report.Start(t, "F2", 0)
	last := len(run) - 1
	want := replay(t, run, -1)
	for i := range run {
		for name, order := range map[string][]hostlink.Report{
			"missing":  append(slices.Delete(slices.Clone(run), i, i+1), run[last]), // the newest is sent until it is taken
			"repeated": slices.Insert(slices.Clone(run), i, run[i]),
			"stale":    append(slices.Clone(run), run[i]),
			"swapped":  swap(run, i),
		} {
			figures.Fault(name+" report", 1)
			if got := replay(t, order, -1); got != want {
				figures.Violation("report %d %s: %s, want %s", i, name, got, want)
			}
		}
		figures.Fault("refused report", 1)
		if got := replay(t, slices.Insert(slices.Clone(run), i+1, run[i]), i); got != want {
			figures.Violation("report %d refused once: %s, want %s", i, got, want)
		}
	}
}

// TestPerturbedReportDeltas is TestPerturbedReports for reports of changes: one
// that does not fit is refused, and the whole that follows says what is so.
func TestPerturbedReportDeltas(t *testing.T) {
	var run, wholes []hostlink.Report
	objects := map[string]hostlink.ObjectReport{}
	for i, change := range []hostlink.ObjectReport{{ID: "a", Phase: hostlink.Pending}, {ID: "b", Phase: hostlink.Pending}, {ID: "a", Phase: hostlink.Ready}, {ID: "b", Phase: hostlink.Ready},
		{ID: "a"}, {ID: "b", Phase: hostlink.Failed, Error: "x"}} {
		n := int64(i + 1)
		change.Revision = n
		r := hostlink.Report{Section: hostlink.Guests, Sequence: n, Since: n - 1, Revision: n, Applied: n, Objects: []hostlink.ObjectReport{change}}
		if objects[change.ID] = change; change.Phase == "" {
			delete(objects, change.ID)
			r.Objects, r.Gone = nil, []string{change.ID}
		}
		whole := r
		whole.Since, whole.Gone, whole.Objects = 0, nil, nil
		for _, id := range slices.Sorted(maps.Keys(objects)) {
			whole.Objects = append(whole.Objects, objects[id])
		}
		r.Check = hostlink.CheckOf(whole.Objects)
		run, wholes = append(run, r), append(wholes, whole)
	}
	figures := report.Start(t, "F2", 0)
	last := len(run) - 1
	want := replay(t, wholes, -1)
	if got := replayDeltas(t, run, wholes[last], figures); got != want {
		t.Fatalf("undisturbed: %s, want %s", got, want)
	}
	for i := range run {
		for name, order := range map[string][]hostlink.Report{
			"missing":  append(slices.Delete(slices.Clone(run), i, i+1), run[last]),
			"repeated": slices.Insert(slices.Clone(run), i, run[i]),
			"stale":    append(slices.Clone(run), run[i]),
			"swapped":  swap(run, i),
		} {
			figures.Fault(name+" report of changes", 1)
			if got := replayDeltas(t, order, wholes[last], figures); got != want {
				figures.Violation("report %d %s: %s, want %s", i, name, got, want)
			}
		}
	}
}

// replayDeltas is replay of reports of changes; the whole last one follows one that is refused.
func replayDeltas(t *testing.T, run []hostlink.Report, whole hostlink.Report, figures *report.Run) string {
	t.Helper()
	h := hub.New(hub.Config{})
	defer h.Close()
	kept := map[string]hostlink.Phase{}
	h.Register(hostlink.Guests, func(context.Context, string) (any, int64, error) { return struct{}{}, 0, nil },
		func(_ context.Context, r hostlink.Report) error {
			if r.Since == 0 {
				clear(kept)
			}
			for _, o := range r.Objects {
				kept[o.ID] = o.Phase
			}
			for _, id := range r.Gone {
				delete(kept, id)
			}
			return nil
		})
	link, err := h.Up(t.Context(), "h", hostlink.Hello{Facts: hostlink.Facts{Host: "h"}}, silent{}, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := link.Report(t.Context(), hostlink.Report{Section: hostlink.Guests}); err != nil {
		t.Fatal(err)
	}
	for _, r := range run {
		err := link.Report(t.Context(), r)
		if err != nil && fault.As(err).Code != hostlink.WholeWanted {
			t.Fatal(err)
		}
		if err != nil {
			if err := link.Report(t.Context(), whole); err != nil {
				t.Fatal(err)
			}
		}
	}
	b, err := h.Await(t.Context(), "h", hostlink.Guests, 0, "b")
	return fmt.Sprint(kept, b.Phase, err)
}

func swap(run []hostlink.Report, i int) []hostlink.Report {
	out := slices.Clone(run)
	j := (i + 1) % len(out)
	out[i], out[j] = out[j], out[i]
	return out
}

// replay delivers reports and says what the observer keeps of them, and what
// the hub answers; the observer fails at one of its calls.
func replay(t *testing.T, run []hostlink.Report, failing int) string {
	t.Helper()
	h := hub.New(hub.Config{})
	defer h.Close()
	kept, calls := map[string]hostlink.Phase{}, 0
	h.Register(hostlink.Guests, func(context.Context, string) (any, int64, error) { return struct{}{}, 0, nil },
		func(_ context.Context, r hostlink.Report) error {
			if calls++; calls == failing+1 {
				return fault.Unavailablef("not now")
			}
			clear(kept)
			for _, o := range r.Objects {
				kept[o.ID] = o.Phase
			}
			return nil
		})
	link, err := h.Up(t.Context(), "h", hostlink.Hello{Facts: hostlink.Facts{Host: "h"}}, silent{}, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range run {
		if err := link.Report(t.Context(), r); err != nil && failing < 0 {
			t.Fatal(err)
		}
	}
	b, err := h.Await(t.Context(), "h", hostlink.Guests, 0, "b")
	return fmt.Sprint(kept, b.Phase, err)
}
