package servers

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/task"
)

type diskParams struct {
	Disk string `json:"disk"` // the attachment's id
}

type deviceState struct {
	Set  place `json:"set"`
	Gone place `json:"gone"`
	Lost bool  `json:"lost,omitempty"` // a detach went too far to come back
}

type diskRun = task.Run[diskParams, deviceState]

func (s *Servers) attachVolumeSaga() task.Saga[diskParams, deviceState] {
	return task.Saga[diskParams, deviceState]{Name: "compute.volume.attach", Concurrent: true, Steps: []task.Step[diskParams, deviceState]{
		{Name: "begin", UndoCommit: func(ctx context.Context, tx *db.Tx, r *diskRun) error {
			if err := endAction(ctx, tx, r.Object, r.RequestID, "", r.Err, stamp(s.Clock)); err != nil {
				return err
			}
			return dropDisk(ctx, tx, r.Params.Disk)
		}},
		{Name: "connect", Do: s.connectDisk, Undo: func(ctx context.Context, r *diskRun) error { return s.Volumes.Detach(ctx, r.Params.Disk) }},
		{Name: "vacated", Undo: func(ctx context.Context, r *diskRun) error { return s.vacate(ctx, r.State.Gone, r.Object) }},
		{Name: "define", Commit: func(ctx context.Context, tx *db.Tx, r *diskRun) (err error) {
			r.State.Set, err = s.defineDisk(ctx, tx, r, true)
			return err
		}, UndoCommit: func(ctx context.Context, tx *db.Tx, r *diskRun) (err error) {
			r.State.Gone, err = s.defineDisk(ctx, tx, r, false)
			return err
		}},
		{Name: "settle", Do: func(ctx context.Context, r *diskRun) error {
			_, err := s.settle(ctx, r.State.Set, r.Object)
			return err
		}},
		{Name: "end", Do: s.completeDisk, Commit: func(ctx context.Context, tx *db.Tx, r *diskRun) error {
			return s.diskEnded(ctx, tx, r, diskAttached)
		}},
	}, Deadline: 10 * time.Minute}
}

func (s *Servers) connectDisk(ctx context.Context, r *diskRun) error {
	d, err := getDisk(ctx, s.DB, r.Params.Disk)
	if err != nil {
		return err
	}
	one, err := s.store.Get(ctx, r.Object)
	if err != nil {
		return err
	}
	if err := s.reserve(ctx, one, d); err != nil || one.Host == "" {
		return err
	}
	_, err = s.Volumes.Connect(ctx, d.ID, one.Host)
	return err
}

// defineDisk makes a disk part of what the host should have, or not.
func (s *Servers) defineDisk(ctx context.Context, tx *db.Tx, r *diskRun, defined bool) (place, error) {
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return place{}, err
	}
	d, err := getDisk(ctx, tx, r.Params.Disk)
	if isGone(err) && !defined {
		return place{}, nil
	}
	if err != nil {
		return place{}, err
	}
	d.Defined = defined
	if err := putDisk(ctx, tx, d); err != nil {
		return place{}, err
	}
	return s.raise(ctx, tx, one.Host, one.ID)
}

func (s *Servers) completeDisk(ctx context.Context, r *diskRun) error {
	d, err := getDisk(ctx, s.DB, r.Params.Disk)
	if err != nil {
		return err
	}
	return s.Volumes.Complete(ctx, d.ID, d.DeviceName)
}

func (s *Servers) diskEnded(ctx context.Context, tx *db.Tx, r *diskRun, state diskState) error {
	d, err := getDisk(ctx, tx, r.Params.Disk)
	if err != nil {
		return err
	}
	d.State = state
	if err := putDisk(ctx, tx, d); err != nil {
		return err
	}
	return endAction(ctx, tx, r.Object, r.RequestID, r.State.Set.Host, nil, stamp(s.Clock))
}

func (s *Servers) detachVolumeSaga() task.Saga[diskParams, deviceState] {
	return task.Saga[diskParams, deviceState]{Name: "compute.volume.detach", Concurrent: true, Steps: []task.Step[diskParams, deviceState]{
		{Name: "begin", UndoCommit: s.keepDisk},
		{Name: "mark", Do: func(ctx context.Context, r *diskRun) error { return s.Volumes.BeginDetach(ctx, r.Params.Disk) },
			Undo: func(ctx context.Context, r *diskRun) error {
				if r.State.Lost {
					return nil
				}
				return s.Volumes.RollDetach(ctx, r.Params.Disk)
			}},
		{Name: "undefine", Commit: func(ctx context.Context, tx *db.Tx, r *diskRun) (err error) {
			r.State.Gone, err = s.defineDisk(ctx, tx, r, false)
			return err
		}},
		{Name: "settle", Do: func(ctx context.Context, r *diskRun) error { return s.vacate(ctx, r.State.Gone, r.Object) }},
		{Name: "release", Do: func(ctx context.Context, r *diskRun) error { return s.Volumes.Detach(ctx, r.Params.Disk) },
			Undo: func(ctx context.Context, r *diskRun) error { // whether it was released cannot be known: it is now
				r.State.Lost = true
				return s.Volumes.Detach(ctx, r.Params.Disk)
			}},
		{Name: "end", Commit: func(ctx context.Context, tx *db.Tx, r *diskRun) error {
			if err := dropDisk(ctx, tx, r.Params.Disk); err != nil {
				return err
			}
			return endAction(ctx, tx, r.Object, r.RequestID, r.State.Gone.Host, nil, stamp(s.Clock))
		}},
	}, Deadline: 10 * time.Minute}
}

// keepDisk gives a disk back to its guest after a detach that failed, unless
// the attachment was ended already: then the row goes.
func (s *Servers) keepDisk(ctx context.Context, tx *db.Tx, r *diskRun) error {
	if err := endAction(ctx, tx, r.Object, r.RequestID, "", r.Err, stamp(s.Clock)); err != nil {
		return err
	}
	if r.State.Lost {
		return dropDisk(ctx, tx, r.Params.Disk)
	}
	d, err := getDisk(ctx, tx, r.Params.Disk)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	d.State = diskAttached
	if err := putDisk(ctx, tx, d); err != nil {
		return err
	}
	_, err = s.defineDisk(ctx, tx, r, true)
	return err
}
