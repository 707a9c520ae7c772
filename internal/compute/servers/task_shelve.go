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

type shelveParams struct {
	Image *image.NewImage `json:"image,omitempty"` // that keeps the root disk; nil: a volume does
	Disk  string          `json:"disk,omitempty"`  // the root, when an image keeps it
}

type shelveState struct {
	Begun   bool   `json:"begun,omitempty"`
	Started bool   `json:"started,omitempty"` // it was running
	Shelved bool   `json:"shelved,omitempty"` // from here on there is no way back
	Host    string `json:"host,omitempty"`
	Off     place  `json:"off"`
	Gone    place  `json:"gone"`
}

type shelveRun = task.Run[shelveParams, shelveState]

type shelveStep = task.Step[shelveParams, shelveState]

// shelveSaga keeps a server's root disk as an image and takes the server off
// its host. Once the image is there it only goes forward: a failure then leaves
// the server SHELVED, and what is left on the host is removed all the same.
func (s *Servers) shelveSaga() task.Saga[shelveParams, shelveState] {
	return task.Saga[shelveParams, shelveState]{Name: "compute.server.shelve", Steps: append([]shelveStep{
		{Name: "begin", Undo: s.discardShelved, UndoCommit: s.shelveFailed},
		{Name: "record", Do: s.recordShelved},
		{Name: "off", Commit: s.offForShelve, UndoCommit: s.onAfterShelve},
		{Name: "freeze", Do: s.freezeShelved, Undo: s.thawShelved, Timeout: copyLimit, Commit: func(ctx context.Context, tx *db.Tx, r *shelveRun) error {
			return s.during(ctx, tx, r.Object, compute.ShelvingUploading)
		}},
		{Name: "upload", Do: s.uploadShelved, Timeout: 2 * time.Hour},
		{Name: "shelved", Do: s.thawShelved, Commit: s.markShelved},
	}, s.offloadSteps()...), Deadline: 6 * time.Hour}
}

// offloadSaga takes a shelved server off its host.
func (s *Servers) offloadSaga() task.Saga[shelveParams, shelveState] {
	return task.Saga[shelveParams, shelveState]{Name: "compute.server.offload", Steps: append([]shelveStep{
		{Name: "begin", Commit: func(_ context.Context, _ *db.Tx, r *shelveRun) error { r.State.Shelved = true; return nil },
			UndoCommit: func(ctx context.Context, tx *db.Tx, r *shelveRun) error {
				r.State.Shelved = true
				return s.shelveFailed(ctx, tx, r)
			}},
	}, s.offloadSteps()...), Deadline: time.Hour}
}

func (s *Servers) offloadSteps() []shelveStep {
	return []shelveStep{
		{Name: "undefine", Commit: s.undefineShelved},
		{Name: "vacated", Do: s.vacateShelved},
		{Name: "gone", Commit: s.offloaded},
	}
}

func (s *Servers) discardShelved(ctx context.Context, r *shelveRun) error {
	if r.Params.Image == nil || r.State.Shelved {
		return nil
	}
	return s.Images.Discard(ctx, r.Params.Image.ID)
}

// shelveFailed gives a server back its state, unless it is shelved already.
func (s *Servers) shelveFailed(ctx context.Context, tx *db.Tx, r *shelveRun) error {
	if !r.State.Shelved {
		return s.actionFailed(ctx, tx, r.Object, r.RequestID, r.Err)
	}
	if err := endAction(ctx, tx, r.Object, r.RequestID, "", r.Err, stamp(s.Clock)); err != nil {
		return err
	}
	host := ""
	err := s.touch(ctx, tx, r.Object, func(one *Server) error {
		host = one.Host
		one.VM, one.Power, one.Defined = compute.Shelved, compute.PowerShutdown, false
		if !task.Cancelled(r.Err) {
			one.Task = compute.NoTask
			s.failed(one, r.Err, r.RequestID)
		}
		return nil
	})
	if err == nil {
		_, err = s.raise(ctx, tx, host, r.Object)
	}
	return err
}

func (s *Servers) recordShelved(ctx context.Context, r *shelveRun) error {
	if r.Params.Image == nil {
		return nil
	}
	return s.Images.Create(ctx, *r.Params.Image)
}

func (s *Servers) offForShelve(ctx context.Context, tx *db.Tx, r *shelveRun) (err error) {
	r.State.Off, err = s.power(ctx, tx, r.Object, guest.Stopped, func(one *Server) {
		r.State.Begun, r.State.Started, r.State.Host = true, one.VM == compute.Active, one.Host
	})
	return err
}

// onAfterShelve starts a guest again that ran. One that was paused or suspended
// has lost its memory, and is off.
func (s *Servers) onAfterShelve(ctx context.Context, tx *db.Tx, r *shelveRun) error {
	if !r.State.Begun || r.State.Shelved {
		return nil
	}
	r.State.Begun = false
	want := guest.Stopped
	if r.State.Started {
		want = guest.Running
	}
	_, err := s.power(ctx, tx, r.Object, want, func(one *Server) {
		if want == guest.Stopped {
			one.VM, one.Power = compute.VMStopped, compute.PowerShutdown
		}
	})
	return err
}

func (s *Servers) freezeShelved(ctx context.Context, r *shelveRun) error {
	if err := s.settled(ctx, r.State.Off, r.Object); err != nil || r.Params.Image == nil {
		return err
	}
	return s.freeze(ctx, r.State.Host, r.Object, r.Params.Disk, r.ID)
}

func (s *Servers) thawShelved(ctx context.Context, r *shelveRun) error {
	if r.Params.Image == nil {
		return nil
	}
	return s.thaw(ctx, r.State.Host, r.Object, r.ID)
}

func (s *Servers) uploadShelved(ctx context.Context, r *shelveRun) error {
	if r.Params.Image == nil {
		return nil
	}
	return s.upload(ctx, r.State.Host, r.Object, r.ID, r.Params.Image.ID)
}

func (s *Servers) markShelved(ctx context.Context, tx *db.Tx, r *shelveRun) error {
	r.State.Shelved = true
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.VM, one.Power, one.Fault = compute.Shelved, compute.PowerShutdown, nil
		if r.Params.Image != nil {
			one.ShelvedImage = r.Params.Image.ID
		}
		if one.Task != compute.Deleting {
			one.Task = compute.ShelvingOffloading
		}
		return nil
	})
}

func (s *Servers) undefineShelved(ctx context.Context, tx *db.Tx, r *shelveRun) error {
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	r.State.Host, one.Defined, one.UpdatedAt = one.Host, false, stamp(s.Clock)
	if err := put(ctx, tx, one); err != nil {
		return err
	}
	r.State.Gone, err = s.raise(ctx, tx, one.Host, r.Object)
	return err
}

// vacateShelved waits for the host to let go, and takes cards and volumes off it.
func (s *Servers) vacateShelved(ctx context.Context, r *shelveRun) error {
	if err := s.vacate(ctx, r.State.Gone, r.Object); err != nil {
		return err
	}
	disks, nics, err := s.devices(ctx, s.DB, r.Object)
	if err != nil {
		return err
	}
	return s.takeOff(ctx, disks, nics)
}

// takeOff ends the ties of cards and volumes to whatever host they are on.
func (s *Servers) takeOff(ctx context.Context, disks []*Disk, nics []*NIC) error {
	for _, n := range nics {
		if err := s.Networks.Unbind(ctx, n.PortID); err != nil {
			return err
		}
	}
	for _, d := range disks {
		if d.VolumeID == "" {
			continue
		}
		if err := s.Volumes.Disconnect(ctx, d.ID, ""); err != nil {
			return err
		}
	}
	return nil
}

func (s *Servers) offloaded(ctx context.Context, tx *db.Tx, r *shelveRun) error {
	if err := s.Placement.Release(ctx, tx, r.Object); err != nil {
		return err
	}
	if err := endAction(ctx, tx, r.Object, r.RequestID, r.State.Host, nil, stamp(s.Clock)); err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.VM, one.Power, one.Task, one.Fault = compute.ShelvedOffloaded, compute.PowerNone, compute.NoTask, nil
		one.Host, one.HypervisorName = "", ""
		return nil
	})
}
