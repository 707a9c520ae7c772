package groups

import (
	"context"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// take begins to take snapshots of all volumes of a group.
func (s *Groups) take(ctx context.Context, sn *snapshot, record event.Record) error {
	t, err := s.Types.Resolve(ctx, sn.TypeID)
	if err != nil {
		return err
	}
	sn.Status, sn.CreatedAt = blockstorage.GroupCreating, s.Store.now()
	each := event.Record{Service: record.Service, Action: "create", Kind: "snapshot", UserID: record.UserID, RequestID: record.RequestID}
	return s.write(ctx, record, func(tx *db.Tx) error {
		g, err := s.Store.change(ctx, tx, sn.GroupID, func(g *group) error {
			if g.Status != blockstorage.GroupAvailable {
				return blockstorage.InvalidGroup("Group %s status must be available, but current status is %s.", g.ID, g.Status)
			}
			return nil
		})
		if err != nil {
			return err
		}
		members, err := s.Volumes.InGroup(ctx, tx, g.ID)
		if err == nil && len(members) == 0 {
			err = blockstorage.InvalidGroup("Group %s is empty. No group snapshot will be created.", g.ID)
		}
		if err == nil {
			err = snapshotRows.Insert(ctx, tx, toSnapshotRow(sn))
		}
		if err != nil {
			return err
		}
		for _, v := range members {
			if err := s.takeOne(ctx, tx, sn, v, t.Consistent(), each); err != nil {
				return err
			}
		}
		_, err = s.makeSnapshot.Enqueue(ctx, tx, work(sn.ID, sn.ProjectID, record), params{ID: sn.ID})
		return err
	})
}

// takeOne begins to take the snapshot of one volume. For consistency no server
// may have the volume, and none gets it before all snapshots are taken.
func (s *Groups) takeOne(ctx context.Context, tx *db.Tx, sn *snapshot, v *blockstorage.Volume, consistent bool, record event.Record) error {
	one := &blockstorage.Snapshot{ID: id.New(), ProjectID: v.ProjectID, UserID: sn.UserID, VolumeID: v.ID, Name: sn.Name, NoName: sn.NoName,
		Description: sn.Description, NoDescribed: sn.NoDescribed, GroupID: sn.ID, Metadata: map[string]string{}}
	if err := s.Snapshots.CreateIn(ctx, tx, one, true, record); err != nil || !consistent {
		return err
	}
	_, err := s.Volumes.Change(ctx, tx, v.ID, func(v *blockstorage.Volume) error {
		if v.Status != blockstorage.Available || len(v.Attachments) > 0 {
			return fault.New(fault.NotImplemented, "Consistent snapshots are taken only while no server has a volume of the group, and volume %s is %s.", v.ID, v.Status)
		}
		v.Before, v.Status = v.Status, blockstorage.Maintenance
		return nil
	})
	return err
}

// release gives the volumes of a group their statuses back.
func (s *Groups) release(ctx context.Context, tx *db.Tx, sn *snapshot) error {
	taken, err := s.Snapshots.OfGroup(ctx, tx, sn.ID)
	if err != nil {
		return err
	}
	for _, one := range taken {
		_, err := s.Volumes.Change(ctx, tx, one.VolumeID, func(v *blockstorage.Volume) error {
			if v.Status == blockstorage.Maintenance {
				v.Status = blockstorage.StatusOf(v.Attachments)
			}
			return nil
		})
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

// dropSnapshot begins to delete a group snapshot with its snapshots.
func (s *Groups) dropSnapshot(ctx context.Context, id string, record event.Record) error {
	each := event.Record{Service: record.Service, Action: "delete", Kind: "snapshot", UserID: record.UserID, RequestID: record.RequestID}
	return s.write(ctx, record, func(tx *db.Tx) error {
		taken, err := s.Snapshots.OfGroup(ctx, tx, id)
		if err != nil {
			return err
		}
		used, err := madeFrom(ctx, tx, id)
		if err != nil {
			return err
		}
		sn, err := s.Store.changeSnapshot(ctx, tx, id, func(sn *snapshot) error {
			if used > 0 {
				return fault.Invalidf("Invalid GroupSnapshot: a group is being created from group snapshot %s.", id)
			}
			sn.Status = blockstorage.GroupDeleting
			return nil
		})
		if err != nil {
			return err
		}
		for _, one := range taken {
			if err := s.Snapshots.DropIn(ctx, tx, one.ID, true, true, each); err != nil {
				return err
			}
		}
		w := work(id, sn.ProjectID, record)
		w.Preempt = true
		_, err = s.removeSnapshot.Enqueue(ctx, tx, w, params{ID: id})
		return err
	})
}
