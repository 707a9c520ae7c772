// Package tasktest walks sagas through every fault there is: each step with
// each kind, and a second fault in each undo of an unwinding. What must be
// true afterwards is the fixture's word. A saga without a fixture fails
// RequireFixtures.
package tasktest

import (
	"context"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/task"
	"github.com/mekcloud/mek/test/report"
)

// Fixture says how one saga is exercised.
type Fixture struct {
	Op string // the saga's name, written out: RequireFixtures looks for it
	// World makes a fresh world: database, simulated hosts, the object. It is
	// called once per fault.
	World func(t *testing.T) World

	report *report.Run
}

// World is one run's surroundings.
type World struct {
	DB *db.DB
	// Open makes an engine over the world, with the saga registered, from the
	// given options. It is called again after each death of the "server":
	// everything that the server keeps in memory must be new.
	Open func(o task.Options) *task.Engine
	// Start is the request that enqueues the saga, on the engine opened last.
	Start func(ctx context.Context) error
	// Done fails the test unless the saga's goal is reached and nothing else is.
	Done func(t *testing.T)
	// Unwound fails the test unless nothing is left of the saga.
	Unwound func(t *testing.T)
	// Delete is the request that deletes the saga's object, and Deleted fails the
	// test unless nothing is left of it; nil: it is not deleted by a saga.
	Delete  func(ctx context.Context) error
	Deleted func(t *testing.T)
	// AgentDies is called in the middle of an effect; may be nil.
	AgentDies func()
	// Checks are the conservation queries of the service, of the engine opened
	// last; with what the toolkit checks they hold after every fault. Agents
	// answer for the hosts; nil: there are none. Sections are what they have.
	Checks   func() []check.Check
	Agents   func() check.Agents
	Sections []check.Section
}

// Exercise runs the saga undisturbed, then once for each fault, and once for each
// step with a death in it after which its object is deleted.
func Exercise(t *testing.T, f Fixture) {
	t.Helper()
	w := f.World(t)
	steps := w.Open(task.Options{Clock: clock.Real{}}).Ops()[f.Op]
	if len(steps) == 0 {
		t.Fatalf("no saga %s is registered", f.Op)
	}
	f.report = report.Start(t, "F1", 0)
	t.Run("undisturbed", func(t *testing.T) { f.run(t, reached) })
	for i, step := range steps {
		for _, kind := range []task.Kind{task.K1, task.K2, task.K3, task.K4, task.K5, task.K7, task.K8} {
			t.Run(step+"/"+string(kind), func(t *testing.T) { f.run(t, reached, task.Fault{Op: f.Op, Step: step, Kind: kind}) })
		}
		if w.Delete != nil {
			t.Run(step+"/K3/deleted", func(t *testing.T) { f.run(t, gone, task.Fault{Op: f.Op, Step: step, Kind: task.K3}) })
		}
		for _, kind := range []task.Kind{task.K6, task.K6Before} {
			first := task.Fault{Op: f.Op, Step: step, Kind: kind}
			t.Run(step+"/"+string(kind), func(t *testing.T) { f.run(t, unwound, first) })
			for _, undo := range steps[:i+1] {
				for _, second := range []task.Kind{task.U1, task.U3, task.U6, task.U8} {
					if !sampled(f.Op, step, kind, undo, second) {
						continue
					}
					t.Run(step+"/"+string(kind)+"/"+undo+"/"+string(second), func(t *testing.T) {
						f.run(t, unwound, first, task.Fault{Op: f.Op, Step: undo, Kind: second})
					})
				}
			}
		}
	}
}

// sampled picks one in eight of the double faults by the seed in MEK_SEED, and
// all of them with MEK_FAULTS=all (make soak). The name of a failing test says
// the faults; no seed is needed to repeat it.
func sampled(op, step string, kind task.Kind, undo string, second task.Kind) bool {
	if os.Getenv("MEK_FAULTS") == "all" {
		return true
	}
	h := fnv.New32a()
	for _, s := range []string{os.Getenv("MEK_SEED"), op, step, string(kind), undo, string(second)} {
		_, _ = h.Write([]byte(s + "/")) // a hash takes everything
	}
	return h.Sum32()%8 == 0
}

// Options are an engine's options for tests: the real clock, short back-offs.
func Options(d *db.DB, faults *task.Faults) task.Options {
	return task.Options{DB: d, Clock: clock.Real{}, Owner: "test", Retry: time.Millisecond, Faults: faults}
}

// goal is what a run ends in.
type goal string

const (
	reached goal = "the saga's own goal"
	unwound goal = "nothing is left of the saga"
	gone    goal = "nothing is left of its object"
)

func (f Fixture) run(t *testing.T, g goal, faults ...task.Fault) {
	w := f.World(t)
	injected := &task.Faults{AgentDies: w.AgentDies}
	injected.Arm(faults...)
	f.report.Operations(1)
	for _, one := range faults {
		f.report.Fault(string(one.Kind), 1)
	}
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	engine := w.Open(Options(w.DB, injected))
	if err := w.Start(ctx); err != nil {
		t.Fatalf("start: %v", err)
	}
	seen := map[string]bool{}
	for deaths := 0; ; deaths++ {
		survived := life(ctx, t, engine)
		for _, trouble := range engine.Troubles() {
			seen[trouble.What] = true
		}
		if survived {
			break
		}
		if deaths > len(faults) {
			t.Fatalf("the server died %d times", deaths)
		}
		engine = w.Open(Options(w.DB, injected))
		if g == gone {
			if err := w.Delete(ctx); err != nil {
				t.Fatalf("delete: %v", err)
			}
		}
	}
	if n := injected.Fired(); n != len(faults) {
		t.Errorf("%d of %d faults happened", n, len(faults))
	}
	left, err := engine.Cleanups(ctx, w.DB)
	if err != nil || len(left) > 0 {
		t.Errorf("clean-ups: %+v, %v", left, err)
	}
	switch g {
	case reached:
		w.Done(t)
	case unwound:
		w.Unwound(t)
	case gone:
		w.Deleted(t)
	}
	if g != gone { // what a delete takes back it speaks for itself
		f.visible(ctx, t, w.DB, seen, faults)
	}
	w.holds(ctx, t, engine)
}

// shows is what counters say of each kind of fault. A death right after the last
// step's record left nothing to take up; what is delivered twice its receiver
// tells by the token, and nothing goes wrong.
var shows = map[task.Kind]string{task.K1: task.Recovered, task.K2: task.Recovered, task.K3: task.Recovered, task.K4: "", task.K5: task.Retried, task.K7: task.Retried,
	task.K6: task.Unwound, task.K6Before: task.Unwound, task.K8: "", task.U1: task.Recovered, task.U3: task.Recovered, task.U6: task.UndoFailed, task.U8: ""}

// visible fails the test when a fault left no trace in the counters that become
// metrics, or an operation that was taken back left no event (I-42).
func (f Fixture) visible(ctx context.Context, t *testing.T, d *db.DB, seen map[string]bool, faults []task.Fault) {
	t.Helper()
	for _, one := range faults {
		want, known := shows[one.Kind]
		if !known {
			t.Errorf("nobody says how %s shows", one.Kind)
		}
		if want != "" && !seen[want] {
			t.Errorf("I-42: %s at %s shows in no counter: want %q, have %v", one.Kind, one.Step, want, seen)
		}
	}
	if !seen[task.Unwound] {
		return
	}
	if _, err := outbox.Publish(ctx, d); err != nil {
		t.Fatal(err)
	}
	list, err := outbox.Read(ctx, d, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(list, func(e outbox.Entry) bool {
		return e.Record.Action == task.Failed && e.Record.Kind == f.Op && e.Record.Payload["reason"] != ""
	}) {
		t.Errorf("I-42: %s was taken back, and no event says so", f.Op)
	}
}

// holds fails the test when an invariant is broken, after what hosts are still
// about to do.
func (w World) holds(ctx context.Context, t *testing.T, e *task.Engine) {
	t.Helper()
	conf := check.Config{DB: w.DB, Clock: clock.Real{}, Sagas: e.Sagas, Sections: w.Sections}
	if w.Agents != nil {
		conf.Agents = w.Agents()
	}
	all := check.New(conf)
	all.Add(check.Database(w.DB)...)
	all.Add(e.Checks()...)
	if w.Checks != nil {
		all.Add(w.Checks()...)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var last check.Report
	for {
		report, err := all.Run(ctx, check.Quiesced)
		if err == nil && len(report.Findings) == 0 {
			return
		}
		if err == nil {
			last = report
		}
		select {
		case <-ctx.Done():
			for _, f := range last.Findings {
				t.Errorf("invariant broken: %s", f)
			}
			if len(last.Examined) == 0 {
				t.Errorf("invariants cannot be checked: %v", err)
			}
			return
		case <-clock.Real{}.After(10 * time.Millisecond):
		}
	}
}

// life runs an engine until nothing is left to do, or it dies.
func life(ctx context.Context, t *testing.T, e *task.Engine) (survived bool) {
	t.Helper()
	inner, stop := context.WithCancel(ctx)
	result := make(chan error, 1)
	go func() { result <- e.Run(inner) }()
	idle := e.Idle(ctx)
	stop()
	err := <-result
	if ctx.Err() != nil {
		t.Fatalf("not finished in time: %v", idle)
	}
	if idle == nil && err != nil {
		t.Fatalf("the engine failed: %v", err)
	}
	return idle == nil
}

// RequireFixtures fails for each operation that no test file below root gives
// a Fixture: it looks for the name in a field Op.
func RequireFixtures(t *testing.T, root string, e *task.Engine) {
	t.Helper()
	field := regexp.MustCompile(`\bOp:\s*"([^"]+)"`)
	var have []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "tasktest.") {
			return err
		}
		for _, m := range field.FindAllStringSubmatch(string(text), -1) {
			have = append(have, m[1])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for op := range e.Ops() {
		if !slices.Contains(have, op) {
			t.Errorf("saga %s has no fixture (tasktest.Exercise)", op)
		}
	}
}
