package task_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/task"
	"github.com/mekcloud/mek/internal/task/tasktest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// outside is a world of effects: things exist by name, made by a token.
type outside struct {
	mu     sync.Mutex
	things map[string]string
	log    []string
	fail   func(what string) error
	enter  chan string // told of each effect that waits; nil: none waits
}

func (o *outside) make(ctx context.Context, name, token string) error {
	o.mu.Lock()
	o.log = append(o.log, "make "+name)
	fail, enter := o.fail, o.enter
	o.mu.Unlock()
	if enter != nil {
		enter <- name
		<-ctx.Done()
		return ctx.Err()
	}
	if fail != nil {
		if err := fail("make " + name); err != nil {
			return err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if old, ok := o.things[name]; ok && old != token {
		return fmt.Errorf("%s was made by %s, now %s", name, old, token)
	}
	o.things[name] = token
	return nil
}

func (o *outside) remove(name, token string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log = append(o.log, "remove "+name)
	if o.fail != nil {
		if err := o.fail("remove " + name); err != nil {
			return err
		}
	}
	if old, ok := o.things[name]; ok && old != token {
		return fmt.Errorf("%s was made by %s, now %s", name, old, token)
	}
	delete(o.things, name)
	return nil
}

func (o *outside) names() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []string
	for n := range o.things {
		out = append(out, n)
	}
	slices.Sort(out)
	return fmt.Sprint(out)
}

type params struct{ Name string }
type state struct{ Disk, Net string }

func facts(ctx context.Context, t testing.TB, q db.Querier) map[string]string {
	t.Helper()
	rows, err := q.QueryContext(ctx, "SELECT name, value FROM toolkit_facts")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var k, v string
		if err := rows.Scan(&k, &v); err != nil {
			t.Fatal(err)
		}
		out[k] = v
	}
	return out
}

func put(ctx context.Context, tx *db.Tx, k, v string) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO toolkit_facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", k, v)
	return err
}

func drop(ctx context.Context, tx *db.Tx, k string) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM toolkit_facts WHERE name = $1", k)
	return err
}

// build is a saga with every shape of step.
func build(o *outside) task.Saga[params, state] {
	type run = task.Run[params, state]
	return task.Saga[params, state]{Name: "test.build", Steps: []task.Step[params, state]{
		{Name: "begin", UndoCommit: func(ctx context.Context, tx *db.Tx, r *run) error {
			if r.Err == nil {
				return errors.New("no reason given")
			}
			return put(ctx, tx, r.Object, "ERROR "+fault.As(r.Err).Text)
		}},
		{Name: "claim",
			Commit: func(ctx context.Context, tx *db.Tx, r *run) error { return put(ctx, tx, "claim-"+r.Object, "yes") },
			UndoCommit: func(ctx context.Context, tx *db.Tx, r *run) error {
				return drop(ctx, tx, "claim-"+r.Object)
			}},
		{Name: "disk",
			Do: func(ctx context.Context, r *run) error {
				r.State.Disk = r.Params.Name + "-disk"
				return o.make(ctx, r.State.Disk, r.Token())
			},
			Undo: func(_ context.Context, r *run) error { return o.remove(r.Params.Name+"-disk", r.Token()) }},
		{Name: "net",
			Do: func(ctx context.Context, r *run) error { return o.make(ctx, r.State.Disk+"-net", r.Token()) },
			Commit: func(_ context.Context, _ *db.Tx, r *run) error {
				if r.State.Net != "" {
					return errors.New("the state of an earlier run is still there")
				}
				r.State.Net = r.State.Disk + "-net"
				return nil
			},
			Undo: func(_ context.Context, r *run) error { return o.remove(r.Params.Name+"-disk-net", r.Token()) }},
		{Name: "active", Commit: func(ctx context.Context, tx *db.Tx, r *run) error {
			return put(ctx, tx, r.Object, "ACTIVE "+r.State.Net)
		},
			UndoCommit: func(ctx context.Context, tx *db.Tx, r *run) error { return drop(ctx, tx, r.Object) }},
	}}
}

func destroy(o *outside) task.Saga[params, state] {
	type run = task.Run[params, state]
	return task.Saga[params, state]{Name: "test.destroy", Steps: []task.Step[params, state]{
		{Name: "net", Do: func(_ context.Context, r *run) error {
			o.mu.Lock()
			defer o.mu.Unlock()
			delete(o.things, r.Params.Name+"-disk-net")
			return nil
		}},
		{Name: "gone", Commit: func(ctx context.Context, tx *db.Tx, r *run) error { return put(ctx, tx, r.Object, "GONE") }},
	}}
}

func TestExercise(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "test.build", World: func(t *testing.T) tasktest.World {
		d, o := dbtest.SQLite(t), &outside{things: map[string]string{}}
		var h *task.Handle[params]
		return tasktest.World{DB: d,
			Open: func(opt task.Options) *task.Engine { e := task.New(opt); h = task.Register(e, build(o)); return e },
			Start: func(ctx context.Context) error {
				return d.Write(ctx, func(tx *db.Tx) error {
					_, err := h.Enqueue(ctx, tx, task.Work{Object: "obj", ProjectID: "p"}, params{"x"})
					return err
				})
			},
			Done: func(t *testing.T) {
				if f := facts(context.Background(), t, d); fmt.Sprint(f) != "map[claim-obj:yes obj:ACTIVE x-disk-net]" || o.names() != "[x-disk x-disk-net]" {
					t.Errorf("facts %v, outside %s", f, o.names())
				}
			},
			Unwound: func(t *testing.T) {
				f := facts(context.Background(), t, d)
				if len(f) != 1 || f["obj"] == "" || o.names() != "[]" {
					t.Errorf("facts %v, outside %s", f, o.names())
				}
			},
		}
	}})
}

// world is an engine at work with both sagas.
type world struct {
	d       *db.DB
	o       *outside
	e       *task.Engine
	build   *task.Handle[params]
	destroy *task.Handle[params]
	ends    chan task.End
}

func newWorld(t *testing.T, d *db.DB, change func(*task.Options)) *world {
	t.Helper()
	w := &world{d: d, o: &outside{things: map[string]string{}}, ends: make(chan task.End, 1000)}
	opt := tasktest.Options(d, nil)
	opt.Ended = func(e task.End) { w.ends <- e }
	if change != nil {
		change(&opt)
	}
	w.e = task.New(opt)
	w.build, w.destroy = task.Register(w.e, build(w.o)), task.Register(w.e, destroy(w.o))
	return w
}

func (w *world) run(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- w.e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-result; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func (w *world) enqueue(t *testing.T, h *task.Handle[params], object string, preempt bool) (string, error) {
	t.Helper()
	var id string
	err := w.d.Write(context.Background(), func(tx *db.Tx) (err error) {
		id, err = h.Enqueue(context.Background(), tx, task.Work{Object: object, ProjectID: "p", Preempt: preempt}, params{object})
		return err
	})
	return id, err
}

func (w *world) idle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.e.Idle(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestOneSagaPerObject(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, nil)
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 20 {
			wg.Go(func() {
				_, err := w.enqueue(t, w.build, "a", false)
				if err != nil && !fault.Is(err, fault.Conflict) {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if fault.As(err).Detail["saga"] == nil {
					t.Error("the running saga is not named")
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Fatalf("%d sagas were accepted", won)
		}
		live, err := w.e.Live(context.Background(), d, "a")
		if err != nil || len(live) != 1 || live[0].Op != "test.build" || live[0].Step != "claim" {
			t.Errorf("live: %+v, %v", live, err)
		}
		w.run(t)
		w.idle(t)
		if _, err := w.enqueue(t, w.build, "a", false); err != nil {
			t.Errorf("after the end: %v", err)
		}
		w.idle(t)
	})
}

// A delete cancels what runs, waits for its unwinding and then runs; a second
// delete joins the first.
func TestDeletePreempts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, nil)
		w.o.enter = make(chan string, 1)
		w.run(t)
		if _, err := w.enqueue(t, w.build, "a", false); err != nil {
			t.Fatal(err)
		}
		<-w.o.enter
		unwinding := make(chan struct{}) // holds the delete up until all have come
		w.o.mu.Lock()
		w.o.enter, w.o.fail = nil, func(what string) error {
			if what == "remove a-disk" {
				<-unwinding
			}
			return nil
		}
		w.o.mu.Unlock()
		first, err := w.enqueue(t, w.destroy, "a", true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.enqueue(t, w.build, "a", false); !fault.Is(err, fault.Conflict) {
			t.Errorf("build while a delete waits: %v", err)
		}
		if second, err := w.enqueue(t, w.destroy, "a", true); err != nil || second != first {
			t.Errorf("second delete: %s, not %s, %v", second, first, err)
		}
		close(unwinding)
		w.idle(t)
		if f := facts(context.Background(), t, d); f["a"] != "GONE" || w.o.names() != "[]" {
			t.Errorf("facts %v, outside %s", f, w.o.names())
		}
		if e := <-w.ends; e.Op != "test.build" || !task.Cancelled(e.Err) {
			t.Errorf("first end: %+v", e)
		}
	})
}

// A delete that comes while the last step ends has the last word.
func TestDeletePreemptsTheLastStep(t *testing.T) {
	type run = task.Run[params, state]
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, nil)
		last := task.Register(w.e, task.Saga[params, state]{Name: "test.last", Steps: []task.Step[params, state]{{Name: "only",
			Do: func(context.Context, *run) error {
				_, err := w.enqueue(t, w.destroy, "a", true)
				return err
			},
			Commit: func(ctx context.Context, tx *db.Tx, r *run) error { return put(ctx, tx, r.Object, "ACTIVE") },
		}}})
		w.run(t)
		if _, err := w.enqueue(t, last, "a", false); err != nil {
			t.Fatal(err)
		}
		w.idle(t)
		if e := <-w.ends; e.Op != "test.last" || !task.Cancelled(e.Err) {
			t.Errorf("first end: %+v", e)
		}
		if f := facts(context.Background(), t, d); f["a"] != "GONE" {
			t.Errorf("facts %v", f)
		}
	})
}

func TestUnavailableIsTriedAgainUntilTheDeadline(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		fake := clock.NewFake(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
		w := newWorld(t, d, func(o *task.Options) { o.Clock = fake; o.Retry = time.Minute })
		tries := 0
		w.o.fail = func(what string) error {
			if what == "make a-disk" {
				if tries++; tries < 4 {
					return fault.Unavailablef("not now")
				}
			}
			if what == "make b-disk" {
				return fault.Unavailablef("never")
			}
			return nil
		}
		for _, object := range []string{"a", "b"} {
			if _, err := w.enqueue(t, w.build, object, false); err != nil {
				t.Fatal(err)
			}
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					fake.Advance(5 * time.Second)
				}
			}
		})
		w.run(t)
		w.idle(t)
		close(stop)
		wg.Wait()
		f := facts(context.Background(), t, d)
		if f["a"] != "ACTIVE a-disk-net" || f["b"] != "ERROR The operation was given up: never" || tries != 4 {
			t.Errorf("facts %v after %d tries", f, tries)
		}
		if passed := fake.Now().Sub(time.Date(2030, 1, 1, 0, 30, 0, 0, time.UTC)); passed < 0 {
			t.Errorf("gave up %s before the deadline", -passed)
		}
	})
}

func TestUndoThatFailsBecomesACleanup(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		fake := clock.NewFake(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
		w := newWorld(t, d, func(o *task.Options) { o.Clock = fake; o.Retry = time.Nanosecond })
		broken := true
		w.o.fail = func(what string) error {
			switch {
			case what == "make a-disk-net":
				return fault.Invalidf("refused")
			case what == "remove a-disk-net" && broken:
				panic("undo is broken")
			case what == "remove a-disk" && broken:
				return task.HostGone("host:h1", errors.New("no answer"))
			}
			return nil
		}
		if _, err := w.enqueue(t, w.build, "a", false); err != nil {
			t.Fatal(err)
		}
		w.run(t)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					fake.Advance(time.Microsecond)
				}
			}
		})
		w.idle(t)
		close(stop)
		wg.Wait()
		left, err := w.e.Cleanups(ctx, d)
		slices.SortFunc(left, func(a, b task.Cleanup) int { return strings.Compare(b.Step, a.Step) }) // one moment may hold both
		if err != nil || len(left) != 2 || left[0].Step != "net" || left[1].Owner != "host:h1" || w.o.names() != "[a-disk]" {
			t.Fatalf("clean-ups %+v, outside %s, %v", left, w.o.names(), err)
		}
		if f := facts(ctx, t, d); f["a"] != "ERROR refused" || f["claim-a"] != "" {
			t.Errorf("facts %v", f)
		}
		w.o.mu.Lock()
		broken = false
		w.o.mu.Unlock()
		if err := w.e.Poke(ctx, "host:h1"); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(20 * time.Second)
		for len(left) > 0 && time.Now().Before(deadline) {
			fake.Advance(5 * time.Second)
			if left, err = w.e.Cleanups(ctx, d); err != nil {
				t.Fatal(err)
			}
		}
		if len(left) > 0 || w.o.names() != "[]" {
			t.Errorf("clean-ups %+v, outside %s", left, w.o.names())
		}
	})
}

// A server that dies keeps its lease for a while; then another goes on, and
// what the first still tries to write is refused.
func TestAnotherServerTakesOver(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		fake := clock.NewFake(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
		a := newWorld(t, d, func(o *task.Options) { o.Clock = fake; o.Owner = "a" })
		b := newWorld(t, d, func(o *task.Options) { o.Clock = fake; o.Owner = "b" })
		b.o = a.o
		held, release := make(chan struct{}), make(chan struct{})
		first := true
		a.o.fail = func(what string) error {
			if what == "make x-disk" && first {
				first = false
				close(held)
				<-release // a is stuck: it renews nothing, since the clock stands until b is through
			}
			return nil
		}
		b.e = task.New(task.Options{DB: d, Clock: fake, Owner: "b"})
		task.Register(b.e, build(a.o))
		if _, err := a.enqueue(t, a.build, "x", false); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		result := make(chan error, 1)
		go func() { result <- a.e.Run(ctx) }()
		<-held
		steal(t, d)
		b.run(t)
		b.idle(t)
		close(release)
		a.idle(t)
		cancel()
		if err := <-result; err != nil {
			t.Error(err)
		}
		if f := facts(context.Background(), t, d); f["x"] != "ACTIVE x-disk-net" {
			t.Errorf("facts %v", f)
		}
		if len(a.ends) != 0 {
			t.Errorf("the first server ended it: %+v", <-a.ends)
		}
	})
}

// steal lets all leases run out without moving the clock.
func steal(t *testing.T, d *db.DB) {
	t.Helper()
	err := d.Write(context.Background(), func(tx *db.Tx) error {
		_, err := tx.ExecContext(context.Background(), "UPDATE task_sagas SET lease_until = 1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestManySagasAllEnd(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, func(o *task.Options) { o.Workers, o.Reserved = 4, 2 })
		w.run(t)
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				if _, err := w.enqueue(t, w.build, fmt.Sprintf("o%d", i), false); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		w.idle(t)
		if f := facts(context.Background(), t, d); len(f) != 120 || len(w.ends) != 60 {
			t.Errorf("%d facts, %d ends", len(f), len(w.ends))
		}
	})
}

func TestAwaitEndsWithTheSaga(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t), nil)
	saga, err := w.enqueue(t, w.build, "a", false)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := w.e.Await(short, saga); !fault.Is(err, fault.Unavailable) {
		t.Errorf("before the engine runs: %v", err)
	}
	w.run(t)
	long, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.e.Await(long, saga); err != nil {
		t.Error(err)
	}
	if f := facts(context.Background(), t, w.d); f["a"] == "" {
		t.Error("not ended yet")
	}
}

func TestRegisterRefusesBrokenSagas(t *testing.T) {
	for name, s := range map[string]task.Saga[params, state]{
		"no steps":   {Name: "x"},
		"empty step": {Name: "x", Steps: []task.Step[params, state]{{Name: "a"}}},
		"twice":      {Name: "x", Steps: append(destroy(nil).Steps, destroy(nil).Steps...)},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			task.Register(task.New(task.Options{Clock: clock.Real{}}), s)
		})
	}
}

func TestEverySagaHasAFixture(t *testing.T) {
	e := task.New(task.Options{Clock: clock.Real{}})
	task.Register(e, build(nil))
	tasktest.RequireFixtures(t, ".", e)
}
