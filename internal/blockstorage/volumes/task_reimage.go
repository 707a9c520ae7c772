package volumes

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/task"
)

type reimageParams struct {
	Volume string            `json:"volume"`
	Image  string            `json:"image"`
	Format string            `json:"format"`
	Meta   map[string]string `json:"meta"` // volume_image_metadata afterwards
}

type reimageRun = task.Run[reimageParams, volumeState]

// reimageSaga has a volume's host throw its content away and make it anew from
// an image. There is no way back: a failure leaves the volume in error, from
// where it may be tried again.
func (s *Volumes) reimageSaga() task.Saga[reimageParams, volumeState] {
	return task.Saga[reimageParams, volumeState]{
		Name: "blockstorage.volume.reimage", Deadline: 6 * time.Hour,
		Steps: []task.Step[reimageParams, volumeState]{
			{Name: "begin", UndoCommit: s.reimageFailed},
			{Name: "drop", Commit: s.reimageKeep(false)},
			{Name: "gone", Do: s.reimageGone},
			{Name: "keep", Commit: s.reimageKeep(true)},
			{Name: "made", Do: func(ctx context.Context, r *reimageRun) error {
				return s.await(ctx, r.State.Host, r.State.Revision, r.Params.Volume)
			}},
			{Name: "end", Commit: s.reimaged},
		},
	}
}

// Reimage overwrites a volume with an image and waits for it.
func (s *Volumes) Reimage(ctx context.Context, volume, imageID string) error {
	v, err := s.store.Get(ctx, volume)
	if err != nil {
		return err
	}
	if v.Status != blockstorage.Downloading { // else an earlier call began it
		record := event.Record{Service: "block-storage", Action: "reimage", Kind: "volume", Object: volume, ProjectID: v.ProjectID}
		if err := s.beginReimage(ctx, volume, imageID, record); err != nil {
			return err
		}
	}
	_, err = s.Ready(ctx, volume)
	return err
}

// beginReimage checks an image, as a new volume's is checked, and begins.
func (s *Volumes) beginReimage(ctx context.Context, volume, imageID string, record event.Record) error {
	img, err := s.Images.Lookup(ctx, image.Viewer{Admin: true}, imageID) // who asked was checked by who asks
	if err != nil {
		return err
	}
	if !img.Usable() || img.Content != image.Raw && img.Content != image.QCOW2 {
		return fault.Invalidf("Invalid input received: Image %s is not active.", imageID)
	}
	p := reimageParams{Volume: volume, Image: imageID, Format: string(img.Content), Meta: imageMeta(img)}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		v, err := s.Change(ctx, tx, volume, func(v *blockstorage.Volume) error {
			if need := (max(img.VirtualSize, img.MinDisk*blockstorage.GiB) + blockstorage.GiB - 1) / blockstorage.GiB; need > v.SizeGiB {
				return fault.Invalidf("Invalid input received: Size of specified image %dGB is larger than volume size %dGB.", need, v.SizeGiB)
			}
			v.Status = blockstorage.Downloading
			return nil
		})
		if err != nil {
			return err
		}
		if _, err := s.over.Enqueue(ctx, tx, task.Work{Object: volume, ProjectID: v.ProjectID, UserID: record.UserID, RequestID: record.RequestID}, p); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// reimageKeep says whether the host shall have the volume, in its new content.
func (s *Volumes) reimageKeep(kept bool) func(context.Context, *db.Tx, *reimageRun) error {
	return func(ctx context.Context, tx *db.Tx, r *reimageRun) error {
		_, err := s.Change(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
			v.Kept, r.State.Host = kept, v.Host
			v.Source = blockstorage.Source{ImageID: r.Params.Image, ImageFormat: r.Params.Format}
			return nil
		})
		if err != nil {
			return err
		}
		r.State.Revision, err = s.RaiseHost(ctx, tx, r.State.Host)
		return err
	}
}

func (s *Volumes) reimageGone(ctx context.Context, r *reimageRun) error {
	report, err := s.Hosts.Await(ctx, r.State.Host, hostlink.Volumes, r.State.Revision, r.Params.Volume)
	if err == nil && report.Phase != hostlink.Absent {
		err = fault.Unavailablef("the host still has the volume: %s", report.Error)
	}
	return err
}

func (s *Volumes) reimaged(ctx context.Context, tx *db.Tx, r *reimageRun) error {
	err := s.ifThere(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		v.Status, v.Error = blockstorage.StatusOf(v.Attachments), ""
		v.ImageMeta, v.Bootable = r.Params.Meta, true
		return nil
	})
	if err != nil {
		return err
	}
	_, err = s.RaiseHost(ctx, tx, r.State.Host) // from now on the host must have it
	return err
}

func (s *Volumes) reimageFailed(ctx context.Context, tx *db.Tx, r *reimageRun) error {
	return s.ifThere(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		if v.Status == blockstorage.Deleting {
			return nil
		}
		v.Status, v.Error = blockstorage.Error, fault.As(r.Err).Text
		return s.Messages.Tell(ctx, tx, blockstorage.Message{ProjectID: v.ProjectID, RequestID: r.RequestID, Kind: "VOLUME", ResourceID: v.ID,
			Event: "016_001", Text: "reimage volume: " + orElse(v.Error, "An unknown error occurred.")})
	})
}
