package servers

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/task"
)

type imageParams struct {
	Image     image.NewImage             `json:"image"`
	Disk      string                     `json:"disk,omitempty"`      // of the guest, whose content the image gets
	Snapshots []blockstorage.NewSnapshot `json:"snapshots,omitempty"` // of volumes, instead
	Backup    string                     `json:"backup,omitempty"`
	Rotation  int                        `json:"rotation,omitempty"`
}

type imageState struct {
	Host string `json:"host"` // where the disk was frozen
}

type imageRun = task.Run[imageParams, imageState]

// imageSaga makes an image of a server, which goes on meanwhile.
func (s *Servers) imageSaga() task.Saga[imageParams, imageState] {
	return task.Saga[imageParams, imageState]{Name: "compute.server.image", Steps: []task.Step[imageParams, imageState]{
		{Name: "begin", Undo: func(ctx context.Context, r *imageRun) error { return s.Images.Discard(ctx, r.Params.Image.ID) }, // the request made it
			UndoCommit: func(ctx context.Context, tx *db.Tx, r *imageRun) error {
				return s.actionFailed(ctx, tx, r.Object, r.RequestID, r.Err)
			}},
		{Name: "record", Do: func(ctx context.Context, r *imageRun) error { return s.Images.Create(ctx, r.Params.Image) },
			Commit: func(ctx context.Context, tx *db.Tx, r *imageRun) error { return s.beginFreeze(ctx, tx, r) }},
		{Name: "freeze", Do: s.freezeDisks, Undo: s.thawDisks, Timeout: copyLimit, Commit: func(ctx context.Context, tx *db.Tx, r *imageRun) error {
			return s.during(ctx, tx, r.Object, compute.ImageUploading)
		}},
		{Name: "upload", Do: s.uploadImage, Timeout: 2 * time.Hour},
		{Name: "rotate", Do: s.rotateBackups},
		{Name: "end", Do: s.forgetCopy, Commit: func(ctx context.Context, tx *db.Tx, r *imageRun) error {
			if err := endAction(ctx, tx, r.Object, r.RequestID, r.State.Host, nil, stamp(s.Clock)); err != nil {
				return err
			}
			return s.during(ctx, tx, r.Object, compute.NoTask)
		}},
	}, Deadline: 6 * time.Hour}
}

// copyLimit is how long a host may take to copy a disk.
const copyLimit = 30 * time.Minute

// during notes what is being done to a server.
func (s *Servers) during(ctx context.Context, tx *db.Tx, server string, now compute.TaskState) error {
	return s.touch(ctx, tx, server, func(one *Server) error {
		if one.Task != compute.Deleting {
			one.Task = now
		}
		return nil
	})
}

func (s *Servers) beginFreeze(ctx context.Context, tx *db.Tx, r *imageRun) error {
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	r.State.Host = one.Host
	return s.during(ctx, tx, r.Object, compute.ImageSnapshot)
}

func (s *Servers) freezeDisks(ctx context.Context, r *imageRun) error {
	if r.Params.Disk != "" {
		return s.freeze(ctx, r.State.Host, r.Object, r.Params.Disk, r.ID)
	}
	for _, shot := range r.Params.Snapshots {
		if err := s.Volumes.Snapshot(ctx, shot); err != nil {
			return err
		}
	}
	for _, shot := range r.Params.Snapshots {
		if err := s.Volumes.SnapshotReady(ctx, shot.ID); err != nil {
			return err
		}
	}
	return nil
}

func (s *Servers) thawDisks(ctx context.Context, r *imageRun) error {
	for _, shot := range r.Params.Snapshots {
		if err := s.Volumes.DiscardSnapshot(ctx, shot.ID); err != nil {
			return err
		}
	}
	return s.forgetCopy(ctx, r)
}

func (s *Servers) forgetCopy(ctx context.Context, r *imageRun) error {
	if r.Params.Disk == "" {
		return nil
	}
	return s.thaw(ctx, r.State.Host, r.Object, r.ID)
}

func (s *Servers) uploadImage(ctx context.Context, r *imageRun) error {
	if r.Params.Disk == "" { // its bytes are in the snapshots of volumes
		_, err := s.Images.Fill(ctx, r.Params.Image.ID, strings.NewReader(""))
		return err
	}
	return s.upload(ctx, r.State.Host, r.Object, r.ID, r.Params.Image.ID)
}

// rotateBackups deletes the oldest backups beyond those that shall stay.
func (s *Servers) rotateBackups(ctx context.Context, r *imageRun) error {
	if r.Params.Backup == "" {
		return nil
	}
	all, err := s.Images.Find(ctx, r.Params.Image.Owner, map[string]string{"instance_uuid": r.Object, "image_type": "backup", "backup_type": r.Params.Backup})
	if err != nil {
		return err
	}
	for _, old := range all[min(r.Params.Rotation, len(all)):] {
		if err := s.Images.Discard(ctx, old.ID); err != nil {
			return err
		}
	}
	return nil
}

// freeze copies a disk of a guest as it is at one instant, on its host, under a
// name that is also the command's token: again is fine.
func (s *Servers) freeze(ctx context.Context, host, server, disk, name string) error {
	_, err := s.Agents.Do(ctx, host, hostlink.Command{Token: name, Section: hostlink.Guests, Object: server, Verb: "snapshot",
		Params: mustJSON(map[string]string{"disk": disk, "name": name}), Timeout: copyLimit})
	if fault.Is(err, fault.NotFound) {
		err = fault.Conflictf("The server's disk is not on its host.")
	}
	return err
}

// thaw removes what freeze made. A host that is gone keeps it until the guest
// is removed there, with all that is its own.
func (s *Servers) thaw(ctx context.Context, host, server, name string) error {
	if host == "" || !s.Agents.Alive(host) {
		return nil
	}
	discard := name + "-discard"
	_, err := s.Agents.Do(ctx, host, hostlink.Command{Token: discard, Section: hostlink.Guests, Object: server, Verb: "snapshot-discard",
		Params: mustJSON(map[string]string{"name": name})})
	if err != nil {
		return err
	}
	return errors.Join(s.Agents.Forget(ctx, host, name), s.Agents.Forget(ctx, host, discard))
}

// upload gives an image the bytes of a disk that was frozen.
func (s *Servers) upload(ctx context.Context, host, server, name, imageID string) error {
	stream, err := s.Agents.Open(ctx, host, "snapshot", map[string]string{"id": server, "name": name})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = stream.Close() })() // ends a read that waits
	_, err = s.Images.Fill(ctx, imageID, stream)
	return errors.Join(err, stream.Close())
}
