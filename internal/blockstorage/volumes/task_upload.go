package volumes

import (
	"context"
	"errors"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/task"
)

type uploadParams struct {
	Volume string         `json:"volume"`
	Image  image.NewImage `json:"image"`
}

type uploadRun = task.Run[uploadParams, struct{}]

// uploadSaga makes an image of a volume. One attempt reads the whole volume.
func (s *Volumes) uploadSaga() task.Saga[uploadParams, struct{}] {
	return task.Saga[uploadParams, struct{}]{
		Name: "blockstorage.volume.upload", Deadline: 6 * time.Hour,
		Steps: []task.Step[uploadParams, struct{}]{
			{Name: "begin", UndoCommit: s.endUpload},
			{Name: "bytes", Do: s.sendBytes, Undo: s.discardImage, Timeout: 2 * time.Hour},
			{Name: "done", Commit: s.endUpload},
		},
	}
}

func (s *Volumes) sendBytes(ctx context.Context, r *uploadRun) error {
	v, err := s.store.Get(ctx, r.Params.Volume)
	if err != nil {
		return err
	}
	stream, err := s.Hosts.Open(ctx, v.Host, string(hostlink.Volumes)+"/"+disk.StreamRead, disk.ReadParams{ID: v.ID})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = stream.Close() })() // ends a read that waits
	_, err = s.Images.Fill(ctx, r.Params.Image.ID, stream)
	return errors.Join(err, stream.Close())
}

func (s *Volumes) discardImage(ctx context.Context, r *uploadRun) error {
	return s.Images.Discard(ctx, r.Params.Image.ID)
}

func (s *Volumes) endUpload(ctx context.Context, tx *db.Tx, r *uploadRun) error {
	return s.ifThere(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		if v.Status == blockstorage.Uploading {
			v.Status = blockstorage.StatusOf(v.Attachments)
		}
		return nil
	})
}

// uploadable refuses what cannot become an image.
func uploadable(v *blockstorage.Volume, disk image.Format) error {
	if disk != image.Raw {
		return fault.New(fault.NotImplemented, "Volumes are uploaded in disk format raw only.")
	}
	if !v.May(blockstorage.ActUpload) {
		return blockstorage.InvalidVolume("Volume %s status must be available, but current status is: %s.", v.ID, v.Status)
	}
	return nil
}
