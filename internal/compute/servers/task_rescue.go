package servers

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/task"
)

// rescueKind is where a rescue disk goes.
type rescueKind string

const (
	rescuePlain  rescueKind = "plain"  // first, in the root's place
	rescueStable rescueKind = "stable" // last, so that the others keep their names
)

type rescueParams struct {
	Disk  *Disk `json:"disk,omitempty"` // to rescue with
	Leave bool  `json:"leave,omitempty"`
}

type rescueState struct {
	Before guest.Power `json:"before,omitempty"`
	Disk   *Disk       `json:"disk,omitempty"` // that was taken away
	Off    place       `json:"off"`
	Set    place       `json:"set"`
}

type rescueRun = task.Run[rescueParams, rescueState]

// rescueSaga gives a server a disk to boot from instead of its own, or takes it
// away again. Either way the guest is switched off first and started after.
func (s *Servers) rescueSaga() task.Saga[rescueParams, rescueState] {
	return task.Saga[rescueParams, rescueState]{Name: "compute.server.rescue", Steps: []task.Step[rescueParams, rescueState]{
		{Name: "begin", UndoCommit: func(ctx context.Context, tx *db.Tx, r *rescueRun) error {
			return s.actionFailed(ctx, tx, r.Object, r.RequestID, r.Err)
		}},
		{Name: "off", Commit: s.offForRescue, UndoCommit: s.onAfterRescue},
		{Name: "disk", Do: func(ctx context.Context, r *rescueRun) error { return s.settled(ctx, r.State.Off, r.Object) }, Timeout: 2 * time.Minute,
			Commit: s.swapRescueDisk, UndoCommit: s.unswapRescueDisk},
		{Name: "settle", Do: func(ctx context.Context, r *rescueRun) error { return s.settled(ctx, r.State.Set, r.Object) }, Timeout: 10 * time.Minute},
		{Name: "end", Commit: s.rescued},
	}, Deadline: 30 * time.Minute}
}

func (s *Servers) offForRescue(ctx context.Context, tx *db.Tx, r *rescueRun) (err error) {
	r.State.Off, err = s.power(ctx, tx, r.Object, guest.Stopped, func(one *Server) {
		r.State.Before = desiredIn(one.VM)
	})
	return err
}

// desiredIn is what a host makes of a server in a state.
func desiredIn(vm compute.VMState) guest.Power {
	switch vm {
	case compute.VMStopped:
		return guest.Stopped
	case compute.VMPaused:
		return guest.Paused
	case compute.VMSuspended:
		return guest.Suspended
	}
	return guest.Running
}

func (s *Servers) onAfterRescue(ctx context.Context, tx *db.Tx, r *rescueRun) error {
	if r.State.Before == "" {
		return nil // never begun
	}
	_, err := s.power(ctx, tx, r.Object, r.State.Before, func(*Server) {})
	r.State.Before = ""
	return err
}

func (s *Servers) swapRescueDisk(ctx context.Context, tx *db.Tx, r *rescueRun) error {
	disks, err := disksOf(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	for _, d := range disks[r.Object] {
		if d.Rescue != "" { // also one that an earlier rescue could not take away
			if r.Params.Leave {
				r.State.Disk = d
			}
			if err := dropDisk(ctx, tx, d.ID); err != nil {
				return err
			}
		}
	}
	if !r.Params.Leave {
		d := *r.Params.Disk
		d.Defined, d.State = true, diskAttached
		if err := putDisk(ctx, tx, &d); err != nil {
			return err
		}
	}
	r.State.Set, err = s.power(ctx, tx, r.Object, guest.Running, func(*Server) {})
	return err
}

func (s *Servers) unswapRescueDisk(ctx context.Context, tx *db.Tx, r *rescueRun) error {
	if r.Params.Leave {
		if r.State.Disk == nil {
			return nil
		}
		return putDisk(ctx, tx, r.State.Disk)
	}
	return dropDisk(ctx, tx, r.Params.Disk.ID)
}

func (s *Servers) rescued(ctx context.Context, tx *db.Tx, r *rescueRun) error {
	if err := endAction(ctx, tx, r.Object, r.RequestID, r.State.Set.Host, nil, stamp(s.Clock)); err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.VM = compute.Rescued
		if r.Params.Leave {
			one.VM = compute.Active
		}
		one.Power, one.Task, one.Fault = compute.PowerRunning, compute.NoTask, nil
		return nil
	})
}
