package volumes

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/task"
)

type migrateParams struct {
	Volume string `json:"volume"`
	To     string `json:"to"`
}

type migrateRun = task.Run[migrateParams, volumeState]

// The migration statuses that volumes have.
const (
	migrationStarting = "starting"
	migrating         = "migrating"
	migrationSuccess  = "success"
	migrationError    = "error"
)

// migrateSaga moves a volume that no server has open to another host.
func (s *Volumes) migrateSaga() task.Saga[migrateParams, volumeState] {
	return task.Saga[migrateParams, volumeState]{
		Name: "blockstorage.volume.migrate", Deadline: 6 * time.Hour,
		Steps: []task.Step[migrateParams, volumeState]{
			{Name: "begin", UndoCommit: s.failMigration},
			{Name: "head", Commit: s.headMigration, UndoCommit: s.stayHere},
			{Name: "copied", Do: s.migrated},
			{Name: "arrive", Commit: s.arriveMigration},
		},
	}
}

func (s *Volumes) headMigration(ctx context.Context, tx *db.Tx, r *migrateRun) error {
	_, err := s.Change(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		if v.Guest() != "" || v.MoveTo != "" && v.MoveTo != r.Params.To {
			return fault.Conflictf("The volume is in use.")
		}
		v.MoveTo, v.Migration = r.Params.To, migrating
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Host = r.Params.To
	r.State.Revision, err = s.RaiseHost(ctx, tx, r.Params.To)
	return err
}

// stayHere takes the move back, unless the volume has arrived.
func (s *Volumes) stayHere(ctx context.Context, tx *db.Tx, r *migrateRun) error {
	err := s.ifThere(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		if v.MoveTo == r.Params.To {
			v.MoveTo = ""
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = s.RaiseHost(ctx, tx, r.Params.To)
	return err
}

func (s *Volumes) migrated(ctx context.Context, r *migrateRun) error {
	return s.await(ctx, r.Params.To, r.State.Revision, r.Params.Volume)
}

// arriveMigration makes the new host the volume's own. A volume that a server
// opened meanwhile stays: what was copied may be older than what it wrote.
func (s *Volumes) arriveMigration(ctx context.Context, tx *db.Tx, r *migrateRun) error {
	old := ""
	_, err := s.Change(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		if v.Guest() != "" || v.MoveTo != r.Params.To {
			return fault.Conflictf("The volume came into use while it was copied.")
		}
		old, v.Host, v.MoveTo = v.Host, r.Params.To, ""
		endMigration(v, migrationSuccess)
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := s.RaiseHost(ctx, tx, old); err != nil {
		return err
	}
	_, err = s.RaiseHost(ctx, tx, r.Params.To)
	return err
}

func (s *Volumes) failMigration(ctx context.Context, tx *db.Tx, r *migrateRun) error {
	return s.ifThere(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		endMigration(v, migrationError)
		return nil
	})
}

func endMigration(v *blockstorage.Volume, how string) {
	v.Migration = how
	if v.Status == blockstorage.Maintenance {
		v.Status = blockstorage.StatusOf(v.Attachments)
	}
}
