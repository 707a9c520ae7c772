package task

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
)

// Cleanup is what an undo could not finish.
type Cleanup struct {
	ID, Owner, Saga, Op, Step, Object, ProjectID, Error string

	Attempts  int
	CreatedAt time.Time
	NotBefore time.Time // next attempt
}

// Info is a saga that has not ended.
type Info struct {
	ID, Op, Object, ProjectID, RequestID string

	Waiting   bool   // for another saga of its object to end
	Unwinding bool   // going backward, or about to
	Step      string // at work or next
	Attempts  int
	Error     string // the last failure
	CreatedAt time.Time
	UpdatedAt time.Time
	Deadline  time.Time
}

// Live lists the sagas of an object that have not ended, oldest first.
func (e *Engine) Live(ctx context.Context, q db.Querier, object string) ([]Info, error) {
	return infos(sagas.Find(ctx, q, eq("object", object)))
}

// List lists all sagas that have not ended, oldest first.
func (e *Engine) List(ctx context.Context, q db.Querier) ([]Info, error) {
	return infos(sagas.Find(ctx, q))
}

func infos(rows []*sagaRow, err error) ([]Info, error) {
	out := make([]Info, 0, len(rows))
	for _, r := range rows {
		i := Info{ID: r.ID, Op: r.Op, Object: r.Object, ProjectID: r.ProjectID, RequestID: r.RequestID, Waiting: r.State == stateWaiting,
			Unwinding: r.Direction == backward || r.Cancel, Step: r.Step, Attempts: int(r.Attempts),
			CreatedAt: clock.FromMicros(r.CreatedAt), UpdatedAt: clock.FromMicros(r.UpdatedAt), Deadline: clock.FromMicros(r.Deadline)}
		if r.Error.V != nil {
			i.Error = r.Error.V.Log
		}
		out = append(out, i)
	}
	return out, err
}

// Cleanups lists what undos could not finish, oldest first.
func (e *Engine) Cleanups(ctx context.Context, q db.Querier) ([]Cleanup, error) {
	rows, err := cleanups.Find(ctx, q)
	out := make([]Cleanup, 0, len(rows))
	for _, r := range rows {
		out = append(out, Cleanup{ID: r.ID, Owner: r.Owner, Saga: r.Saga, Op: r.Op, Step: r.Step, Object: r.Object, ProjectID: r.ProjectID,
			Error: r.Error, Attempts: int(r.Attempts), CreatedAt: clock.FromMicros(r.CreatedAt), NotBefore: clock.FromMicros(r.NotBefore)})
	}
	return out, err
}

// Poke has an owner's clean-ups tried at the next housekeeping, within ten
// seconds: its host is back.
func (e *Engine) Poke(ctx context.Context, owner string) error {
	return e.o.DB.Write(ctx, func(tx *db.Tx) error { return hurry(ctx, tx, owner) })
}

func (x *execution) cleanup(why error) *cleanupRow {
	owner := x.row.Op
	var gone hostGone
	if errors.As(why, &gone) {
		owner = gone.owner
	}
	now := x.e.o.Clock.Now()
	return &cleanupRow{ID: id.New(), Owner: owner, Saga: x.row.ID, Op: x.row.Op, Step: x.row.Step, Object: x.row.Object,
		ProjectID: x.row.ProjectID, Params: x.row.Params, Saved: x.row.Saved, Error: why.Error(),
		NotBefore: clock.Micros(now.Add(time.Minute)), CreatedAt: clock.Micros(now)}
}

// retryCleanups starts the clean-ups that are due, each in a worker of its own.
func (e *Engine) retryCleanups(ctx context.Context) error {
	now := e.o.Clock.Now()
	rows, err := cleanups.List(ctx, e.o.DB, listing.Query{Limit: 32}.And("not_before", listing.LessEq, clock.Micros(now)))
	if err != nil {
		return err
	}
	for _, row := range rows {
		g := e.graphs[row.Op]
		if g == nil || g.index(row.Step) < 0 {
			continue // another release knows it
		}
		mine, err := e.take(ctx, row, now)
		if err != nil {
			return err
		}
		if mine {
			e.workers.Add(1)
			go e.clean(ctx, g, row)
		}
	}
	return nil
}

// take postpones a clean-up, so that no other server tries it meanwhile.
func (e *Engine) take(ctx context.Context, row *cleanupRow, now time.Time) (mine bool, err error) {
	wait := min(time.Hour, time.Minute<<min(row.Attempts, 10))
	err = e.o.DB.Write(ctx, func(tx *db.Tx) (err error) {
		mine, err = takeCleanup(ctx, tx, row, clock.Micros(now.Add(wait)))
		return err
	})
	return mine, err
}

func (e *Engine) clean(ctx context.Context, g *graph, row *cleanupRow) {
	defer e.workers.Done()
	if err := e.cleanOnce(ctx, g, row); err != nil && ctx.Err() == nil {
		e.o.Log.Warn("clean-up failed; tried again later", "op", row.Op, "step", row.Step, "object", row.Object, "owner", row.Owner, "error", err)
	}
}

func (e *Engine) cleanOnce(ctx context.Context, g *graph, row *cleanupRow) error {
	r, err := g.open(&sagaRow{ID: row.Saga, Op: row.Op, Object: row.Object, ProjectID: row.ProjectID, Params: row.Params, Saved: row.Saved})
	if err != nil {
		return err
	}
	step := g.index(row.Step)
	r.begin(step, row.Attempts, fmt.Errorf("clean-up: %s", row.Error))
	inner, cancel := context.WithTimeout(ctx, g.steps[step].timeout)
	defer cancel()
	if err := r.undo(inner); err != nil {
		return err
	}
	return e.o.DB.Write(ctx, func(tx *db.Tx) error {
		if err := r.undoCommit(ctx, tx); err != nil {
			return err
		}
		return cleanups.Delete(ctx, tx, row.ID)
	})
}
