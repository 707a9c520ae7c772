package volumes

import (
	"context"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/outbox"
)

// nextEpoch is later than every epoch that a volume's host may have seen, also
// of replacements that failed.
func (s *Volumes) nextEpoch(v *blockstorage.Volume) int64 { return max(s.now(), v.Epoch+1) }

// replace begins to replace the content of a volume. prepare refuses, or says
// what it is replaced by; it may change the volume.
func (s *Volumes) replace(ctx context.Context, id string, record event.Record, prepare func(tx *db.Tx, v *blockstorage.Volume, p *rewriteParams) error) error {
	return s.DB.Write(ctx, func(tx *db.Tx) error { return s.replaceIn(ctx, tx, id, record, prepare) })
}

func (s *Volumes) replaceIn(ctx context.Context, tx *db.Tx, id string, record event.Record, prepare func(tx *db.Tx, v *blockstorage.Volume, p *rewriteParams) error) error {
	p := rewriteParams{Volume: id}
	v, err := s.Change(ctx, tx, id, func(v *blockstorage.Volume) error {
		if !v.Kept || v.MoveTo != "" {
			return blockstorage.InvalidVolume("Volume %s is on no host, or on its way to one.", id)
		}
		v.Before, p.Was, p.Epoch = v.Status, v.Epoch, s.nextEpoch(v)
		return prepare(tx, v, &p)
	})
	if err != nil {
		return err
	}
	if _, err := s.write.Enqueue(ctx, tx, s.workOn(v, record), p); err != nil {
		return err
	}
	return outbox.Write(ctx, tx, record)
}

// beginRevert begins to give a volume the content of its newest snapshot.
func (s *Volumes) beginRevert(ctx context.Context, id, snapshot string, record event.Record) error {
	return s.replace(ctx, id, record, func(tx *db.Tx, v *blockstorage.Volume, p *rewriteParams) error {
		if !v.May(blockstorage.ActRevert) {
			return fault.Conflictf("Invalid volume: Can't revert volume %s to its latest snapshot %s. Volume's status must be 'available'.", id, snapshot)
		}
		p.Source, p.Done, p.Failed, p.What = blockstorage.Source{SnapshotID: snapshot}, blockstorage.Available, blockstorage.Error, "revert volume"
		v.Status = blockstorage.Reverting
		return s.Snapshots.Alter(ctx, tx, snapshot, func(sn *blockstorage.Snapshot) error {
			if sn.Status != blockstorage.SnapshotAvailable {
				return fault.Conflictf("Invalid snapshot: Can't revert volume %s to its latest snapshot %s. Snapshot's status must be 'available'.", id, snapshot)
			}
			if sn.Host != v.Host {
				return fault.Conflictf("Invalid snapshot: Snapshot %s is on another host than its volume.", snapshot)
			}
			sn.Status = blockstorage.SnapshotRestoring
			return nil
		})
	})
}

// beginReimage begins to give a volume the content of an image.
func (s *Volumes) beginReimage(ctx context.Context, id, imageID string, reserved bool, viewer blockstorage.Viewer, record event.Record) error {
	act := blockstorage.ActReimage
	if reserved {
		act = blockstorage.ActReimageForced
	}
	return s.reimage(ctx, id, imageID, viewer, record, func(v *blockstorage.Volume) error {
		switch {
		case len(v.Attachments) > 1:
			return fault.Conflictf("Cannot re-image a volume which is attached to more than one server.")
		case !v.May(act):
			return blockstorage.InvalidVolume("Volume %s status must be available or error, but current status is %s.", id, v.Status)
		}
		return nil
	})
}

func (s *Volumes) reimage(ctx context.Context, id, imageID string, viewer blockstorage.Viewer, record event.Record, may func(v *blockstorage.Volume) error) error {
	there, err := s.store.Get(ctx, id)
	if err == nil {
		err = may(there)
	}
	if err != nil {
		return err
	}
	img, err := s.fitting(ctx, imageID, there.SizeGiB, viewer)
	if err != nil {
		return err
	}
	return s.replace(ctx, id, record, func(_ *db.Tx, v *blockstorage.Volume, p *rewriteParams) error {
		if err := may(v); err != nil {
			return err
		}
		p.Source = blockstorage.Source{ImageID: img.ID, ImageFormat: string(img.Content)}
		p.Done, p.Failed, p.What = blockstorage.StatusOf(v.Attachments), blockstorage.Error, "reimage volume"
		p.Become = &blockstorage.VolumeFacts{Bootable: true, ImageMeta: imageMeta(img)}
		v.Status = blockstorage.Downloading
		return nil
	})
}

// Reimage overwrites a volume for another service and waits for it. Who asked
// was checked by that service.
func (s *Volumes) Reimage(ctx context.Context, volume, imageID string) error {
	v, err := s.store.Get(ctx, volume)
	if err != nil {
		return err
	}
	if v.Status != blockstorage.Downloading { // else an earlier call began it
		record := event.Record{Service: "block-storage", Action: "reimage", Kind: "volume", Object: volume, ProjectID: v.ProjectID}
		err := s.reimage(ctx, volume, imageID, blockstorage.Viewer{Admin: true}, record, func(*blockstorage.Volume) error { return nil })
		if err != nil {
			return err
		}
	}
	_, err = s.Ready(ctx, volume)
	return err
}

// Restore begins to give a volume the content of a backup; it is part of the
// transaction that marks the backup.
func (s *Volumes) Restore(ctx context.Context, tx *db.Tx, id string, b *blockstorage.Backup, record event.Record) error {
	return s.replaceIn(ctx, tx, id, record, func(tx *db.Tx, v *blockstorage.Volume, p *rewriteParams) error {
		if !v.May(blockstorage.ActRestore) {
			return blockstorage.InvalidVolume("Volume to be restored to must be available")
		}
		if v.SizeGiB < b.SizeGiB {
			return blockstorage.InvalidVolume("volume size %d is too small to restore backup of size %d.", v.SizeGiB, b.SizeGiB)
		}
		p.Source, p.Done, p.Failed, p.What = blockstorage.Source{BackupID: b.ID}, blockstorage.Available, blockstorage.ErrorRestoring, "restore backup"
		facts := b.Volume
		p.Become, v.Status = &facts, blockstorage.Restoring
		return s.Backups.BeginRestore(ctx, tx, b.ID, id)
	})
}

// beginMigration begins to move a volume to another host.
func (s *Volumes) beginMigration(ctx context.Context, id, to string, lock bool, record event.Record) error {
	host, _, _ := strings.Cut(to, "@")
	if err := s.openHost(ctx, host); err != nil {
		return err
	}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		v, err := s.Change(ctx, tx, id, func(v *blockstorage.Volume) error {
			n, err := s.Snapshots.CountOf(ctx, tx, id)
			if err != nil {
				return err
			}
			moving := moving(v)
			if !v.May(blockstorage.ActMigrate) || !v.Kept || v.MoveTo != "" || moving || n > 0 || v.GroupID != "" || v.Host == host {
				return blockstorage.InvalidVolume("Volume %s status must be available or in-use, must not be migrating, have snapshots, be replicated, be part of a group and destination host/cluster must be different than the current one", id)
			}
			if v.Status == blockstorage.InUse {
				return fault.New(fault.NotImplemented, "Volumes are not migrated while a server has them open.")
			}
			v.Migration = migrationStarting
			if lock {
				v.Before, v.Status = v.Status, blockstorage.Maintenance
			}
			return nil
		})
		if err != nil {
			return err
		}
		if _, err := s.move.Enqueue(ctx, tx, s.workOn(v, record), migrateParams{Volume: id, To: host}); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// openHost refuses a host that is not there or takes no new volumes.
func (s *Volumes) openHost(ctx context.Context, host string) error {
	pools, err := s.Pools(ctx)
	if err != nil {
		return err
	}
	closed, err := s.Doors.Closed(ctx)
	if err != nil {
		return err
	}
	_, shut := closed[host]
	for _, p := range pools {
		if p.Host == host && p.Alive && !shut {
			return nil
		}
	}
	return fault.Invalidf("Invalid host: No available service named '%s'", host)
}

// unmanage forgets a volume, but not its data: they become a relic of its host.
func (s *Volumes) unmanage(ctx context.Context, tx *db.Tx, id string) error {
	v, err := s.Change(ctx, tx, id, func(v *blockstorage.Volume) error {
		n, err := s.Snapshots.CountOf(ctx, tx, id)
		if err != nil {
			return err
		}
		switch {
		case n > 0 || len(v.Attachments) > 0 || v.GroupID != "" || v.MoveTo != "" || v.Status != blockstorage.Available && v.Status != blockstorage.Error:
			return undeletable(false)
		case !v.Kept:
			return blockstorage.InvalidVolume("Volume %s is on no host.", id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.store.erase(ctx, tx, id); err != nil {
		return err
	}
	relic := &blockstorage.Relic{ID: v.ID, Host: v.Host, SizeGiB: v.SizeGiB, Epoch: v.Epoch, CreatedAt: s.now()}
	if err := s.Relics.Keep(ctx, tx, relic); err != nil {
		return err
	}
	_, err = s.RaiseHost(ctx, tx, v.Host)
	return err
}

// Manage makes a volume of a relic.
func (s *Volumes) Manage(ctx context.Context, v *blockstorage.Volume, typeWord string, viewer blockstorage.Viewer, record event.Record) (*blockstorage.Volume, error) {
	d := &draft{Volume: *v}
	if err := s.derive(ctx, d, typeWord, viewer); err != nil {
		return nil, err
	}
	return s.create(ctx, d, record)
}

// Hosted tells whether a host that keeps volumes has a name.
func (s *Volumes) Hosted(host string) bool { return slices.Contains(s.Hosts.Names(), host) }

// RestoreNew begins to make a volume of a backup.
func (s *Volumes) RestoreNew(ctx context.Context, v *blockstorage.Volume, viewer blockstorage.Viewer, record event.Record) (*blockstorage.Volume, error) {
	return s.Manage(ctx, v, "", viewer, record)
}

// InGroup lists the volumes of a group.
func (s *Volumes) InGroup(ctx context.Context, q db.Querier, group string) ([]*blockstorage.Volume, error) {
	list, err := volumeRows.Find(ctx, q, listing.Term{Column: "group_id", Values: []any{group}})
	out := make([]*blockstorage.Volume, 0, len(list))
	for _, r := range list {
		out = append(out, r.volume())
	}
	return out, err
}

// Grouped lists the ids of all volumes that belong to groups, by group.
func (s *Volumes) Grouped(ctx context.Context) (map[string][]string, error) {
	list, err := volumeRows.Find(ctx, s.DB, listing.Term{Column: "group_id", Op: listing.NotEq, Values: []any{""}})
	out := map[string][]string{}
	for _, r := range list {
		out[r.GroupID] = append(out[r.GroupID], r.ID)
	}
	return out, err
}

// DropGrouped begins to delete a volume together with its group.
func (s *Volumes) DropGrouped(ctx context.Context, tx *db.Tx, id string, record event.Record) error {
	return s.dropIn(ctx, tx, id, false, false, true, record)
}

// Draft checks a volume that is to be made with others, and gives what records
// it in their transaction, as a member of a group.
func (s *Volumes) Draft(ctx context.Context, v *blockstorage.Volume, viewer blockstorage.Viewer) (func(context.Context, *db.Tx, string, event.Record) error, error) {
	d := &draft{Volume: *v}
	if err := s.derive(ctx, d, "", viewer); err != nil {
		return nil, err
	}
	return func(ctx context.Context, tx *db.Tx, group string, record event.Record) error {
		d.GroupID = group
		return s.insert(ctx, tx, d, record)
	}, nil
}
