package task

import (
	"errors"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
)

// verb is what to do next with a saga.
type verb string

const (
	verbHold     verb = "hold"     // this program does not know the operation or the step; another release may
	verbWait     verb = "wait"     // until not_before
	verbForward  verb = "forward"  // do the step
	verbUnwind   verb = "unwind"   // turn round
	verbBackward verb = "backward" // undo the step
)

// plan decides what comes next for a saga that this engine owns: a pure
// function of its row, its graph (nil: unknown) and the time.
func plan(row *sagaRow, g *graph, now time.Time) (v verb, step int, why error) {
	if g == nil {
		return verbHold, 0, nil
	}
	step = g.index(row.Step)
	switch {
	case step < 0:
		return verbHold, 0, nil
	case row.Direction == backward && row.NotBefore > clock.Micros(now):
		return verbWait, step, nil
	case row.Direction == backward:
		return verbBackward, step, nil
	case row.Cancel:
		return verbUnwind, step, errCancelled
	case row.Deadline <= clock.Micros(now):
		return verbUnwind, step, expired(row)
	case row.NotBefore > clock.Micros(now):
		return verbWait, step, nil
	}
	return verbForward, step, nil
}

// rescue is what recovery does with a saga it found.
type rescue string

const (
	rescueLeave rescue = "leave" // somebody is at it
	rescuePush  rescue = "push"  // ours, but forgotten: a wake-up was lost
	rescueClaim rescue = "claim" // its owner is dead, or was this server before it restarted
	rescueStart rescue = "start" // waits for a saga that is gone
)

// recovery decides about one unfinished saga: a pure function. abandoned tells
// that its owner works on it no more.
func recovery(row *sagaRow, self string, starting, known, abandoned bool) rescue {
	switch {
	case row.State == stateWaiting:
		return rescueStart
	case abandoned && (row.Owner != self || !known) || (starting && row.Owner == self):
		return rescueClaim
	case row.Owner == self && !known:
		return rescuePush
	}
	return rescueLeave
}

// expired is the reason of a saga that ran out of time: the last failure, if there was one.
func expired(row *sagaRow) error {
	if c := row.Error.V; c != nil && c.Text != "" {
		return fault.New(fault.Unavailable, "The operation was given up: %s", c.Text).Because(c.err())
	}
	return fault.Unavailablef("The operation did not finish in time.")
}

// errCancelled is why a saga unwinds that a delete pre-empted.
var errCancelled = errors.New("the operation was cancelled: its object is being deleted")

// Cancelled tells whether a saga unwinds because another pre-empted it.
func Cancelled(err error) bool { return errors.Is(err, errCancelled) }

// hostGone is a failed undo that no retry can help until the host is back.
type hostGone struct {
	owner string
	err   error
}

func (h hostGone) Error() string { return h.err.Error() }
func (h hostGone) Unwrap() error { return h.err }

// HostGone is what an Undo returns when it needs a host that does not answer:
// what is left becomes a clean-up row of that owner at once, and the unwinding
// goes on. Engine.Poke(owner) tries again when the host is back.
func HostGone(owner string, err error) error { return hostGone{owner, err} }

// Back-off between attempts: 0.2 s doubling to 10 s, times a jitter of ±25 %.
type backoff struct{ base, limit time.Duration }

func (b backoff) delay(attempt int64, random byte) time.Duration {
	d := b.limit
	if attempt < 16 {
		d = min(b.limit, b.base<<attempt)
	}
	return d*3/4 + d/2*time.Duration(random)/255
}
