package servers

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/task"
)

type confirmState struct {
	Gone place `json:"gone"`
}

type confirmRun = task.Run[moveParams, confirmState]

// confirmSaga gives up the way back of a move. What cannot be finished can be
// confirmed again.
func (s *Servers) confirmSaga() task.Saga[moveParams, confirmState] {
	return task.Saga[moveParams, confirmState]{Name: "compute.server.confirm", Steps: []task.Step[moveParams, confirmState]{
		{Name: "begin", UndoCommit: func(ctx context.Context, tx *db.Tx, r *confirmRun) error {
			return s.actionFailed(ctx, tx, r.Object, r.RequestID, r.Err)
		}},
		{Name: "drop", Commit: s.dropKept},
		{Name: "vacated", Do: func(ctx context.Context, r *confirmRun) error { return s.removed(ctx, r.Object, r.State.Gone) }},
		{Name: "end", Commit: s.confirmed},
	}}
}

func (s *Servers) dropKept(ctx context.Context, tx *db.Tx, r *confirmRun) error {
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	host := m.KeptHost
	m.Kept, m.KeptHost, m.UpdatedAt = nil, "", stamp(s.Clock)
	if err := putMigration(ctx, tx, m); err != nil {
		return err
	}
	r.State.Gone, err = s.raise(ctx, tx, host, r.Object)
	return err
}

func (s *Servers) confirmed(ctx context.Context, tx *db.Tx, r *confirmRun) error {
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	if _, err := s.settleMove(ctx, tx, m, compute.MigrationConfirmed); err != nil {
		return err
	}
	if err := endAction(ctx, tx, r.Object, r.RequestID, m.SourceHost, nil, m.UpdatedAt); err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.Task, one.Fault, one.VM = compute.NoTask, nil, compute.Active
		if one.Power != compute.PowerRunning && one.Power != compute.PowerPaused {
			one.VM = compute.VMStopped
		}
		return nil
	})
}

type revertState struct {
	Before  *shape      `json:"before,omitempty"` // what it goes back to
	Desired guest.Power `json:"desired,omitempty"`
	From    string      `json:"from,omitempty"` // the host that it leaves
	Stopped bool        `json:"stopped,omitempty"`
	Changed bool        `json:"switched,omitempty"`
	Stop    place       `json:"stop"`
	Back    place       `json:"back"`
	Gone    place       `json:"gone"`
	Start   place       `json:"start"`
}

type revertRun = task.Run[moveParams, revertState]

// revertSaga takes a server back to what it was before a move. Until its row
// has changed it can be given up; after that the new disks are gone, so that a
// failure leaves the old server in ERROR, whole, for its user to start.
func (s *Servers) revertSaga() task.Saga[moveParams, revertState] {
	return task.Saga[moveParams, revertState]{Name: "compute.server.revert", Deadline: time.Hour, Steps: []task.Step[moveParams, revertState]{
		{Name: "begin", UndoCommit: s.revertFailed},
		{Name: "restored", Undo: func(ctx context.Context, r *revertRun) error { return s.restored(ctx, r.State.Back, r.Object) }},
		{Name: "stop", Commit: s.stopForRevert, UndoCommit: s.startAfterRevert},
		{Name: "stopped", Do: func(ctx context.Context, r *revertRun) error {
			_, err := s.settle(ctx, r.State.Stop, r.Object)
			return err
		}, Timeout: 2 * time.Minute},
		{Name: "switch", Commit: s.revertShape},
		{Name: "vacated", Do: func(ctx context.Context, r *revertRun) error {
			if r.State.From == r.State.Before.Host {
				return nil
			}
			return s.vacate(ctx, r.State.Gone, r.Object)
		}},
		{Name: "devices", Do: func(ctx context.Context, r *revertRun) error {
			if r.State.From == r.State.Before.Host {
				return nil
			}
			return s.carryTo(ctx, r.Object, r.State.Before.Host)
		}, Timeout: 30 * time.Minute},
		{Name: "start", Commit: s.startReverted},
		{Name: "settle", Do: func(ctx context.Context, r *revertRun) error {
			_, err := s.settle(ctx, r.State.Start, r.Object)
			return err
		}},
		{Name: "end", Commit: s.reverted},
	}}
}

func (s *Servers) revertFailed(ctx context.Context, tx *db.Tx, r *revertRun) error {
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	m.Status, m.UpdatedAt = compute.MigrationFinished, stamp(s.Clock)
	if r.State.Changed {
		m.Status, m.Unsettled = compute.MigrationFailed, false
	}
	if err := putMigration(ctx, tx, m); err != nil {
		return err
	}
	if err := s.actionFailed(ctx, tx, r.Object, r.RequestID, r.Err); err != nil || !r.State.Changed {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.VM, one.Defined = compute.VMError, true
		return nil
	})
}

func (s *Servers) stopForRevert(ctx context.Context, tx *db.Tx, r *revertRun) error {
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	if m.Before == nil {
		return fault.Invalidf("Instance has not been resized.")
	}
	r.State.Before, r.State.Stopped = m.Before, true
	err = s.touch(ctx, tx, r.Object, func(one *Server) error {
		r.State.From, r.State.Desired = one.Host, one.Desired
		if one.Desired != guest.Stopped {
			one.Desired = guest.Stopped
			one.PowerSerial++
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Stop, err = s.raise(ctx, tx, r.State.From, r.Object)
	return err
}

func (s *Servers) startAfterRevert(ctx context.Context, tx *db.Tx, r *revertRun) error {
	if !r.State.Stopped || r.State.Changed {
		return nil
	}
	r.State.Stopped = false
	err := s.touch(ctx, tx, r.Object, func(one *Server) error {
		setPower(one, r.State.Desired)
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Back, err = s.raise(ctx, tx, r.State.From, r.Object)
	return err
}

func (s *Servers) revertShape(ctx context.Context, tx *db.Tx, r *revertRun) error {
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	held, err := s.Placement.AllocationsOf(ctx, tx, m.ID)
	if err != nil {
		return err
	}
	if err := s.giveBack(ctx, tx, one, m.ID, held); err != nil {
		return err
	}
	m.Kept, m.KeptHost, m.Before, m.UpdatedAt = nil, "", nil, stamp(s.Clock)
	if err := putMigration(ctx, tx, m); err != nil {
		return err
	}
	if err := s.take(ctx, tx, one, *r.State.Before); err != nil {
		return err
	}
	one.Defined, one.UpdatedAt, r.State.Changed = true, m.UpdatedAt, true
	if err := put(ctx, tx, one); err != nil {
		return err
	}
	if r.State.From == one.Host {
		return nil
	}
	r.State.Gone, err = s.raise(ctx, tx, r.State.From, r.Object)
	return err
}

func (s *Servers) startReverted(ctx context.Context, tx *db.Tx, r *revertRun) error {
	err := s.touch(ctx, tx, r.Object, func(one *Server) error {
		setPower(one, r.State.Before.Desired)
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Start, err = s.raise(ctx, tx, r.State.Before.Host, r.Object)
	return err
}

func (s *Servers) reverted(ctx context.Context, tx *db.Tx, r *revertRun) error {
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	if _, err := s.settleMove(ctx, tx, m, compute.MigrationReverted); err != nil {
		return err
	}
	if err := endAction(ctx, tx, r.Object, r.RequestID, r.State.Before.Host, nil, m.UpdatedAt); err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.VM, one.Task, one.Fault, one.Power = r.State.Before.VM, compute.NoTask, nil, powerOf(r.State.Before.Desired)
		return nil
	})
}
