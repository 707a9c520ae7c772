package servers

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/task"
)

type evacuateParams struct {
	Migration string `json:"migration"`
	Stopped   bool   `json:"stopped,omitempty"` // leave it switched off
}

type evacuateRun = task.Run[evacuateParams, moveState]

// asMove shows an evacuation to the steps that it shares with other moves.
func asMove(r *evacuateRun) *moveRun {
	return &moveRun{ID: r.ID, Object: r.Object, ProjectID: r.ProjectID, UserID: r.UserID, RequestID: r.RequestID, Params: moveParams{r.Params.Migration},
		State: r.State, Err: r.Err, Attempt: r.Attempt}
}

func shared(fn func(context.Context, *db.Tx, *moveRun) error) func(context.Context, *db.Tx, *evacuateRun) error {
	return func(ctx context.Context, tx *db.Tx, r *evacuateRun) error {
		m := asMove(r)
		err := fn(ctx, tx, m)
		r.State = m.State
		return err
	}
}

func sharedDo(fn func(context.Context, *moveRun) error) func(context.Context, *evacuateRun) error {
	return func(ctx context.Context, r *evacuateRun) error {
		m := asMove(r)
		err := fn(ctx, m)
		r.State = m.State
		return err
	}
}

// evacuateSaga makes a server anew on another host. Its own host is down, so
// nothing is asked of it; when it comes back its first document lacks the guest.
func (s *Servers) evacuateSaga() task.Saga[evacuateParams, moveState] {
	return task.Saga[evacuateParams, moveState]{Name: "compute.server.evacuate", Deadline: time.Hour, Steps: []task.Step[evacuateParams, moveState]{
		{Name: "begin", UndoCommit: shared(s.moveFailed)},
		{Name: "claim-host", Do: sharedDo(s.rankMove), Commit: shared(s.claimMove), UndoCommit: shared(s.unclaimMove)},
		{Name: "switch", Commit: shared(s.leaveDead), UndoCommit: shared(s.switchBack)},
		{Name: "devices", Do: sharedDo(s.carryThere),
			Undo: sharedDo(func(ctx context.Context, r *moveRun) error {
				if r.State.Before == nil {
					return nil
				}
				return s.carryBack(ctx, r.Object, r.State.Before.Host)
			}), Timeout: 10 * time.Minute},
		{Name: "vacated", Undo: sharedDo(s.awaitVacated)},
		{Name: "define", Commit: s.defineEvacuated, UndoCommit: shared(s.undefineMoved)},
		{Name: "spawn", Do: sharedDo(s.awaitMoved)},
		{Name: "finish", Commit: s.evacuated},
	}}
}

func (s *Servers) leaveDead(ctx context.Context, tx *db.Tx, r *moveRun) error {
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	if err := s.take(ctx, tx, one, *s.sameElsewhere(r)); err != nil {
		return err
	}
	one.Task, one.Defined, one.UpdatedAt, r.State.Changed = compute.RebuildSpawning, false, stamp(s.Clock), true
	if err := put(ctx, tx, one); err != nil {
		return err
	}
	_, err = s.raise(ctx, tx, r.State.Before.Host, r.Object)
	return err
}

func (s *Servers) defineEvacuated(ctx context.Context, tx *db.Tx, r *evacuateRun) error {
	err := s.touch(ctx, tx, r.Object, func(one *Server) error {
		desired := guest.Running
		if r.Params.Stopped || r.State.Before.VM == compute.VMStopped {
			desired = guest.Stopped
		}
		one.Defined, one.Task = true, compute.RebuildSpawning
		setPower(one, desired)
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Spawn, err = s.raise(ctx, tx, r.State.Host, r.Object)
	return err
}

func (s *Servers) evacuated(ctx context.Context, tx *db.Tx, r *evacuateRun) error {
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	if _, err := s.settleMove(ctx, tx, m, compute.MigrationDone); err != nil {
		return err
	}
	if err := endAction(ctx, tx, r.Object, r.RequestID, r.State.Host, nil, m.UpdatedAt); err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.VM, one.Task, one.Fault, one.Power, one.LaunchedAt = compute.Active, compute.NoTask, nil, powerOf(one.Desired), m.UpdatedAt
		if one.Desired == guest.Stopped {
			one.VM = compute.VMStopped
		}
		return nil
	})
}
