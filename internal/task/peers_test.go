package task_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/fence"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/task"
)

// peers is what an engine is told of the others.
type peers struct {
	mu   sync.Mutex
	term int64
	lost bool
	dead map[string]bool
}

func (p *peers) Term() int64 { p.mu.Lock(); defer p.mu.Unlock(); return p.term }

func (p *peers) Holds(term int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.lost && p.term == term
}

func (p *peers) Dead(name string) bool { p.mu.Lock(); defer p.mu.Unlock(); return p.dead[name] }

func (p *peers) set(change func(*peers)) { p.mu.Lock(); defer p.mu.Unlock(); change(p) }

type errand struct{}

// engine makes one with a single saga, whose step is do.
func engine(t *testing.T, d *db.DB, name string, p *peers, do func(context.Context) error) (*task.Engine, *task.Handle[errand]) {
	e := task.New(task.Options{DB: d, Clock: clock.Real{}, Owner: name, Retry: time.Millisecond, Peers: p})
	h := task.Register(e, task.Saga[errand, errand]{Name: "errand", Steps: []task.Step[errand, errand]{
		{Name: "go", Do: func(ctx context.Context, _ *task.Run[errand, errand]) error { return do(ctx) }}}})
	return e, h
}

func begin(t *testing.T, d *db.DB, h *task.Handle[errand]) {
	t.Helper()
	err := d.Write(t.Context(), func(tx *db.Tx) error {
		_, err := h.Enqueue(t.Context(), tx, task.Work{Object: "x", ProjectID: "p"}, errand{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func running(t *testing.T, e *task.Engine) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func idle(t *testing.T, e *task.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := e.Idle(ctx); err != nil {
		t.Fatal(err)
	}
}

// A saga whose host only another server reaches goes there.
func TestASagaGoesWhereItsHostIs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var b *task.Engine
		var byA, byB int
		a, h := engine(t, d, "a", &peers{}, func(context.Context) error {
			byA++
			f := fault.Unavailablef("it is elsewhere")
			f.Detail = map[string]any{hostlink.Elsewhere: "b"}
			return f
		})
		b, _ = engine(t, d, "b", &peers{}, func(context.Context) error { byB++; return nil })
		running(t, b)
		begin(t, d, h)
		running(t, a)
		told := time.NewTicker(10 * time.Millisecond) // the notification comes some time after the commit
		defer told.Stop()
		done := make(chan struct{})
		defer close(done)
		go func() {
			for {
				select {
				case <-told.C:
					b.PeersChanged()
				case <-done:
					return
				}
			}
		}()
		idle(t, b)
		idle(t, a)
		if byA != 1 || byB != 1 {
			t.Errorf("a tried %d times, b did it %d times", byA, byB)
		}
	})
}

// What was begun in a term that is over does not act; the saga goes on in the next.
func TestAFenceThatFell(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		p := &peers{}
		effects, refused := 0, 0
		e, h := engine(t, d, "a", p, func(ctx context.Context) error {
			if effects+refused == 0 {
				p.set(func(p *peers) { p.term++ }) // it was stopped here, and goes on
			}
			if err := fence.Check(ctx); err != nil {
				refused++
				return err
			}
			effects++
			return nil
		})
		begin(t, d, h)
		running(t, e)
		idle(t, e)
		if refused != 1 || effects != 1 {
			t.Errorf("%d effects, %d refused", effects, refused)
		}
	})
}

// Sagas of a dead server are taken over when others see that it is dead, and
// not before, whatever the wall clocks say.
func TestSagasOfADeadServer(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		_, h := engine(t, d, "a", &peers{}, func(context.Context) error { t.Error("a is dead"); return nil })
		begin(t, d, h)
		p, done := &peers{dead: map[string]bool{}}, make(chan struct{})
		b, _ := engine(t, d, "b", p, func(context.Context) error { close(done); return nil })
		steal(t, d) // the lease by wall time is over
		running(t, b)
		b.PeersChanged()
		select {
		case <-done:
			t.Fatal("b took it while a lives")
		case <-time.After(100 * time.Millisecond):
		}
		p.set(func(p *peers) { p.dead["a"] = true })
		b.PeersChanged()
		<-done
		idle(t, b)
	})
}
