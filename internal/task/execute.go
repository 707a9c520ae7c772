package task

import (
	"context"
	"errors"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/fence"
	"github.com/mekcloud/mek/internal/hostlink"
)

// What a worker reports instead of a delay.
const (
	ended time.Duration = 0
	lost  time.Duration = -1 // another server has it, or this one stops
)

// errStopping says that the engine ends; the saga stays as recorded.
var errStopping = errors.New("the engine is stopping")

// stepError is a failure of a step's own function, unlike one of the store.
type stepError struct{ err error }

func (s stepError) Error() string { return s.err.Error() }
func (s stepError) Unwrap() error { return s.err }

// execution is one worker's hold on one saga.
type execution struct {
	e     *Engine
	h     *handle
	outer context.Context // ends with the engine
	inner context.Context // ends also when the saga was cancelled
	row   *sagaRow        // as recorded
	clock int             // how often the clock had been set when it was read
	term  int64           // of this server, read before the row was last seen to be ours
	g     *graph
	r     runner
}

// run takes the saga as far as it gets and tells how long to wait, ended or lost.
func (x *execution) run() time.Duration {
	over, err := x.load()
	for err == nil && !over {
		if over, err = x.heed(); err != nil || over {
			break
		}
		v, step, why := plan(x.row, x.g, x.e.o.Clock.Now())
		switch v {
		case verbHold:
			x.e.o.Log.Warn("saga of an unknown operation is kept", "saga", x.row.ID, "op", x.row.Op, "step", x.row.Step)
			return recoverEvery
		case verbWait:
			return max(1, clock.FromMicros(x.row.NotBefore).Sub(x.e.o.Clock.Now()))
		case verbUnwind:
			err = x.turn(why)
		default:
			leave := x.e.o.Turn(x.outer, x.row.ProjectID)
			if v == verbForward {
				over, err = x.forward(step)
			} else {
				over, err = x.backward(step)
			}
			leave()
		}
	}
	switch {
	case over:
		return ended
	case errors.Is(err, errLost), errors.Is(err, errDied), errors.Is(err, errStopping):
		return lost
	}
	if x.row != nil {
		x.e.trouble(x.row.Op, Unrecorded)
	}
	x.e.o.Log.Warn("saga cannot be recorded; again soon", "saga", x.h.id, "error", err)
	return x.delay(5)
}

// heed reads the saga again when the clock was set since it was read.
func (x *execution) heed() (over bool, err error) {
	times, err := x.e.heedClock(x.outer)
	if err != nil || times == x.clock {
		return false, err
	}
	x.clock = times
	return x.load()
}

func (x *execution) load() (over bool, err error) {
	var row *sagaRow
	if known := x.e.takeStored(x.h); known != nil {
		row, x.term = known.row, known.term
	} else {
		x.term = x.e.term()
		row, err = sagas.Get(x.outer, x.e.o.DB, x.h.id)
	}
	switch {
	case fault.Is(err, fault.NotFound):
		return true, nil
	case x.outer.Err() != nil:
		return false, errStopping
	case err != nil:
		return false, err
	case row.Owner != x.e.o.Owner || row.State != stateLive:
		return false, errLost
	}
	x.row, x.g = row, x.e.graphs[row.Op]
	if x.g == nil {
		return false, nil
	}
	x.r, err = x.g.open(row)
	return false, err
}

func (x *execution) at(step int, kind Kind) bool {
	return x.e.o.Faults.at(x.g.name, x.g.steps[step].name, kind)
}

func (x *execution) delay(attempt int64) time.Duration {
	return backoff{x.e.o.Retry, 10 * time.Second}.delay(attempt, x.e.jitter())
}

func (x *execution) forward(step int) (over bool, err error) {
	if step, err = x.pass(step); err != nil {
		return false, err
	}
	x.r.begin(step, x.row.Attempts, nil)
	if x.at(step, K1) || x.at(step, K2) {
		return false, x.e.die()
	}
	late, err := x.effect(step)
	if err == nil && x.at(step, K3) {
		return false, x.e.die()
	}
	if err == nil {
		over, err = x.advance(step)
		var own stepError
		if err == nil && x.at(step, K4) {
			return false, x.e.die()
		}
		if !errors.As(err, &own) {
			return over, err
		}
	}
	return false, x.failed(late, err)
}

// effect calls Do under its timeout, with what faults are injected. It is late
// when its time was over before it ended.
func (x *execution) effect(step int) (late bool, err error) {
	ctx, cancel := context.WithTimeout(x.fenced(x.inner), x.g.steps[step].timeout)
	defer cancel()
	err = x.perform(ctx, step)
	return ctx.Err() != nil, err
}

func (x *execution) perform(ctx context.Context, step int) error {
	if x.at(step, K6Before) {
		return fault.Invalidf("injected: refused")
	}
	lose := x.at(step, K7)
	if x.at(step, K5) {
		lose = true
		if f := x.e.o.Faults.AgentDies; f != nil {
			f()
		}
	}
	err := x.r.do(ctx)
	switch {
	case err == nil && x.at(step, K8):
		return x.r.do(ctx)
	case err == nil && x.at(step, K6):
		return fault.Invalidf("injected: failed")
	case lose:
		return fault.Unavailablef("injected: no reply")
	}
	return err
}

// failed decides about a failure of a forward step.
func (x *execution) failed(late bool, err error) error {
	if x.outer.Err() != nil {
		return errStopping
	}
	if x.inner.Err() != nil { // somebody set the cancel flag
		row, e := sagas.Get(x.outer, x.e.o.DB, x.row.ID)
		if e != nil {
			return e
		}
		if row.Cancel {
			return x.turn(errCancelled)
		}
	}
	if !again(late, err) {
		return x.turn(err)
	}
	if server := elsewhere(err); server != "" && x.e.o.Peers != nil {
		return x.handOver(server)
	}
	now := x.e.o.Clock.Now()
	next := *x.row
	next.NotBefore = min(next.Deadline, clock.Micros(now.Add(x.delay(next.Attempts))))
	next.Attempts++
	next.Error.V = causeOf(err)
	x.e.trouble(x.row.Op, Retried)
	x.e.o.Log.Debug("step is tried again", "saga", x.row.ID, "op", x.row.Op, "step", x.row.Step, "attempt", next.Attempts, "error", err)
	return x.write(&next, false, nil)
}

// elsewhere names the server that can do what failed; empty: none is known.
func elsewhere(err error) string {
	server, _ := fault.As(err).Detail[hostlink.Elsewhere].(string)
	return server
}

// handOver gives the saga to another server, which reaches its host.
func (x *execution) handOver(server string) error {
	x.e.o.Log.Info("saga goes to another server", "saga", x.row.ID, "op", x.row.Op, "step", x.row.Step, "server", server)
	now := x.e.o.Clock.Now()
	row := *x.row
	row.NotBefore = min(row.Deadline, clock.Micros(now.Add(x.delay(row.Attempts)))) // it may see the host no better
	row.Attempts++
	err := x.e.o.DB.Write(context.WithoutCancel(x.outer), func(tx *db.Tx) error {
		if err := give(context.WithoutCancel(x.outer), tx, &row, server, now); err != nil {
			return err
		}
		tx.Notify(Given, server)
		return nil
	})
	if err != nil {
		return err
	}
	return errLost
}

// again tells whether a step is worth another attempt: the fault says so, or
// its outcome is unknown, since its own time was over, or since something that it
// called gave up and nobody has said what that means. A refusal stays one
// whatever timeout is among its causes.
func again(late bool, err error) bool {
	if fault.Is(err, fault.Unavailable) {
		return true
	}
	timeout := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	return timeout && (late || fault.Is(err, fault.Internal))
}

// turn begins the unwinding at the current step.
func (x *execution) turn(why error) error {
	next := *x.row
	next.Direction, next.Attempts, next.NotBefore, next.Error.V = backward, 0, 0, causeOf(why)
	x.e.trouble(x.row.Op, Unwound)
	x.e.o.Log.Info("saga unwinds", "saga", x.row.ID, "op", x.row.Op, "step", x.row.Step, "object", x.row.Object, "request", x.row.RequestID, "error", why)
	return x.write(&next, false, nil)
}

// undoAttempts is how often an undo is tried before it becomes a clean-up row.
const undoAttempts = 6

func (x *execution) backward(step int) (over bool, err error) {
	x.r.begin(step, x.row.Attempts, x.row.Error.V.err())
	if x.at(step, U1) {
		return false, x.e.die()
	}
	err = x.takeBack(step)
	if x.outer.Err() != nil && err != nil {
		return false, errStopping
	}
	if err == nil && x.at(step, U3) {
		return false, x.e.die()
	}
	if err == nil {
		over, err = x.retreat(step, x.r.undoCommit)
		var own stepError
		if !errors.As(err, &own) {
			return over, err
		}
	}
	if server := elsewhere(err); server != "" && x.e.o.Peers != nil && x.row.Attempts+1 < undoAttempts {
		return false, x.handOver(server)
	}
	var gone hostGone
	if errors.As(err, &gone) || x.row.Attempts+1 >= undoAttempts {
		row := x.cleanup(err)
		x.e.trouble(x.row.Op, LeftBehind)
		x.e.o.Log.Warn("undo became a clean-up", "saga", x.row.ID, "op", x.row.Op, "step", x.row.Step, "owner", row.Owner, "error", err)
		return x.retreat(step, func(ctx context.Context, tx *db.Tx) error { return cleanups.Insert(ctx, tx, row) })
	}
	next := *x.row
	next.NotBefore = clock.Micros(x.e.o.Clock.Now().Add(x.delay(next.Attempts)))
	next.Attempts++
	x.e.trouble(x.row.Op, UndoFailed)
	x.e.o.Log.Info("undo is tried again", "saga", x.row.ID, "op", x.row.Op, "step", x.row.Step, "attempt", next.Attempts, "error", err)
	return false, x.write(&next, false, nil)
}

func (x *execution) takeBack(step int) error {
	ctx, cancel := context.WithTimeout(x.fenced(x.outer), x.g.steps[step].timeout)
	defer cancel()
	err := x.r.undo(ctx)
	switch {
	case err == nil && x.at(step, U8):
		return x.r.undo(ctx)
	case err == nil && x.at(step, U6):
		return fault.Unavailablef("injected: undo failed")
	}
	return err
}

// retreat records an undo and names the one before it.
func (x *execution) retreat(step int, also func(context.Context, *db.Tx) error) (over bool, err error) {
	next := *x.row
	next.Attempts, next.NotBefore = 0, 0
	if step > 0 {
		next.Step = x.g.steps[step-1].name
	} else {
		over = true
	}
	err = x.write(&next, over, also)
	if over && err == nil {
		x.end(x.row.Error.V.err())
	}
	return over, err
}

// write records a saga, or its end, together with what also writes.
func (x *execution) write(next *sagaRow, last bool, also func(context.Context, *db.Tx) error) error {
	if x.e.died.Load() {
		return errDied
	}
	before, err := x.r.save()
	if err != nil {
		return stepError{fault.Internalf("state of %s: %w", x.row.Op, err)}
	}
	ctx, term := context.WithoutCancel(x.outer), x.e.term() // what has happened is recorded, whoever stops
	var row sagaRow
	again := false
	err = x.e.o.DB.Write(ctx, func(tx *db.Tx) (err error) {
		row = *next
		if again {
			if err := x.r.restore(before); err != nil {
				return err
			}
		}
		again = true
		if also != nil {
			if err := contain(func() error { return also(ctx, tx) }); err != nil {
				return stepError{err}
			}
		}
		if row.Saved, err = x.r.save(); err != nil {
			return stepError{err}
		}
		if last {
			err = x.finish(ctx, tx, &row)
		} else {
			err = record(ctx, tx, &row, x.e.o.Clock.Now())
		}
		if err == nil && row.Cancel && row.Direction == forward && also != nil {
			return stepError{errCancelled} // who cancelled has said what becomes of the object
		}
		return err
	})
	if err != nil {
		return errors.Join(err, x.r.restore(before))
	}
	x.row, x.term = &row, term
	return nil
}

// fenced is a context for effects: they do not leave this process once the saga
// may be another server's.
func (x *execution) fenced(ctx context.Context) context.Context {
	if x.e.o.Peers == nil {
		return ctx
	}
	term := x.term
	return fence.With(ctx, func() error {
		if x.e.o.Peers.Holds(term) {
			return nil
		}
		return fault.Unavailablef("this server has lost touch with the others")
	})
}

func (x *execution) finish(ctx context.Context, tx *db.Tx, row *sagaRow) error {
	if row.Direction == backward {
		if err := tell(ctx, tx, row); err != nil {
			return err
		}
	}
	next, err := finish(ctx, tx, row, x.e.o.Clock.Now())
	if next != nil {
		tx.AfterCommit(func() { x.e.push(next.ID, next.ProjectID, next.Preempt) })
	}
	return err
}

func (x *execution) end(why error) {
	took := x.e.o.Clock.Now().Sub(clock.FromMicros(x.row.CreatedAt))
	x.e.o.Log.Debug("saga ended", "saga", x.row.ID, "op", x.row.Op, "object", x.row.Object, "took", took, "unwound", why)
	if x.e.o.Ended != nil {
		x.e.o.Ended(End{ID: x.row.ID, Op: x.row.Op, Object: x.row.Object, Err: why, Took: took})
	}
}
