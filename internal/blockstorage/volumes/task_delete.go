package volumes

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/task"
)

type removeParams struct {
	Volume string `json:"volume"`
}

type removeState struct {
	Host     string `json:"host"`
	Revision int64  `json:"revision"`
}

type removeRun = task.Run[removeParams, removeState]

// removeSaga removes a volume. A host that is not there is not waited for: what
// it shall keep no longer names the volume, so it removes it when it is back.
func (s *Volumes) removeSaga() task.Saga[removeParams, removeState] {
	return task.Saga[removeParams, removeState]{
		Name: "blockstorage.volume.delete", Deadline: 24 * time.Hour,
		Steps: []task.Step[removeParams, removeState]{
			{Name: "begin", UndoCommit: s.markUndeleted},
			{Name: "clones", Do: s.clonesMade},
			{Name: "drop", Commit: s.dropRow},
			{Name: "gone", Do: s.gone},
			{Name: "erase", Commit: s.eraseRow},
		},
	}
}

// clonesMade waits until nothing is being copied from the volume.
func (s *Volumes) clonesMade(ctx context.Context, r *removeRun) error {
	n, err := dependents(ctx, s.DB, r.Params.Volume)
	if err == nil && n > 0 {
		err = fault.Unavailablef("%d volumes are being made from it", n)
	}
	return err
}

func (s *Volumes) dropRow(ctx context.Context, tx *db.Tx, r *removeRun) error {
	other := ""
	err := s.ifThere(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		r.State.Host, other = v.Host, v.MoveTo
		v.Kept, v.MoveTo, v.Status = false, "", blockstorage.Deleting
		return s.Snapshots.DropAll(ctx, tx, v.ID)
	})
	if err != nil {
		return err
	}
	if _, err := s.RaiseHost(ctx, tx, other); err != nil {
		return err
	}
	r.State.Revision, err = s.RaiseHost(ctx, tx, r.State.Host)
	return err
}

func (s *Volumes) gone(ctx context.Context, r *removeRun) error {
	if r.State.Host == "" || !s.Hosts.Alive(r.State.Host) {
		return nil
	}
	report, err := s.Hosts.Await(ctx, r.State.Host, hostlink.Volumes, r.State.Revision, r.Params.Volume)
	if err != nil && !s.Hosts.Alive(r.State.Host) {
		return nil
	}
	if err == nil && report.Phase != hostlink.Absent {
		err = fault.Unavailablef("the host still has the volume: %s", report.Error)
	}
	return err
}

func (s *Volumes) eraseRow(ctx context.Context, tx *db.Tx, r *removeRun) error {
	list, err := s.Attachments.InTx(ctx, tx, r.Params.Volume)
	if err != nil {
		return err
	}
	for _, a := range list {
		if err := s.Attachments.Remove(ctx, tx, a.ID); err != nil {
			return err
		}
	}
	if err := s.Snapshots.EraseAll(ctx, tx, r.Params.Volume); err != nil {
		return err
	}
	return s.store.erase(ctx, tx, r.Params.Volume)
}

func (s *Volumes) markUndeleted(ctx context.Context, tx *db.Tx, r *removeRun) error {
	return s.ifThere(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		v.Status, v.Error = blockstorage.ErrorDeleting, fault.As(r.Err).Text
		return nil
	})
}
