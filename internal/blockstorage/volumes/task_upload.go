package volumes

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/outbox"
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

// Converter makes images of other formats out of raw disks, in a sandbox.
type Converter interface {
	// Convertible tells whether it can make a format.
	Convertible(to image.Format) bool
	// Convert writes the raw disk in as an image of format to into out, which is empty.
	Convert(ctx context.Context, in *os.File, from image.Format, out *os.File, to image.Format, limit int64) error
}

// read opens the bytes of a volume on its host.
func (s *Volumes) read(ctx context.Context, v *blockstorage.Volume) (io.ReadCloser, error) {
	return s.Hosts.Open(ctx, v.Host, string(hostlink.Volumes)+"/"+disk.StreamRead, disk.ReadParams{ID: v.ID})
}

func (s *Volumes) sendBytes(ctx context.Context, r *uploadRun) error {
	v, err := s.store.Get(ctx, r.Params.Volume)
	if err != nil {
		return err
	}
	stream, err := s.read(ctx, v)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = stream.Close() })() // ends a read that waits
	if r.Params.Image.Disk == image.Raw {
		_, err = s.Images.Fill(ctx, r.Params.Image.ID, stream)
	} else {
		err = s.sendConverted(ctx, r, stream)
	}
	return errors.Join(err, stream.Close())
}

// sendConverted makes another format of a volume by way of passing files.
func (s *Volumes) sendConverted(ctx context.Context, r *uploadRun, from io.Reader) error {
	if s.Converter == nil {
		return fault.New(fault.NotImplemented, "Volumes are uploaded in disk format raw only.")
	}
	raw, err := s.passing()
	if err != nil {
		return err
	}
	defer raw.Close() // read only from here on, and gone with it
	if err := sparse(raw, from); err != nil {
		return err
	}
	out, err := s.passing()
	if err != nil {
		return err
	}
	defer out.Close()
	if err := s.Converter.Convert(ctx, raw, image.Raw, out, r.Params.Image.Disk, r.Params.Image.MinDisk*blockstorage.GiB+blockstorage.GiB); err != nil {
		return err
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return fault.Internalf("read the converted volume: %w", err)
	}
	_, err = s.Images.Fill(ctx, r.Params.Image.ID, out)
	return err
}

// passing makes a file without a name: it is gone when it is closed.
func (s *Volumes) passing() (*os.File, error) {
	if err := os.MkdirAll(s.Scratch, 0o700); err != nil {
		return nil, fault.Internalf("directory of conversions: %w", err)
	}
	f, err := os.CreateTemp(s.Scratch, "upload-")
	if err != nil {
		return nil, fault.Internalf("file of a conversion: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fault.Internalf("file of a conversion: %w", err), f.Close())
	}
	return f, nil
}

// sparse copies bytes into an empty file; blocks of zeros become holes.
func sparse(out *os.File, in io.Reader) error {
	buf, nothing := make([]byte, 256<<10), make([]byte, 256<<10)
	for at := int64(0); ; {
		n, err := io.ReadFull(in, buf)
		if n > 0 && !bytes.Equal(buf[:n], nothing[:n]) {
			if _, err := out.WriteAt(buf[:n], at); err != nil {
				return fault.Unavailablef("There is no space for the converted volume").Because(err)
			}
		}
		at += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return out.Truncate(at)
		}
		if err != nil {
			return fault.Unavailablef("The volume could not be read").Because(err)
		}
	}
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
func (s *Volumes) uploadable(v *blockstorage.Volume, disk image.Format) error {
	if disk != image.Raw && (s.Converter == nil || !s.Converter.Convertible(disk)) {
		return fault.New(fault.NotImplemented, "Volumes cannot be uploaded in disk format %s.", disk)
	}
	if !v.May(blockstorage.ActUpload) {
		return blockstorage.InvalidVolume("Volume %s status must be available, but current status is: %s.", v.ID, v.Status)
	}
	return nil
}

// beginUpload begins to make an image of a volume.
func (s *Volumes) beginUpload(ctx context.Context, id string, made image.NewImage, record event.Record) (*blockstorage.Volume, error) {
	v, err := s.store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := s.uploadable(v, made.Disk); err != nil {
		return nil, err
	}
	if err := s.Images.Create(ctx, made); err != nil {
		return nil, err
	}
	err = s.DB.Write(ctx, func(tx *db.Tx) (err error) {
		v, err = s.Change(ctx, tx, id, func(v *blockstorage.Volume) error {
			if err := s.uploadable(v, made.Disk); err != nil {
				return err
			}
			v.Before, v.Status = v.Status, blockstorage.Uploading
			return nil
		})
		if err != nil {
			return err
		}
		if _, err := s.upload.Enqueue(ctx, tx, s.workOn(v, record), uploadParams{Volume: id, Image: made}); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	if err != nil {
		return nil, errors.Join(err, s.Images.Discard(ctx, made.ID))
	}
	return v, s.store.complete(ctx, v)
}
