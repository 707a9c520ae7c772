package snapshots

import (
	"context"
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/task"
)

// Snapshots is the service behind the API. Safe for concurrent use.
type Snapshots struct {
	store   *Store
	clock   clock.Clock
	tasks   *task.Engine
	volumes blockstorage.Volumes
	hosts   Hosts
	tell    blockstorage.Messages
	relics  blockstorage.Relics
	make    *task.Handle[params]
	remove  *task.Handle[params]
}

// New makes the service and registers its sagas.
func New(s *Store, c clock.Clock, tasks *task.Engine, volumes blockstorage.Volumes, hosts Hosts, tell blockstorage.Messages, relics blockstorage.Relics) *Snapshots {
	out := &Snapshots{store: s, clock: c, tasks: tasks, volumes: volumes, hosts: hosts, tell: tell, relics: relics}
	out.make = task.Register(tasks, out.makeSaga())
	out.remove = task.Register(tasks, out.removeSaga())
	return out
}

func (s *Snapshots) now() int64 { return clock.Micros(s.clock.Now()) }

func work(sn *blockstorage.Snapshot, record event.Record) task.Work {
	return task.Work{Object: sn.ID, ProjectID: sn.ProjectID, UserID: record.UserID, RequestID: record.RequestID}
}

// create records a snapshot and begins to take it.
func (s *Snapshots) create(ctx context.Context, sn *blockstorage.Snapshot, force bool, record event.Record) error {
	return s.store.db.Write(ctx, func(tx *db.Tx) error { return s.CreateIn(ctx, tx, sn, force, record) })
}

// CreateIn is create in a transaction, for snapshots of a group.
func (s *Snapshots) CreateIn(ctx context.Context, tx *db.Tx, sn *blockstorage.Snapshot, force bool, record event.Record) error {
	_, err := s.volumes.Change(ctx, tx, sn.VolumeID, func(v *blockstorage.Volume) error {
		if err := snapshotable(v, force); err != nil {
			return err
		}
		sn.SizeGiB, sn.Guest = v.SizeGiB, v.Guest()
		return s.describe(ctx, tx, sn, v)
	})
	if err != nil {
		return err
	}
	return s.record(ctx, tx, sn, record)
}

// describe copies what a snapshot has of its volume, and checks the quota.
func (s *Snapshots) describe(ctx context.Context, tx *db.Tx, sn *blockstorage.Snapshot, v *blockstorage.Volume) error {
	sn.TypeID, sn.Host, sn.Bootable, sn.ImageMeta = v.TypeID, v.Host, v.Bootable, maps.Clone(v.ImageMeta)
	more := map[string]int64{"snapshots": 1, "gigabytes": sn.SizeGiB}
	if v.TypeName != "" {
		more["snapshots_"+v.TypeName], more["gigabytes_"+v.TypeName] = 1, sn.SizeGiB
	}
	return s.volumes.CheckQuota(ctx, tx, sn.ProjectID, more)
}

// record stores a snapshot and begins to take it.
func (s *Snapshots) record(ctx context.Context, tx *db.Tx, sn *blockstorage.Snapshot, record event.Record) error {
	sn.Status, sn.Progress, sn.CreatedAt = blockstorage.SnapshotCreating, "0%", s.now()
	if err := s.store.insert(ctx, tx, sn); err != nil {
		return err
	}
	if _, err := s.make.Enqueue(ctx, tx, work(sn, record), params{Snapshot: sn.ID}); err != nil {
		return err
	}
	record.Object, record.ProjectID = sn.ID, sn.ProjectID
	return outbox.Write(ctx, tx, record)
}

// Manage makes a snapshot of a relic.
func (s *Snapshots) Manage(ctx context.Context, sn *blockstorage.Snapshot, record event.Record) error {
	sn.Metadata = filled(sn.Metadata)
	return s.store.db.Write(ctx, func(tx *db.Tx) error {
		_, err := s.volumes.Change(ctx, tx, sn.VolumeID, func(v *blockstorage.Volume) error { return s.describe(ctx, tx, sn, v) })
		if err != nil {
			return err
		}
		return s.record(ctx, tx, sn, record)
	})
}

// unmanage forgets a snapshot, but not its data: they become a relic of its host.
func (s *Snapshots) unmanage(ctx context.Context, id string, record event.Record) error {
	return s.store.db.Write(ctx, func(tx *db.Tx) error {
		var relic blockstorage.Relic
		_, err := s.store.change(ctx, tx, id, s.now(), func(sn *blockstorage.Snapshot) error {
			if sn.Status != blockstorage.SnapshotAvailable && sn.Status != blockstorage.SnapshotError || !sn.Kept || sn.GroupID != "" {
				return blockstorage.InvalidSnapshot("Snapshot %s status must be available or error and it must not belong to a group, but current status is: %s.", id, sn.Status)
			}
			relic = blockstorage.Relic{ID: sn.ID, Snapshot: true, Host: sn.Host, SizeGiB: sn.SizeGiB, VolumeID: sn.VolumeID, CreatedAt: s.now()}
			return nil
		})
		if err != nil {
			return err
		}
		if err := s.store.erase(ctx, tx, id); err != nil {
			return err
		}
		if err := s.relics.Keep(ctx, tx, &relic); err != nil {
			return err
		}
		if _, err := s.volumes.RaiseHost(ctx, tx, relic.Host); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

func snapshotable(v *blockstorage.Volume, force bool) error {
	if v.Status == blockstorage.InUse && !force {
		return blockstorage.InvalidVolume("Volume %s status must be available, but current status is: %s.", v.ID, v.Status)
	}
	if !v.May(blockstorage.ActSnapshot) {
		return blockstorage.InvalidVolume("Volume %s status must be available or in-use, but current status is: %s.", v.ID, v.Status)
	}
	return nil
}

// change lets f change a snapshot, with an audit record.
func (s *Snapshots) change(ctx context.Context, id string, record event.Record, f func(*blockstorage.Snapshot) error) (sn *blockstorage.Snapshot, err error) {
	err = s.store.db.Write(ctx, func(tx *db.Tx) error {
		if sn, err = s.store.change(ctx, tx, id, s.now(), f); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return sn, err
}

// deletable are the statuses from which a snapshot is deleted. Our own
// transitional ones do not hinder it.
var deletable = []blockstorage.SnapshotStatus{blockstorage.SnapshotAvailable, blockstorage.SnapshotError, blockstorage.SnapshotCreating,
	blockstorage.SnapshotDeleting, blockstorage.SnapshotErrorDeleting}

// drop begins to delete a snapshot.
func (s *Snapshots) drop(ctx context.Context, id string, force bool, record event.Record) error {
	return s.store.db.Write(ctx, func(tx *db.Tx) error { return s.DropIn(ctx, tx, id, force, false, record) })
}

// DropIn is drop in a transaction. A snapshot of a group snapshot goes with that only.
func (s *Snapshots) DropIn(ctx context.Context, tx *db.Tx, id string, force, withGroup bool, record event.Record) error {
	sn, err := s.store.change(ctx, tx, id, s.now(), func(sn *blockstorage.Snapshot) error {
		if sn.GroupID != "" && !withGroup && !force {
			return blockstorage.InvalidSnapshot("Snapshot %s belongs to group snapshot %s.", id, sn.GroupID)
		}
		if !force && !slices.Contains(deletable, sn.Status) {
			return blockstorage.InvalidSnapshot("Snapshot %s status must be available or error, but current status is: %s.", id, sn.Status)
		}
		sn.Status = blockstorage.SnapshotDeleting
		return nil
	})
	if err != nil {
		return err
	}
	w := work(sn, record)
	w.Preempt = true
	if _, err := s.remove.Enqueue(ctx, tx, w, params{Snapshot: id}); err != nil {
		return err
	}
	record.Object, record.ProjectID = sn.ID, sn.ProjectID
	return outbox.Write(ctx, tx, record)
}

// OfGroup lists the snapshots of a group snapshot.
func (s *Snapshots) OfGroup(ctx context.Context, q db.Querier, groupSnapshot string) ([]*blockstorage.Snapshot, error) {
	return s.store.OfGroup(ctx, q, groupSnapshot)
}
