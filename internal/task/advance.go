package task

import (
	"context"
	"errors"

	"github.com/mekcloud/mek/internal/db"
)

// A write is what a saga costs. So what needs none of its own shares one: steps
// without an effect are recorded together with the step before them, and one
// whose effect nothing takes back begins without a record of its own. After a
// crash the saga goes on from where it was recorded: what is repeated are
// effects, which are idempotent, and what could be missed is no undo.

// silent tells whether going forward a step does nothing.
func (x *execution) silent(step int) bool {
	s := x.g.steps[step]
	return (!s.effect && !s.commits || x.r.skip(step)) && !x.e.o.Faults.waits(x.g.name, s.name)
}

// pass goes over steps that do nothing, but for the last. One whose effect is taken
// back is recorded: after a crash an unwinding must begin there.
func (x *execution) pass(step int) (int, error) {
	from := step
	for step+1 < len(x.g.steps) && x.silent(step) {
		step++
	}
	switch s := x.g.steps[step]; {
	case step == from:
		return step, nil
	case s.effect && s.undone:
		_, err := x.record(step-1, nil)
		return step, err
	}
	x.stand(step)
	return step, nil
}

// first is the step at which a saga is recorded when it is enqueued: steps before
// it do nothing, whatever its state.
func (g *graph) first(f *Faults) int {
	step := 0
	for step+1 < len(g.steps) && !g.steps[step].effect && !g.steps[step].commits && !f.waits(g.name, g.steps[step].name) {
		step++
	}
	return step
}

// stand is at a step without a record of it.
func (x *execution) stand(step int) {
	row := *x.row
	row.Step, row.Attempts, row.NotBefore, row.Error.V = x.g.steps[step].name, 0, 0, nil
	x.row = &row
}

// unrecorded tells whether the step after one can begin before that is recorded.
func (x *execution) unrecorded(step int) bool {
	if step+1 >= len(x.g.steps) || x.g.steps[step].commits || x.g.steps[step+1].undone || !x.g.steps[step+1].effect {
		return false
	}
	return !x.e.o.Faults.waits(x.g.name, x.g.steps[step].name) && !x.e.o.Faults.waits(x.g.name, x.g.steps[step+1].name)
}

// advance records a step's result, those of the steps after it that are only
// records, and the next step's intent.
func (x *execution) advance(step int) (over bool, err error) {
	if x.unrecorded(step) {
		x.stand(step + 1)
		return false, nil
	}
	until := x.together(step)
	at := step
	over, err = x.record(until, func(ctx context.Context, tx *db.Tx) error {
		for at = step; at <= until; at++ {
			if at > step {
				x.r.begin(at, 0, nil)
			}
			if at > step && x.r.skip(at) {
				continue
			}
			if err := x.r.commit(ctx, tx); err != nil {
				return err
			}
		}
		return x.r.flush(ctx, tx)
	})
	var own stepError
	if errors.As(err, &own) && until > step && at > step { // a later one's failure is its own: it comes about again when that runs by itself
		x.r.begin(step, x.row.Attempts, nil)
		return x.record(step, func(ctx context.Context, tx *db.Tx) error {
			if err := x.r.commit(ctx, tx); err != nil {
				return err
			}
			return x.r.flush(ctx, tx)
		})
	}
	return over, err
}

// together is the last of the steps that are recorded with one.
func (x *execution) together(step int) int {
	for step+1 < len(x.g.steps) && (!x.g.steps[step+1].effect || x.r.skip(step+1)) && !x.e.o.Faults.waits(x.g.name, x.g.steps[step+1].name) {
		step++
	}
	return step
}

// record writes that steps up to one are done, and what is next.
func (x *execution) record(step int, also func(context.Context, *db.Tx) error) (over bool, err error) {
	next := *x.row
	next.Attempts, next.NotBefore, next.Error.V = 0, 0, nil
	if step+1 < len(x.g.steps) {
		next.Step = x.g.steps[step+1].name
	} else {
		over = true
	}
	err = x.write(&next, over, also)
	if over && err == nil {
		x.end(nil)
	}
	return over, err
}
