package snapshots

import (
	"context"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
)

// Snapshot records a snapshot for another service.
func (s *Snapshots) Snapshot(ctx context.Context, in blockstorage.NewSnapshot) error {
	if _, err := s.store.Get(ctx, in.ID); !fault.Is(err, fault.NotFound) {
		return err // begun before
	}
	record := event.Record{Service: "block-storage", Action: "create", Kind: "snapshot", Object: in.ID, ProjectID: in.Viewer.ProjectID, UserID: in.Viewer.UserID}
	sn := &blockstorage.Snapshot{ID: in.ID, VolumeID: in.VolumeID, ProjectID: in.Viewer.ProjectID, UserID: in.Viewer.UserID, Name: in.Name, NoDescribed: true}
	return s.create(ctx, sn, true, record)
}

// SnapshotReady waits until a snapshot is taken.
func (s *Snapshots) SnapshotReady(ctx context.Context, id string) error {
	err := s.tasks.Until(ctx, func() (bool, error) {
		sn, err := s.store.Get(ctx, id)
		if err != nil {
			return false, err
		}
		switch sn.Status {
		case blockstorage.SnapshotCreating:
			return false, nil
		case blockstorage.SnapshotAvailable:
			return true, nil
		}
		return false, fault.Conflictf("Snapshot %s cannot be used: %s", id, orElse(sn.Error, "status "+string(sn.Status)))
	})
	if err != nil && err == ctx.Err() {
		return fault.Unavailablef("Snapshot %s is still being taken.", id).Because(err)
	}
	return err
}

// DiscardSnapshot deletes a snapshot, whatever its status.
func (s *Snapshots) DiscardSnapshot(ctx context.Context, id string) error {
	err := s.drop(ctx, id, true, event.Record{Service: "block-storage", Action: "delete", Kind: "snapshot", Object: id})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
