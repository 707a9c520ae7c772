package volumes

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/task"
)

// rewriteParams say what replaces a volume's content, and which statuses the
// volume has afterwards.
type rewriteParams struct {
	Volume string                    `json:"volume"`
	Epoch  int64                     `json:"epoch"`
	Was    int64                     `json:"was"`
	Source blockstorage.Source       `json:"source"`
	Done   blockstorage.VolumeStatus `json:"done"`
	Failed blockstorage.VolumeStatus `json:"failed"`
	Become *blockstorage.VolumeFacts `json:"become,omitempty"` // what the volume is afterwards; nil: what it was
	What   string                    `json:"what"`             // for the message that tells of a failure
}

type rewriteRun = task.Run[rewriteParams, volumeState]

// rewriteSaga replaces the content of a volume: by a snapshot, an image or a
// backup. The host keeps the old content until the new one is whole.
func (s *Volumes) rewriteSaga() task.Saga[rewriteParams, volumeState] {
	return task.Saga[rewriteParams, volumeState]{
		Name: "blockstorage.volume.rewrite", Deadline: 6 * time.Hour,
		Steps: []task.Step[rewriteParams, volumeState]{
			{Name: "begin", UndoCommit: s.markUnwritten},
			{Name: "rewrite", Commit: s.beginRewrite, UndoCommit: s.stopRewrite},
			{Name: "written", Do: s.written},
			{Name: "done", Commit: s.markWritten},
		},
	}
}

func (s *Volumes) beginRewrite(ctx context.Context, tx *db.Tx, r *rewriteRun) error {
	v, err := s.Change(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		v.Epoch, v.Rewrite = r.Params.Epoch, r.Params.Source
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Host = v.Host
	r.State.Revision, err = s.RaiseHost(ctx, tx, v.Host)
	return err
}

// stopRewrite wants the old content again. A host that has replaced it already
// keeps the new one: which of the two it is cannot be known after a failure.
func (s *Volumes) stopRewrite(ctx context.Context, tx *db.Tx, r *rewriteRun) error {
	host := ""
	err := s.ifThere(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		v.Epoch, v.Rewrite, host = r.Params.Was, blockstorage.Source{}, v.Host
		return nil
	})
	if err != nil {
		return err
	}
	_, err = s.RaiseHost(ctx, tx, host)
	return err
}

func (s *Volumes) written(ctx context.Context, r *rewriteRun) error {
	return s.await(ctx, r.State.Host, r.State.Revision, r.Params.Volume)
}

func (s *Volumes) markWritten(ctx context.Context, tx *db.Tx, r *rewriteRun) error {
	_, err := s.Change(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		v.Rewrite, v.Status, v.Error = blockstorage.Source{}, r.Params.Done, ""
		if f := r.Params.Become; f != nil {
			v.ImageMeta, v.Bootable = f.ImageMeta, f.Bootable
			if f.Metadata != nil {
				v.Metadata = f.Metadata
			}
		}
		return s.letGo(ctx, tx, r)
	})
	if err != nil {
		return err
	}
	_, err = s.RaiseHost(ctx, tx, r.State.Host) // from now on the host must have it
	return err
}

func (s *Volumes) markUnwritten(ctx context.Context, tx *db.Tx, r *rewriteRun) error {
	if err := s.letGo(ctx, tx, r); err != nil {
		return err
	}
	return s.ifThere(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		if v.Status == blockstorage.Deleting {
			return nil
		}
		v.Status, v.Error = r.Params.Failed, fault.As(r.Err).Text
		return s.Messages.Tell(ctx, tx, blockstorage.Message{ProjectID: v.ProjectID, RequestID: r.RequestID, Kind: "VOLUME", ResourceID: v.ID,
			Event: "001_001", Text: r.Params.What + ": " + orElse(v.Error, "An unknown error occurred.")})
	})
}

// letGo gives the source the status back that it had before.
func (s *Volumes) letGo(ctx context.Context, tx *db.Tx, r *rewriteRun) error {
	switch from := r.Params.Source; {
	case from.SnapshotID != "":
		err := s.Snapshots.Alter(ctx, tx, from.SnapshotID, func(sn *blockstorage.Snapshot) error {
			if sn.Status == blockstorage.SnapshotRestoring {
				sn.Status = blockstorage.SnapshotAvailable
			}
			return nil
		})
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	case from.BackupID != "":
		return s.Backups.EndRestore(ctx, tx, from.BackupID, r.Params.Volume)
	}
	return nil
}
