package volumes

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/task"
)

type growParams struct {
	Volume  string `json:"volume"`
	SizeGiB int64  `json:"size"`
	Was     int64  `json:"was"`
}

type growRun = task.Run[growParams, volumeState]

// growSaga has a host make a volume larger, and tells the guest that has it open.
func (s *Volumes) growSaga() task.Saga[growParams, volumeState] {
	return task.Saga[growParams, volumeState]{
		Name: "blockstorage.volume.extend", Deadline: time.Hour,
		Steps: []task.Step[growParams, volumeState]{
			{Name: "begin", UndoCommit: s.endGrowing},
			{Name: "size", Commit: s.raiseSize, UndoCommit: s.lowerSize},
			{Name: "grown", Do: s.grown},
			{Name: "guest", Do: s.tellGuest},
			{Name: "done", Commit: s.endGrowing},
		},
	}
}

func (s *Volumes) raiseSize(ctx context.Context, tx *db.Tx, r *growRun) error {
	v, err := s.Change(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		v.SizeGiB = r.Params.SizeGiB
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Host = v.Host
	r.State.Revision, err = s.RaiseHost(ctx, tx, v.Host)
	return err
}

// lowerSize gives the old size back. What the host has grown stays: volumes never shrink.
func (s *Volumes) lowerSize(ctx context.Context, tx *db.Tx, r *growRun) error {
	err := s.ifThere(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		v.SizeGiB = r.Params.Was
		return nil
	})
	if err != nil {
		return err
	}
	_, err = s.RaiseHost(ctx, tx, r.State.Host)
	return err
}

func (s *Volumes) grown(ctx context.Context, r *growRun) error {
	return s.await(ctx, r.State.Host, r.State.Revision, r.Params.Volume)
}

func (s *Volumes) tellGuest(ctx context.Context, r *growRun) error {
	v, err := s.store.Get(ctx, r.Params.Volume)
	if err != nil {
		return err
	}
	for _, a := range v.Attached() {
		if a.ServerID == "" || s.Servers == nil {
			continue
		}
		if err := s.Servers.Extended(ctx, a.ServerID, v.ID, r.RequestID, r.Params.SizeGiB); err != nil {
			return err
		}
	}
	return nil
}

func (s *Volumes) endGrowing(ctx context.Context, tx *db.Tx, r *growRun) error {
	return s.ifThere(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		if v.Status == blockstorage.Extending {
			v.Status = blockstorage.StatusOf(v.Attachments)
		}
		return nil
	})
}
