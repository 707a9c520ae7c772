package groups

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/task"
)

type params struct {
	ID string `json:"id"`
}

type run = task.Run[params, struct{}]

// The sagas of groups wait for those of their members, which do the work.
const patience = 6 * time.Hour

func (s *Groups) makeSaga() task.Saga[params, struct{}] {
	return task.Saga[params, struct{}]{
		Name: "blockstorage.group.create", Deadline: patience,
		Steps: []task.Step[params, struct{}]{
			{Name: "begin", UndoCommit: s.end(blockstorage.GroupError)},
			{Name: "volumes", Do: s.volumesMade},
			{Name: "available", Commit: s.end(blockstorage.GroupAvailable)},
		},
	}
}

func (s *Groups) volumesMade(ctx context.Context, r *run) error {
	members, err := s.Volumes.InGroup(ctx, s.Store.db, r.Params.ID)
	if err != nil {
		return err
	}
	for _, v := range members {
		switch v.Status {
		case blockstorage.Creating, blockstorage.Downloading:
			return fault.Unavailablef("volume %s is still being made", v.ID)
		case blockstorage.Error:
			return fault.Conflictf("Volume %s could not be made: %s", v.ID, v.Error)
		}
	}
	return nil
}

// end writes the status of a group, unless it is being deleted.
func (s *Groups) end(status blockstorage.GroupStatus) func(context.Context, *db.Tx, *run) error {
	return func(ctx context.Context, tx *db.Tx, r *run) error {
		_, err := s.Store.change(ctx, tx, r.Params.ID, func(g *group) error {
			if g.Status == blockstorage.GroupDeleting && status != blockstorage.GroupErrorDel {
				return nil
			}
			if g.Status, g.Error = status, ""; r.Err != nil {
				g.Error = fault.As(r.Err).Text
			}
			return nil
		})
		return missing(err)
	}
}

// missing takes what is gone for done.
func missing(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func (s *Groups) removeSaga() task.Saga[params, struct{}] {
	return task.Saga[params, struct{}]{
		Name: "blockstorage.group.delete", Deadline: 24 * time.Hour,
		Steps: []task.Step[params, struct{}]{
			{Name: "begin", UndoCommit: s.end(blockstorage.GroupErrorDel)},
			{Name: "volumes", Do: s.volumesGone},
			{Name: "erase", Commit: func(ctx context.Context, tx *db.Tx, r *run) error { return missing(rows.Delete(ctx, tx, r.Params.ID)) }},
		},
	}
}

func (s *Groups) volumesGone(ctx context.Context, r *run) error {
	members, err := s.Volumes.InGroup(ctx, s.Store.db, r.Params.ID)
	if err != nil {
		return err
	}
	for _, v := range members {
		if v.Status == blockstorage.ErrorDeleting {
			return fault.Conflictf("Volume %s could not be deleted: %s", v.ID, v.Error)
		}
	}
	if len(members) > 0 {
		return fault.Unavailablef("%d volumes are still being deleted", len(members))
	}
	return nil
}

func (s *Groups) makeSnapshotSaga() task.Saga[params, struct{}] {
	return task.Saga[params, struct{}]{
		Name: "blockstorage.group_snapshot.create", Deadline: patience,
		Steps: []task.Step[params, struct{}]{
			{Name: "begin", UndoCommit: s.endSnapshot(blockstorage.GroupError)},
			{Name: "snapshots", Do: s.snapshotsTaken},
			{Name: "available", Commit: s.endSnapshot(blockstorage.GroupAvailable)},
		},
	}
}

func (s *Groups) snapshotsTaken(ctx context.Context, r *run) error {
	taken, err := s.Snapshots.OfGroup(ctx, s.Store.db, r.Params.ID)
	if err != nil {
		return err
	}
	for _, one := range taken {
		switch one.Status {
		case blockstorage.SnapshotCreating:
			return fault.Unavailablef("snapshot %s is still being taken", one.ID)
		case blockstorage.SnapshotError:
			return fault.Conflictf("Snapshot %s could not be taken: %s", one.ID, one.Error)
		}
	}
	return nil
}

// endSnapshot writes the status of a group snapshot and lets its volumes go.
func (s *Groups) endSnapshot(status blockstorage.GroupStatus) func(context.Context, *db.Tx, *run) error {
	return func(ctx context.Context, tx *db.Tx, r *run) error {
		_, err := s.Store.changeSnapshot(ctx, tx, r.Params.ID, func(sn *snapshot) error {
			if err := s.release(ctx, tx, sn); err != nil {
				return err
			}
			if sn.Status == blockstorage.GroupDeleting && status != blockstorage.GroupErrorDel {
				return nil
			}
			if sn.Status, sn.Error = status, ""; r.Err != nil {
				sn.Error = fault.As(r.Err).Text
			}
			return nil
		})
		return missing(err)
	}
}

func (s *Groups) removeSnapshotSaga() task.Saga[params, struct{}] {
	return task.Saga[params, struct{}]{
		Name: "blockstorage.group_snapshot.delete", Deadline: 24 * time.Hour,
		Steps: []task.Step[params, struct{}]{
			{Name: "begin", UndoCommit: s.endSnapshot(blockstorage.GroupErrorDel)},
			{Name: "snapshots", Do: s.snapshotsGone},
			{Name: "erase", Commit: func(ctx context.Context, tx *db.Tx, r *run) error {
				return missing(snapshotRows.Delete(ctx, tx, r.Params.ID))
			}},
		},
	}
}

func (s *Groups) snapshotsGone(ctx context.Context, r *run) error {
	taken, err := s.Snapshots.OfGroup(ctx, s.Store.db, r.Params.ID)
	if err != nil {
		return err
	}
	for _, one := range taken {
		if one.Status == blockstorage.SnapshotErrorDeleting {
			return fault.Conflictf("Snapshot %s could not be deleted: %s", one.ID, one.Error)
		}
	}
	if len(taken) > 0 {
		return fault.Unavailablef("%d snapshots are still being deleted", len(taken))
	}
	return nil
}
