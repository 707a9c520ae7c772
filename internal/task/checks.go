package task

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
)

// Tried so often, an undo that still fails is stuck: a quarter of an hour.
const stuckAttempts = 5

// unwindingFor is how long a saga may go backward: each undo that fails becomes
// a clean-up after a few attempts.
const unwindingFor = time.Hour

var (
	overdue   = check.Code{ID: "I-12/saga-overdue", Means: "an operation goes on past its deadline", Remedy: "look at mek admin tasks and the log of mek server"}
	abandoned = check.Code{ID: "I-12/saga-abandoned", Means: "nobody works on an operation, and nobody took it over", Remedy: "look at the log of mek server: its housekeeping fails"}
	unknown   = check.Code{ID: "I-14/saga-unknown", Means: "an operation of another release that this one cannot finish", Remedy: "run the release that began it"}
	stuck     = check.Code{ID: "I-14/stuck-undo", Means: "what an operation left behind cannot be removed", Remedy: "look at mek admin tasks; it is tried again by itself"}
)

// Sagas lists what has not ended, for checks.
func (e *Engine) Sagas(ctx context.Context, q db.Querier) ([]check.Saga, error) {
	rows, err := sagas.Find(ctx, q)
	out := make([]check.Saga, len(rows))
	for i, r := range rows {
		out[i] = check.Saga{ID: r.ID, Op: r.Op, Object: r.Object, Waiting: r.State == stateWaiting}
	}
	return out, err
}

// Checks are about sagas and what they leave.
func (e *Engine) Checks() []check.Check {
	return []check.Check{
		// Not Rows: the one who works on a saga may be about to write it.
		{Name: "tasks/sagas", Codes: []check.Code{overdue, abandoned, unknown}, Run: e.checkSagas},
		{Name: "tasks/cleanups", Codes: []check.Code{stuck}, Rows: true, Run: checkCleanups},
	}
}

func (e *Engine) checkSagas(ctx context.Context, l *check.Look) error {
	rows, err := sagas.Find(ctx, l)
	now := l.Micros()
	for _, r := range rows {
		s := check.Of("saga", r.ID) // never the object: the saga that is wrong explains nothing
		if g := e.graphs[r.Op]; g == nil || g.index(r.Step) < 0 {
			l.Report(unknown, s, "%s of %s is at step %q, which this release does not know", r.Op, r.Object, r.Step)
		}
		if r.State == stateWaiting {
			continue
		}
		switch late := l.Now.Sub(clock.FromMicros(r.Deadline)).Round(time.Second); {
		case r.Direction == forward && late > 0:
			l.Report(overdue, s, "%s of %s is at step %q, %s after its deadline", r.Op, r.Object, r.Step, late)
		case r.Direction == backward && late > unwindingFor:
			l.Report(overdue, s, "%s of %s still unwinds at step %q, %s after its deadline", r.Op, r.Object, r.Step, late)
		}
		if gone := l.Now.Sub(clock.FromMicros(r.LeaseUntil)).Round(time.Second); r.LeaseUntil < now {
			l.Report(abandoned, s, "%s of %s is at step %q; the lease of %s ended %s ago", r.Op, r.Object, r.Step, r.Owner, gone)
		}
	}
	return err
}

// checkCleanups passes over what waits for a host that is not there.
func checkCleanups(ctx context.Context, l *check.Look) error {
	rows, err := cleanups.Find(ctx, l)
	for _, r := range rows {
		_, alive := l.Host(r.Owner)
		tried := l.Mode == check.Quiesced || r.Attempts >= stuckAttempts
		if (alive || r.Owner == r.Op) && tried {
			l.Report(stuck, check.Of("clean-up", r.ID), "step %q of %s of %s, owned by %s, failed %d times: %s", r.Step, r.Op, r.Object, r.Owner, r.Attempts, r.Error)
		}
	}
	return err
}
