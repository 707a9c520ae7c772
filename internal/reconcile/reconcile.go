package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/id"
)

// Reconciler makes one thing true.
type Reconciler struct {
	Name  string
	Every time.Duration // between runs that nobody poked for; 0: a minute
	// Run MUST be idempotent, return when ctx ends and treat "nothing to do" as
	// the usual case.
	Run     func(ctx context.Context) error
	Timeout time.Duration // of one run; 0: 5 minutes
}

// Loop runs reconcilers. Safe for concurrent use.
type Loop struct {
	clock clock.Clock
	log   *slog.Logger
	all   map[string]*worker

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when a run ends
}

type worker struct {
	Reconciler
	wake    chan struct{}
	pending bool // poked, and no run begun since; under Loop.mu
	running bool
	last    error

	runs, failures int64
}

// New makes a loop. It panics on two reconcilers of one name, as a start-up check.
func New(c clock.Clock, log *slog.Logger, all ...Reconciler) *Loop {
	l := &Loop{clock: c, log: log, all: map[string]*worker{}, changed: make(chan struct{})}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	for _, r := range all {
		if r.Every == 0 {
			r.Every = time.Minute
		}
		if r.Timeout == 0 {
			r.Timeout = 5 * time.Minute
		}
		l.mustBeNew(r.Name)
		l.all[r.Name] = &worker{Reconciler: r, wake: make(chan struct{}, 1), pending: true}
	}
	return l
}

func (l *Loop) mustBeNew(name string) {
	if l.all[name] != nil {
		panic("reconcile: two reconcilers are named " + name)
	}
}

// Run runs every reconciler once at the start and then as said, until ctx ends
// and all runs have returned.
func (l *Loop) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, w := range l.all {
		wg.Go(func() { l.work(ctx, w) })
	}
	wg.Wait()
}

// Poke has a reconciler run soon. It never blocks and may be called for
// nothing; an unknown name is a defect and is logged.
func (l *Loop) Poke(name string) {
	w := l.all[name]
	if w == nil {
		l.log.Error("poke of an unknown reconciler", "name", name)
		return
	}
	l.mu.Lock()
	w.pending = true
	l.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Idle waits until no reconciler runs or is poked. One that fails is not idle:
// its last error is returned when ctx ends. For tests.
func (l *Loop) Idle(ctx context.Context) error {
	for {
		l.mu.Lock()
		var busy error
		for _, w := range l.all {
			if w.pending || w.running {
				busy = errors.Join(busy, fmt.Errorf("reconciler %s is at work; last: %v", w.Name, w.last))
			}
		}
		changed := l.changed
		l.mu.Unlock()
		if busy == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), busy)
		}
	}
}

func (l *Loop) work(ctx context.Context, w *worker) {
	failures := 0
	for {
		err := l.once(ctx, w)
		if ctx.Err() != nil {
			return
		}
		wait := spread(w.Every)
		if err != nil {
			wait = min(wait, spread(time.Second<<min(failures, 6)))
			failures++
			l.log.Warn("reconciler failed; again soon", "name", w.Name, "after", wait, "error", err)
		} else {
			failures = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-l.clock.After(wait):
		}
	}
}

func (l *Loop) once(ctx context.Context, w *worker) error {
	select { // this run answers every poke until now
	case <-w.wake:
	default:
	}
	l.mu.Lock()
	w.pending, w.running = false, true
	l.mu.Unlock()
	err := run(ctx, w.Reconciler)
	l.mu.Lock()
	defer l.mu.Unlock()
	w.running, w.last = false, err
	if w.runs++; err != nil {
		w.failures++
	}
	w.pending = w.pending || err != nil
	close(l.changed)
	l.changed = make(chan struct{})
	return err
}

func run(ctx context.Context, r Reconciler) (err error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return r.Run(ctx)
}

// spread is a duration ±25 %, so that servers do not run in step.
func spread(d time.Duration) time.Duration {
	return d*3/4 + d/2*time.Duration(id.Bytes(1)[0])/255
}
