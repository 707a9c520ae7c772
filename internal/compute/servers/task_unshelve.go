package servers

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/task"
)

// unshelveSaga finds a shelved server a host and starts it there, its root disk
// made of the image that kept it. The image goes last: when it does, the server
// is active, and nothing is taken back any more.
func (s *Servers) unshelveSaga() task.Saga[createParams, createState] {
	return task.Saga[createParams, createState]{Name: "compute.server.unshelve", Steps: []task.Step[createParams, createState]{
		{Name: "begin", UndoCommit: s.unshelveFailed},
		{Name: "claim-host", Do: s.rankHosts, Commit: s.claimAnew, UndoCommit: unlessActive(s.releaseHost)},
		{Name: "volumes", Do: s.connectVolumes, Undo: s.takeOffAgain},
		{Name: "ports", Do: s.bindPorts},
		{Name: "plug", Do: s.awaitPorts},
		{Name: "vacated", Undo: s.awaitGone},
		{Name: "define", Commit: s.defineUnshelved, UndoCommit: unlessActive(s.undefine)},
		{Name: "spawn", Do: s.awaitGuest, Timeout: 10 * time.Minute},
		{Name: "active", Commit: s.unshelved},
		{Name: "image", Do: s.dropShelvedImage, Commit: s.unshelveEnded},
	}, Deadline: time.Hour, Flush: s.flushCreate}
}

// unlessActive is an undo that comes too late once the server is active.
func unlessActive(undo func(context.Context, *db.Tx, *createRun) error) func(context.Context, *db.Tx, *createRun) error {
	return func(ctx context.Context, tx *db.Tx, r *createRun) error {
		if r.State.Active {
			return nil
		}
		return undo(ctx, tx, r)
	}
}

func (s *Servers) unshelveFailed(ctx context.Context, tx *db.Tx, r *createRun) error {
	return s.actionFailed(ctx, tx, r.Object, r.RequestID, r.Err)
}

// claimAnew is claimHost for a server that may still hold a place from before
// it was shelved.
func (s *Servers) claimAnew(ctx context.Context, tx *db.Tx, r *createRun) error {
	if err := s.Placement.Release(ctx, tx, r.Object); err != nil {
		return err
	}
	if err := s.claimHost(ctx, tx, r); err != nil {
		return err
	}
	d, err := s.draft(ctx, tx, r)
	if err != nil {
		return err
	}
	d.one.Task = compute.Unshelving
	return nil
}

func (s *Servers) connectVolumes(ctx context.Context, r *createRun) error {
	disks, nics, err := s.devices(ctx, s.DB, r.Object)
	if err != nil {
		return err
	}
	if err := s.takeOff(ctx, disks, nics); err != nil { // of a host that failed to let go in time
		return err
	}
	for _, d := range disks {
		if d.VolumeID == "" {
			continue
		}
		if _, err := s.Volumes.Connect(ctx, d.ID, r.State.Host); err != nil {
			return err
		}
	}
	return nil
}

func (s *Servers) takeOffAgain(ctx context.Context, r *createRun) error {
	if r.State.Active {
		return nil
	}
	disks, nics, err := s.devices(ctx, s.DB, r.Object)
	if err != nil {
		return err
	}
	return s.takeOff(ctx, disks, nics)
}

func (s *Servers) bindPorts(ctx context.Context, r *createRun) error {
	nics, err := nicsOf(ctx, s.DB, r.Object)
	if err != nil {
		return err
	}
	r.State.Bound = nil
	for _, n := range nics[r.Object] {
		bound, err := s.Networks.Bind(ctx, n.PortID, r.State.Host)
		if err != nil {
			return err
		}
		r.State.Bound = append(r.State.Bound, bound)
	}
	return nil
}

// defineUnshelved makes the server part of its host. Its own disks are made
// anew even on the host that had it before.
func (s *Servers) defineUnshelved(ctx context.Context, tx *db.Tx, r *createRun) error {
	disks, nics, err := s.devices(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	for _, d := range disks {
		d.Defined = d.State == diskAttached
		if d.Kind == guest.DiskImage && one.ShelvedImage != "" {
			d.ImageID, d.ImageFormat = one.ShelvedImage, string(image.QCOW2)
		}
		d.From, d.Layers = "", nil
		if err := putDisk(ctx, tx, d); err != nil {
			return err
		}
	}
	for _, n := range nics {
		n.Defined = true
		if err := putNIC(ctx, tx, n); err != nil {
			return err
		}
	}
	r.State.Spawn, err = s.power(ctx, tx, r.Object, guest.Running, func(one *Server) {
		one.Defined, one.KeepBlank, one.Task = true, false, compute.Spawning
		one.BuildSerial++
	})
	return err
}

func (s *Servers) unshelved(ctx context.Context, tx *db.Tx, r *createRun) error {
	r.State.Active = true
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.VM, one.Power, one.LaunchedAt, one.Fault = compute.Active, compute.PowerRunning, stamp(s.Clock), nil
		return nil
	})
}

func (s *Servers) dropShelvedImage(ctx context.Context, r *createRun) error {
	return s.dropShelved(ctx, r.Object)
}

// dropShelved deletes the image that kept a server's root disk.
func (s *Servers) dropShelved(ctx context.Context, serverID string) error {
	one, err := s.store.Get(ctx, serverID)
	if isGone(err) {
		return nil
	}
	if err != nil || one.ShelvedImage == "" {
		return err
	}
	return s.Images.Discard(ctx, one.ShelvedImage)
}

func (s *Servers) unshelveEnded(ctx context.Context, tx *db.Tx, r *createRun) error {
	if err := endAction(ctx, tx, r.Object, r.RequestID, r.State.Host, nil, stamp(s.Clock)); err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.ShelvedImage, one.Task = "", compute.NoTask
		return nil
	})
}
