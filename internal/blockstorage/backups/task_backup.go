package backups

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/archive"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/task"
)

// Hosts is what backups ask of the hosts that keep volumes.
type Hosts = hostlink.Hosts

type params struct {
	Backup string `json:"backup"`
}

type state struct {
	Revision int64 `json:"revision"`
	Objects  int64 `json:"objects"`
}

type run = task.Run[params, state]

// Specs lists what a host shall have of passing copies.
func (s *Store) Specs(ctx context.Context, host string) ([]disk.Spec, error) {
	list, err := s.onHost(ctx, host)
	out := make([]disk.Spec, 0, len(list))
	for _, b := range list {
		spec := disk.Spec{ID: b.ID, Kind: disk.Snapshot, SizeBytes: b.Size * blockstorage.GiB, Format: disk.Raw, Made: b.Copied}
		if !b.Copied {
			spec.Source = disk.Source{Kind: disk.FromVolume, ID: b.VolumeID, Guest: b.Guest}
		}
		out = append(out, spec)
	}
	return out, err
}

// makeSaga copies a volume into the store of backups. One attempt reads the
// whole volume.
func (s *Backups) makeSaga() task.Saga[params, state] {
	return task.Saga[params, state]{
		Name: "blockstorage.backup.create", Deadline: 24 * time.Hour,
		Steps: []task.Step[params, state]{
			{Name: "begin", UndoCommit: s.markFailed},
			{Name: "copy", Commit: s.keepCopy, UndoCommit: s.dropCopy},
			{Name: "copied", Do: s.copied, Commit: s.markCopied},
			{Name: "bytes", Do: s.keepBytes, Undo: s.dropBytes, Timeout: 6 * time.Hour},
			{Name: "done", Commit: s.markAvailable},
		},
	}
}

// keepCopy has the host make a passing copy, when a server writes to the volume.
func (s *Backups) keepCopy(ctx context.Context, tx *db.Tx, r *run) error {
	b, err := s.Store.change(ctx, tx, r.Params.Backup, func(b *blockstorage.Backup) error {
		b.Kept = b.Guest != ""
		return nil
	})
	if err != nil || !b.Kept {
		return err
	}
	r.State.Revision, err = s.Volumes.RaiseHost(ctx, tx, b.Host)
	return err
}

func (s *Backups) dropCopy(ctx context.Context, tx *db.Tx, r *run) error {
	host := ""
	err := s.ifThere(ctx, tx, r.Params.Backup, func(b *blockstorage.Backup) error {
		if b.Kept {
			host = b.Host
		}
		b.Kept, b.Copied = false, false
		return nil
	})
	if err != nil {
		return err
	}
	_, err = s.Volumes.RaiseHost(ctx, tx, host)
	return err
}

func (s *Backups) copied(ctx context.Context, r *run) error {
	b, err := s.Store.Get(ctx, r.Params.Backup)
	if err != nil || !b.Kept {
		return err
	}
	report, err := s.Hosts.Await(ctx, b.Host, hostlink.Volumes, r.State.Revision, b.ID)
	if err == nil && report.Phase != hostlink.Ready {
		err = fault.Conflictf("%s", orElse(report.Error, "The host could not copy the volume"))
	}
	return err
}

func (s *Backups) markCopied(ctx context.Context, tx *db.Tx, r *run) error {
	b, err := s.Store.change(ctx, tx, r.Params.Backup, func(b *blockstorage.Backup) error {
		b.Copied = b.Kept
		return nil
	})
	if err != nil || !b.Kept {
		return err
	}
	_, err = s.Volumes.RaiseHost(ctx, tx, b.Host) // from now on the host must have it
	return err
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// what is the thing on the host whose bytes are read.
func what(b *blockstorage.Backup) string {
	switch {
	case b.Kept:
		return b.ID
	case b.SnapshotID != "":
		return b.SnapshotID
	}
	return b.VolumeID
}

func (s *Backups) keepBytes(ctx context.Context, r *run) error {
	b, err := s.Store.Get(ctx, r.Params.Backup)
	if err != nil {
		return err
	}
	var parent *archive.Manifest
	if b.ParentID != "" {
		p, err := s.Store.Get(ctx, b.ParentID)
		if err != nil {
			return err
		}
		if parent, err = archive.Load(ctx, s.Archive, place(p)); err != nil {
			return err
		}
	}
	stream, err := s.Hosts.Open(ctx, b.Host, string(hostlink.Volumes)+"/"+disk.StreamRead, disk.ReadParams{ID: what(b)})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = stream.Close() })() // ends a read that waits
	m, err := archive.Write(ctx, s.Archive, place(b), stream, parent)
	if err = errors.Join(err, stream.Close()); err != nil {
		return err
	}
	if m.Size != b.SizeGiB*blockstorage.GiB {
		return fault.Unavailablef("%d bytes of the volume were read, not %d GiB", m.Size, b.SizeGiB)
	}
	r.State.Objects = m.Count()
	return nil
}

func (s *Backups) dropBytes(ctx context.Context, r *run) error {
	b, err := s.Store.Get(ctx, r.Params.Backup)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.Archive.Drop(ctx, place(b))
}

func (s *Backups) markAvailable(ctx context.Context, tx *db.Tx, r *run) error {
	if err := s.dropCopy(ctx, tx, r); err != nil {
		return err
	}
	b, err := s.Store.change(ctx, tx, r.Params.Backup, func(b *blockstorage.Backup) error {
		b.Status, b.Error, b.Objects = blockstorage.BackupAvailable, "", r.State.Objects
		return nil
	})
	if err != nil {
		return err
	}
	return s.release(ctx, tx, b)
}

// release gives what was backed up the status back that it had before.
func (s *Backups) release(ctx context.Context, tx *db.Tx, b *blockstorage.Backup) error {
	if b.SnapshotID != "" {
		return missing(s.Snapshots.Alter(ctx, tx, b.SnapshotID, func(sn *blockstorage.Snapshot) error {
			if sn.Status == blockstorage.SnapshotBackingUp {
				sn.Status = blockstorage.SnapshotAvailable
			}
			return nil
		}))
	}
	_, err := s.Volumes.Change(ctx, tx, b.VolumeID, func(v *blockstorage.Volume) error {
		if v.Status == blockstorage.BackingUp {
			v.Status = blockstorage.StatusOf(v.Attachments)
		}
		return nil
	})
	return missing(err)
}

// missing takes what is gone for done.
func missing(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func (s *Backups) markFailed(ctx context.Context, tx *db.Tx, r *run) error {
	return s.ifThere(ctx, tx, r.Params.Backup, func(b *blockstorage.Backup) error {
		if err := s.release(ctx, tx, b); err != nil || b.Status == blockstorage.BackupDeleting {
			return err
		}
		b.Status, b.Error = blockstorage.BackupError, orElse(fault.As(r.Err).Text, "An unknown error occurred.")
		return s.Messages.Tell(ctx, tx, blockstorage.Message{ProjectID: b.ProjectID, RequestID: r.RequestID, Kind: "VOLUME_BACKUP", ResourceID: b.ID,
			Event: "013_001", Text: "create backup: " + b.Error})
	})
}

// ifThere is change that does nothing when the backup is gone.
func (s *Backups) ifThere(ctx context.Context, tx *db.Tx, id string, f func(*blockstorage.Backup) error) error {
	_, err := s.Store.change(ctx, tx, id, f)
	return missing(err)
}

// removeSaga removes a backup with its pieces, unless another record shares them.
func (s *Backups) removeSaga() task.Saga[params, state] {
	return task.Saga[params, state]{
		Name: "blockstorage.backup.delete", Deadline: 24 * time.Hour,
		Steps: []task.Step[params, state]{
			{Name: "begin", UndoCommit: s.markUndeleted},
			{Name: "pieces", Do: s.dropPieces, Timeout: time.Hour},
			{Name: "erase", Commit: s.erase},
		},
	}
}

func (s *Backups) dropPieces(ctx context.Context, r *run) error {
	b, err := s.Store.Get(ctx, r.Params.Backup)
	if err != nil {
		return missing(err)
	}
	n, err := s.Store.shared(ctx, b)
	if err != nil || n > 1 {
		return err
	}
	return s.Archive.Drop(ctx, place(b))
}

func (s *Backups) erase(ctx context.Context, tx *db.Tx, r *run) error {
	return missing(rows.Delete(ctx, tx, r.Params.Backup))
}

func (s *Backups) markUndeleted(ctx context.Context, tx *db.Tx, r *run) error {
	return s.ifThere(ctx, tx, r.Params.Backup, func(b *blockstorage.Backup) error {
		b.Status, b.Error = blockstorage.BackupErrorDel, fault.As(r.Err).Text
		return nil
	})
}

// importSaga looks whether the pieces of an imported backup are there.
func (s *Backups) importSaga() task.Saga[params, state] {
	return task.Saga[params, state]{
		Name: "blockstorage.backup.import",
		Steps: []task.Step[params, state]{
			{Name: "begin", UndoCommit: s.markUnfound},
			{Name: "look", Do: s.look},
			{Name: "done", Commit: s.markFound},
		},
	}
}

func (s *Backups) look(ctx context.Context, r *run) error {
	b, err := s.Store.Get(ctx, r.Params.Backup)
	if err != nil {
		return err
	}
	m, err := archive.Load(ctx, s.Archive, place(b))
	if err != nil {
		return err
	}
	if m.Size != b.SizeGiB*blockstorage.GiB {
		return fault.Conflictf("The backup has %d bytes, which its record does not say.", m.Size)
	}
	r.State.Objects = m.Count()
	return nil
}

func (s *Backups) markFound(ctx context.Context, tx *db.Tx, r *run) error {
	_, err := s.Store.change(ctx, tx, r.Params.Backup, func(b *blockstorage.Backup) error {
		b.Status, b.Error, b.Objects = blockstorage.BackupAvailable, "", r.State.Objects
		return nil
	})
	return err
}

func (s *Backups) markUnfound(ctx context.Context, tx *db.Tx, r *run) error {
	return s.ifThere(ctx, tx, r.Params.Backup, func(b *blockstorage.Backup) error {
		if b.Status != blockstorage.BackupDeleting {
			b.Status, b.Error = blockstorage.BackupError, fault.As(r.Err).Text
		}
		return nil
	})
}

// Stream serves the bytes of a backup to a host that makes a volume from it.
func (s *Backups) Stream(ctx context.Context, host string, raw json.RawMessage) (io.ReadWriteCloser, error) {
	var p disk.ReadParams
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fault.Invalidf("parameters of the stream cannot be read").Because(err)
	}
	may, err := s.Volumes.HostMayRestore(ctx, host, p.ID)
	if err == nil && !may {
		err = blockstorage.BackupNotFound(p.ID)
	}
	if err != nil {
		return nil, err
	}
	b, err := s.Store.Get(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	m, err := archive.Load(ctx, s.Archive, place(b))
	if err != nil {
		return nil, err
	}
	return readOnly{archive.Read(ctx, s.Archive, m)}, nil
}

// readOnly is a stream that takes nothing.
type readOnly struct{ io.Reader }

func (readOnly) Write([]byte) (int, error) { return 0, fault.Conflictf("this stream is only read") }

func (readOnly) Close() error { return nil }
