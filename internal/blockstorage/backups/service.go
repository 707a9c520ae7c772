package backups

import (
	"context"
	"maps"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/archive"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/task"
)

// Volumes is what backups need of volumes, beyond the contract.
type Volumes interface {
	blockstorage.Volumes
	// Restore begins to give a volume the content of a backup.
	Restore(ctx context.Context, tx *db.Tx, id string, b *blockstorage.Backup, record event.Record) error
	// RestoreNew begins to make a volume of a backup, which is its source.
	RestoreNew(ctx context.Context, v *blockstorage.Volume, viewer blockstorage.Viewer, record event.Record) (*blockstorage.Volume, error)
	// HostMayRestore tells whether a host makes a volume from a backup.
	HostMayRestore(ctx context.Context, host, backup string) (bool, error)
}

// Config is what the service works with.
type Config struct {
	Store     *Store
	Clock     clock.Clock
	Tasks     *task.Engine
	Volumes   Volumes
	Snapshots blockstorage.Snapshots
	Messages  blockstorage.Messages
	Hosts     Hosts
	Archive   archive.Store
}

// Backups is the service behind the API. Safe for concurrent use.
type Backups struct {
	Config
	make   *task.Handle[params]
	remove *task.Handle[params]
	verify *task.Handle[params]
}

// New makes the service and registers its sagas.
func New(cfg Config) *Backups {
	s := &Backups{Config: cfg}
	s.make = task.Register(cfg.Tasks, s.makeSaga())
	s.remove = task.Register(cfg.Tasks, s.removeSaga())
	s.verify = task.Register(cfg.Tasks, s.importSaga())
	return s
}

// DefaultContainer is where backups are kept that name none.
const DefaultContainer = "volumebackups"

func place(b *blockstorage.Backup) archive.Place {
	return archive.Place{Container: b.Container, Backup: b.Location}
}

func work(b *blockstorage.Backup, record event.Record) task.Work {
	return task.Work{Object: b.ID, ProjectID: b.ProjectID, UserID: record.UserID, RequestID: record.RequestID}
}

// change lets f change a backup, with an audit record.
func (s *Backups) change(ctx context.Context, id string, record event.Record, f func(*blockstorage.Backup) error) (b *blockstorage.Backup, err error) {
	err = s.Store.db.Write(ctx, func(tx *db.Tx) error {
		if b, err = s.Store.change(ctx, tx, id, f); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return b, err
}

// create records a backup and begins to take it.
func (s *Backups) create(ctx context.Context, b *blockstorage.Backup, force, incremental bool, record event.Record) error {
	b.Status, b.Location, b.Service, b.CreatedAt = blockstorage.BackupCreating, b.ID, s.Archive.Name(), s.Store.now()
	b.DataAt, b.Metadata = b.CreatedAt, filled(b.Metadata)
	if b.Container == "" {
		b.Container = DefaultContainer
	}
	if b.Zone == "" {
		b.Zone = blockstorage.Zone
	}
	if err := place(b).Check(); err != nil {
		return err
	}
	var before int64
	if b.SnapshotID != "" {
		sn, err := s.snapshot(ctx, b)
		if err != nil {
			return err
		}
		b.DataAt, before = sn.CreatedAt, sn.CreatedAt
	}
	if incremental {
		parent, err := s.Store.latest(ctx, b.VolumeID, b.ProjectID, before)
		if err != nil {
			return err
		}
		b.ParentID = parent.ID
	}
	return s.Store.db.Write(ctx, func(tx *db.Tx) error { return s.record(ctx, tx, b, force, record) })
}

// snapshot finds the snapshot that a backup is taken of.
func (s *Backups) snapshot(ctx context.Context, b *blockstorage.Backup) (*blockstorage.Snapshot, error) {
	sn, err := s.Snapshots.Get(ctx, b.SnapshotID)
	switch {
	case err != nil:
		return nil, err
	case sn.ProjectID != b.ProjectID:
		return nil, blockstorage.SnapshotNotFound(b.SnapshotID)
	case sn.VolumeID != b.VolumeID:
		return nil, blockstorage.InvalidVolume("Volume %s does not match with snapshot.volume_id %s.", b.VolumeID, sn.VolumeID)
	}
	return sn, nil
}

func (s *Backups) record(ctx context.Context, tx *db.Tx, b *blockstorage.Backup, force bool, record event.Record) error {
	_, err := s.Volumes.Change(ctx, tx, b.VolumeID, func(v *blockstorage.Volume) error {
		b.SizeGiB, b.Host = v.SizeGiB, v.Host
		b.Volume = blockstorage.VolumeFacts{Bootable: v.Bootable, Metadata: maps.Clone(v.Metadata), ImageMeta: maps.Clone(v.ImageMeta)}
		if b.SnapshotID != "" {
			return nil
		}
		if err := backupable(v, force); err != nil {
			return err
		}
		b.Guest = v.Guest()
		v.Before, v.Status = v.Status, blockstorage.BackingUp
		return nil
	})
	if err == nil && b.SnapshotID != "" {
		err = s.Snapshots.Alter(ctx, tx, b.SnapshotID, func(sn *blockstorage.Snapshot) error {
			if sn.Status != blockstorage.SnapshotAvailable {
				return blockstorage.InvalidSnapshot("Snapshot to be backed up must be available, but the current status is \"%s\".", sn.Status)
			}
			b.SizeGiB, b.Host, sn.Status = sn.SizeGiB, sn.Host, blockstorage.SnapshotBackingUp
			return nil
		})
	}
	if err == nil {
		err = s.Volumes.CheckQuota(ctx, tx, b.ProjectID, map[string]int64{"backups": 1, "backup_gigabytes": b.SizeGiB})
	}
	if err == nil {
		err = rows.Insert(ctx, tx, toRow(b))
	}
	if err == nil {
		_, err = s.make.Enqueue(ctx, tx, work(b, record), params{Backup: b.ID})
	}
	if err != nil {
		return err
	}
	return outbox.Write(ctx, tx, record)
}

func backupable(v *blockstorage.Volume, force bool) error {
	switch {
	case !v.May(blockstorage.ActBackupForce) || !v.Kept || v.MoveTo != "":
		return blockstorage.InvalidVolume("Volume to be backed up must be available or in-use, but the current status is \"%s\".", v.Status)
	case !v.May(blockstorage.ActBackup) && !force:
		return blockstorage.InvalidVolume("Backing up an in-use volume must use the force flag.")
	}
	return nil
}

// drop begins to delete a backup. One that is being taken or could not be
// deleted is given up.
func (s *Backups) drop(ctx context.Context, id string, force bool, record event.Record) error {
	return s.Store.db.Write(ctx, func(tx *db.Tx) error {
		b, err := s.Store.change(ctx, tx, id, func(b *blockstorage.Backup) error {
			n, err := children(ctx, tx, id)
			switch {
			case err != nil:
				return err
			case !force && b.Status == blockstorage.BackupRestoring:
				return blockstorage.InvalidBackup("Backup status must be available or error")
			case n > 0:
				return blockstorage.InvalidBackup("Incremental backups exist for this backup.")
			}
			b.Status = blockstorage.BackupDeleting
			return nil
		})
		if err != nil {
			return err
		}
		w := work(b, record)
		w.Preempt = true
		if _, err := s.remove.Enqueue(ctx, tx, w, params{Backup: id}); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// restore begins to make a volume of a backup, or to give it to one.
func (s *Backups) restore(ctx context.Context, b *blockstorage.Backup, v *blockstorage.Volume, fresh bool, viewer blockstorage.Viewer, record event.Record) (*blockstorage.Volume, error) {
	if b.Status != blockstorage.BackupAvailable {
		return nil, blockstorage.InvalidBackup("Backup status must be available")
	}
	if fresh {
		v.Source = blockstorage.Source{BackupID: b.ID}
		return s.Volumes.RestoreNew(ctx, v, viewer, record)
	}
	return v, s.Store.db.Write(ctx, func(tx *db.Tx) error { return s.Volumes.Restore(ctx, tx, v.ID, b, record) })
}

// admit records an imported backup and begins to look for its pieces.
func (s *Backups) admit(ctx context.Context, b *blockstorage.Backup, record event.Record) error {
	b.Status, b.CreatedAt = blockstorage.BackupCreating, s.Store.now()
	err := s.Store.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.Volumes.CheckQuota(ctx, tx, b.ProjectID, map[string]int64{"backups": 1, "backup_gigabytes": b.SizeGiB}); err != nil {
			return err
		}
		if err := rows.Insert(ctx, tx, toRow(b)); err != nil {
			return err
		}
		if _, err := s.verify.Enqueue(ctx, tx, work(b, record), params{Backup: b.ID}); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	if fault.Is(err, fault.Conflict) {
		return blockstorage.InvalidBackup("Backup already exists in database.")
	}
	return err
}
