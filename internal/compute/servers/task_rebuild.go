package servers

import (
	"context"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/task"
)

type rebuildParams struct {
	ImageID       string `json:"image"`
	Format        string `json:"format,omitempty"` // of the image, when the root disk is made of it
	Volume        string `json:"volume,omitempty"` // the root, when it gets the image
	KeepEphemeral bool   `json:"keep_ephemeral,omitempty"`
	Stopped       bool   `json:"stopped,omitempty"` // it was off, and shall be
}

type rebuildState struct {
	Off   place `json:"off"`
	Spawn place `json:"spawn"`
	Stop  place `json:"stop"`
}

type rebuildRun = task.Run[rebuildParams, rebuildState]

// rebuildSaga makes a server's own disks anew. What was on them is gone as soon
// as the host begins, so there is no way back: a failure ends in ERROR, from
// where a rebuild may begin again.
func (s *Servers) rebuildSaga() task.Saga[rebuildParams, rebuildState] {
	return task.Saga[rebuildParams, rebuildState]{Name: "compute.server.rebuild", Steps: []task.Step[rebuildParams, rebuildState]{
		{Name: "begin", UndoCommit: s.rebuildFailed},
		{Name: "off", Commit: s.offForRebuild},
		{Name: "reimage", Do: s.reimage, Timeout: copyLimit},
		{Name: "define", Commit: s.defineAnew},
		{Name: "spawn", Do: func(ctx context.Context, r *rebuildRun) error { return s.settled(ctx, r.State.Spawn, r.Object) }, Timeout: 10 * time.Minute},
		{Name: "stop", Commit: s.stopAgain},
		{Name: "stopped", Do: func(ctx context.Context, r *rebuildRun) error { return s.settled(ctx, r.State.Stop, r.Object) }},
		{Name: "end", Commit: s.rebuilt},
	}, Deadline: time.Hour}
}

// settled is settle for a guest that must not end by itself. No place: nothing to wait for.
func (s *Servers) settled(ctx context.Context, p place, server string) error {
	facts, err := s.settle(ctx, p, server)
	if err == nil && facts.Power == guest.Crashed {
		err = fault.Invalidf("The guest ended as soon as it was started.")
	}
	return err
}

func (s *Servers) rebuildFailed(ctx context.Context, tx *db.Tx, r *rebuildRun) error {
	if err := endAction(ctx, tx, r.Object, r.RequestID, "", r.Err, stamp(s.Clock)); err != nil {
		return err
	}
	disks, err := disksOf(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		if task.Cancelled(r.Err) {
			return nil
		}
		if root := disks[r.Object]; len(root) > 0 {
			one.ImageID = root[0].ImageID // what its disk is made of
		}
		one.VM, one.Task = compute.VMError, compute.NoTask
		s.failed(one, r.Err, r.RequestID)
		return nil
	})
}

// power sets what a host should make of a guest, anew, and has it told.
func (s *Servers) power(ctx context.Context, tx *db.Tx, server string, want guest.Power, also func(one *Server)) (place, error) {
	one, err := lockServer(ctx, tx, server)
	if err != nil {
		return place{}, err
	}
	one.Desired, one.PowerSerial, one.UpdatedAt = want, one.PowerSerial+1, stamp(s.Clock)
	also(one)
	if err := put(ctx, tx, one); err != nil {
		return place{}, err
	}
	return s.raise(ctx, tx, one.Host, one.ID)
}

// stays tells whether a disk is left as it is.
func (p rebuildParams) stays(d *Disk) bool {
	return d.Kind == guest.DiskVolume || d.Kind == guest.DiskBlank && p.KeepEphemeral
}

// offForRebuild switches the guest off by its power button, if it has disks that
// stay: what it has not written yet may belong there. Otherwise it goes with its disks.
func (s *Servers) offForRebuild(ctx context.Context, tx *db.Tx, r *rebuildRun) error {
	disks, err := disksOf(ctx, tx, r.Object)
	if err != nil || !slices.ContainsFunc(disks[r.Object], r.Params.stays) {
		return err
	}
	r.State.Off, err = s.power(ctx, tx, r.Object, guest.Stopped, func(one *Server) {
		if r.Params.Volume != "" {
			one.Task = compute.RebuildVolumes
		}
	})
	return err
}

func (s *Servers) reimage(ctx context.Context, r *rebuildRun) error {
	if err := s.settled(ctx, r.State.Off, r.Object); err != nil || r.Params.Volume == "" {
		return err
	}
	return s.Volumes.Reimage(ctx, r.Params.Volume, r.Params.ImageID)
}

func (s *Servers) defineAnew(ctx context.Context, tx *db.Tx, r *rebuildRun) (err error) {
	disks, err := disksOf(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	for _, d := range disks[r.Object] {
		switch {
		case d.Kind == guest.DiskImage && d.Position == 0:
			d.ImageID, d.ImageFormat = r.Params.ImageID, r.Params.Format
		case d.Kind == guest.DiskBlank && r.Params.stays(d):
			continue
		}
		d.From, d.Layers = "", nil // it is not what moves and resizes made of it any more
		if err := putDisk(ctx, tx, d); err != nil {
			return err
		}
	}
	want := guest.Running
	if r.Params.Stopped {
		want = guest.Paused // makes the disks without letting the guest begin
	}
	r.State.Spawn, err = s.power(ctx, tx, r.Object, want, func(one *Server) {
		one.BuildSerial++
		one.KeepBlank, one.Task = r.Params.KeepEphemeral, compute.RebuildSpawning
	})
	return err
}

func (s *Servers) stopAgain(ctx context.Context, tx *db.Tx, r *rebuildRun) (err error) {
	if r.Params.Stopped {
		r.State.Stop, err = s.power(ctx, tx, r.Object, guest.Stopped, func(*Server) {})
	}
	return err
}

func (s *Servers) rebuilt(ctx context.Context, tx *db.Tx, r *rebuildRun) error {
	now := stamp(s.Clock)
	if err := endAction(ctx, tx, r.Object, r.RequestID, r.State.Spawn.Host, nil, now); err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.VM, one.Power = compute.Active, compute.PowerRunning
		if r.Params.Stopped {
			one.VM, one.Power = compute.VMStopped, compute.PowerShutdown
		}
		one.Task, one.Fault, one.LaunchedAt = compute.NoTask, nil, now
		return nil
	})
}
