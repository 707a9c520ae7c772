package task

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// Options of an engine. DB, Clock and Owner are needed.
type Options struct {
	DB    *db.DB
	Clock clock.Clock
	Log   *slog.Logger
	// Owner names this server among those that share the database, the same
	// after a restart: an engine that starts takes its own sagas back at once.
	Owner      string
	Workers    int           // sagas at work at once; 0: 64
	Reserved   int           // more workers, for deletes only; 0: 16
	PerProject int           // sagas of one project at once; 0: three quarters of Workers
	Retry      time.Duration // first back-off, doubling to 10 s; 0: 200 ms
	Faults     *Faults
	Peers      Peers     // the servers that share the database; nil: leases alone say who lives
	Ended      func(End) // called once per saga that ended, for metrics; may be nil
	// Turn waits until a step of a project may keep a processor busy, as long as
	// others ask; the step calls leave at its end. nil: at once.
	Turn func(ctx context.Context, project string) (leave func())
	// Crowded tells whether several ask for something. While they do not, twice as
	// many sagas are at work at once, of all and of each project: most of them
	// wait for hosts. Nil: they always do.
	Crowded func() bool
}

// Peers is what an engine asks about the servers of the database; package peers.
type Peers interface {
	// Term is this server's present term.
	Term() int64
	// Holds tells whether nothing begun in a term can have been taken over.
	Holds(term int64) bool
	// Dead tells whether a server's sagas are for others to take.
	Dead(name string) bool
}

// Topic is under which engines tell each other of sagas, by db.Tx.Notify.
const Topic = "task"

// Given is under which an engine tells another, by its name, that it was given sagas.
const Given = "task-given"

// End tells how a saga ended.
type End struct {
	ID, Op, Object string
	Err            error // nil: done; otherwise why it unwound
	Took           time.Duration
}

// Engine runs sagas. Safe for concurrent use once all sagas are registered.
type Engine struct {
	o      Options
	graphs map[string]*graph

	mu      sync.Mutex
	queue   *fairQueue
	known   map[string]*handle // queued, delayed or running here
	stopped bool
	died    atomic.Bool
	look    atomic.Bool // for sagas to recover, at the next turn
	wake    chan struct{}
	changed chan struct{} // closed and replaced when something ends or is delayed
	workers sync.WaitGroup
	wall    wall

	troubles map[[2]string]int64 // by operation and what went wrong; under mu
}

// handle is a saga this engine has in hand.
type handle struct {
	item
	until  time.Duration      // not before this reading of the steady clock; zero: now
	cancel context.CancelFunc // of the running worker; nil when it does not run
	again  bool               // pushed while it ran
	stored *stored            // a moment ago; nil: nobody knows
}

// stored is a saga's row as its transaction left it, and the term of before that.
type stored struct {
	row  *sagaRow
	term int64
}

// recoverEvery is the period of recovery and of lease renewal.
const recoverEvery = 10 * time.Second

// New makes an engine; Run starts it.
func New(o Options) *Engine {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.Workers, 64)
	def(&o.Reserved, 16)
	def(&o.PerProject, max(1, o.Workers*3/4))
	if o.Retry == 0 {
		o.Retry = 200 * time.Millisecond
	}
	if o.Turn == nil {
		o.Turn = func(context.Context, string) func() { return func() {} }
	}
	if o.Crowded == nil {
		o.Crowded = func() bool { return true }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Engine{o: o, graphs: map[string]*graph{}, queue: newFairQueue(o.Workers, o.Reserved, o.PerProject, o.Crowded),
		known: map[string]*handle{}, wake: make(chan struct{}, 1), changed: make(chan struct{})}
}

// Ops lists the registered operations with their steps.
func (e *Engine) Ops() map[string][]string {
	out := map[string][]string{}
	for name, g := range e.graphs {
		for _, s := range g.steps {
			out[name] = append(out[name], s.name)
		}
	}
	return out
}

// Run works until ctx ends, then waits for the steps at work (their contexts
// end too) and gives the leases back. It returns an error only when the first
// recovery fails: without it sagas would be lost. One Run per engine.
func (e *Engine) Run(ctx context.Context) error {
	inner, stop := context.WithCancel(ctx)
	defer stop()
	e.watchClock()
	if err := e.recover(inner, true); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	tick := e.o.Clock.After(recoverEvery)
	for !e.isStopped() {
		next := e.dispatch(inner)
		var due <-chan time.Time
		if next > 0 {
			due = e.o.Clock.After(next)
		}
		select {
		case <-ctx.Done():
			e.setStopped()
		case <-e.wake:
			if e.look.Swap(false) {
				e.housekeep(inner)
			}
		case <-due:
		case <-tick:
			e.housekeep(inner)
			tick = e.o.Clock.After(recoverEvery)
		}
	}
	stop()
	e.workers.Wait()
	if e.died.Load() {
		return errDied
	}
	return e.o.DB.Write(context.WithoutCancel(ctx), func(tx *db.Tx) error { return release(ctx, tx, e.o.Owner) })
}

// errDied is what Run and Idle return when a fault point killed the engine.
var errDied = errors.New("killed at a fault point")

// die is what K1 to K4 do: from here on the engine writes nothing more.
func (e *Engine) die() error {
	e.died.Store(true)
	e.setStopped()
	return errDied
}

func (e *Engine) isStopped() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopped
}

func (e *Engine) setStopped() {
	e.mu.Lock()
	e.stopped = true
	e.announce()
	e.mu.Unlock()
	e.nudge()
}

func (e *Engine) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// announce wakes Idle; the caller holds mu.
func (e *Engine) announce() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// push puts a saga into the queue, unless it is in hand already.
func (e *Engine) push(id, project string, preempt bool) {
	e.put(id, project, preempt)
	e.nudge()
}

// begin puts a saga into the queue that was stored just now, for a caller who
// wakes the engine. Its row need not be read: who cancels it interrupts it, what
// is recorded of it tells whether it is ours still, and a clock that was set has
// it read again.
func (e *Engine) begin(s stored) {
	e.put(s.row.ID, s.row.ProjectID, s.row.Preempt)
	e.mu.Lock()
	defer e.mu.Unlock()
	if h := e.known[s.row.ID]; h != nil && h.cancel == nil {
		h.stored = &s
	}
}

// takeStored is what is known of a saga's row without reading it, once.
func (e *Engine) takeStored(h *handle) *stored {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := h.stored
	h.stored = nil
	return s
}

// put is push for a caller who wakes the engine.
func (e *Engine) put(id, project string, preempt bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := e.known[id]
	if h != nil {
		h.stored = nil // who pushes it again may have changed it
	}
	switch {
	case h == nil:
		h = &handle{item: item{id, project, preempt}}
		e.known[id] = h
		e.queue.push(h.item)
	case h.cancel != nil:
		h.again = true
	case h.until != 0:
		h.until = 0
		e.queue.push(h.item)
	}
}

// interrupt makes a saga look at its cancel flag: a running step's context
// ends, a delayed one is due.
func (e *Engine) interrupt(id string) {
	e.mu.Lock()
	h := e.known[id]
	if h != nil {
		h.stored = nil
	}
	if h != nil && h.cancel != nil {
		h.cancel()
		h.again = true
	}
	e.mu.Unlock()
	if h != nil {
		e.push(id, h.project, h.preempt)
	}
}

// Heard takes what another engine told under Topic: a saga of this one is to
// look at its cancel flag.
func (e *Engine) Heard(id string) { e.interrupt(id) }

// PeersChanged has the engine look now for sagas that a dead server left.
func (e *Engine) PeersChanged() {
	e.look.Store(true)
	e.nudge()
}

// dispatch starts what may run and tells how long until the next delayed saga
// is due; 0: none is delayed.
func (e *Engine) dispatch(ctx context.Context) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return 0
	}
	now, next := clock.Elapsed(e.o.Clock), time.Duration(0)
	for _, h := range e.known {
		if h.until == 0 {
			continue
		}
		if left := h.until - now; left > 0 {
			if next == 0 || left < next {
				next = left
			}
			continue
		}
		h.until = 0
		e.queue.push(h.item)
	}
	for {
		it, ok := e.queue.pop()
		if !ok {
			return next
		}
		h := e.known[it.id]
		work, cancel := context.WithCancel(ctx)
		h.cancel = cancel
		e.workers.Add(1)
		go e.work(ctx, work, h)
	}
}

// work runs one saga until it ends, must wait, or is lost. outer ends with the
// engine, inner also when the saga is to look at its cancel flag.
func (e *Engine) work(outer, inner context.Context, h *handle) {
	defer e.workers.Done()
	x := &execution{e: e, outer: outer, inner: inner, h: h}
	wait := x.run()
	e.mu.Lock()
	defer e.mu.Unlock()
	h.cancel()
	h.cancel = nil
	e.queue.done(h.item)
	switch {
	case e.stopped:
	case h.again && wait != ended:
		h.again = false
		e.queue.push(h.item)
	case wait > 0:
		h.until = clock.Elapsed(e.o.Clock) + wait
	default:
		delete(e.known, h.id)
	}
	e.announce()
	e.nudge()
}

// housekeep renews leases, recovers what others lost and tries clean-ups again.
func (e *Engine) housekeep(ctx context.Context) {
	var cancelled []string
	err := e.o.DB.Write(ctx, func(tx *db.Tx) (err error) {
		cancelled, err = renew(ctx, tx, e.o.Owner, e.o.Clock.Now())
		return err
	})
	for _, id := range cancelled {
		e.interrupt(id)
	}
	_, e2 := e.heedClock(ctx)
	err = errors.Join(err, e2, e.recover(ctx, false), e.retryCleanups(ctx))
	if err != nil && ctx.Err() == nil {
		e.o.Log.Warn("task housekeeping failed; again in ten seconds", "error", err)
	}
}

// recover finds unfinished sagas that nobody works on.
func (e *Engine) recover(ctx context.Context, starting bool) error {
	rows, err := sagas.Find(ctx, e.o.DB)
	if err != nil {
		return err
	}
	for _, row := range rows {
		e.mu.Lock()
		known := e.known[row.ID] != nil
		e.mu.Unlock()
		now := e.o.Clock.Now()
		switch recovery(row, e.o.Owner, starting, known, e.abandoned(row, now)) {
		case rescuePush:
			e.trouble(row.Op, Recovered)
			e.push(row.ID, row.ProjectID, row.Preempt)
		case rescueClaim:
			err = e.o.DB.Write(ctx, func(tx *db.Tx) error {
				_, err := claim(ctx, tx, row, e.o.Owner, now)
				return err
			})
			if err == nil {
				e.trouble(row.Op, Recovered)
				e.push(row.ID, row.ProjectID, row.Preempt)
			}
		case rescueStart:
			err = e.o.DB.Write(ctx, func(tx *db.Tx) error {
				next, err := promote(ctx, tx, row.Object, e.o.Owner, now)
				if next != nil {
					tx.AfterCommit(func() { e.push(next.ID, next.ProjectID, next.Preempt) })
				}
				return err
			})
		}
		if err != nil && !errors.Is(err, errLost) {
			return err
		}
	}
	return nil
}

// abandoned tells whether a saga's owner works on it no more: it gave its lease
// back, or it is dead. Without peers, when its lease is over.
func (e *Engine) abandoned(row *sagaRow, now time.Time) bool {
	switch {
	case e.o.Peers == nil:
		return row.LeaseUntil < clock.Micros(now)
	case row.LeaseUntil == 0:
		return true
	}
	return row.Owner != e.o.Owner && e.o.Peers.Dead(row.Owner)
}

// term is this server's present term.
func (e *Engine) term() int64 {
	if e.o.Peers == nil {
		return 0
	}
	return e.o.Peers.Term()
}

// Await waits until a saga has ended, here or on another server. What came of
// it the caller reads from the object. For requests whose answer says what an
// effect made; most answer before.
func (e *Engine) Await(ctx context.Context, id string) error {
	e.nudge() // it may wait for the answer of the request that waits for it
	for {
		e.mu.Lock()
		changed := e.changed
		e.mu.Unlock()
		_, err := sagas.Get(ctx, e.o.DB, id)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-e.o.Clock.After(time.Second): // another server may run it
		case <-ctx.Done():
			return fault.Unavailablef("The operation is still going on.").Because(ctx.Err())
		}
	}
}

// Idle waits until no saga is left, delayed ones included. For tests: with a
// fake clock somebody must move it.
func (e *Engine) Idle(ctx context.Context) error {
	for {
		e.mu.Lock()
		left, changed, stopped := len(e.known), e.changed, e.stopped
		e.mu.Unlock()
		if stopped {
			return errDied
		}
		if left == 0 {
			n, err := sagas.Count(ctx, e.o.DB)
			if err != nil || n == 0 {
				return err
			}
			if err := e.recover(ctx, false); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-e.o.Clock.After(recoverEvery): // another server may have had it
		case <-ctx.Done():
			return errors.Join(ctx.Err(), errors.New("tasks left: "+e.names()))
		}
	}
}

func (e *Engine) names() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := slices.Sorted(maps.Keys(e.known))
	out := ""
	for _, id := range ids {
		out += id + " "
	}
	return out
}

func (e *Engine) jitter() byte { return id.Bytes(1)[0] }
