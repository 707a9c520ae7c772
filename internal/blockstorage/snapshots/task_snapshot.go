package snapshots

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/task"
)

// Hosts is what snapshots ask of the hosts that keep them.
type Hosts = hostlink.Hosts

type params struct {
	Snapshot string `json:"snapshot"`
}

type state struct {
	Host     string `json:"host"`
	Revision int64  `json:"revision"`
}

type run = task.Run[params, state]

// Specs lists what a host shall have of snapshots.
func (s *Snapshots) Specs(ctx context.Context, host string) ([]disk.Spec, error) {
	list, err := s.store.onHost(ctx, host)
	out := make([]disk.Spec, 0, len(list))
	for _, sn := range list {
		spec := disk.Spec{ID: sn.ID, Kind: disk.Snapshot, SizeBytes: sn.SizeGiB * blockstorage.GiB, Format: disk.Raw, Made: true}
		if sn.Status == blockstorage.SnapshotCreating {
			spec.Made, spec.Source = false, disk.Source{Kind: disk.FromVolume, ID: sn.VolumeID, Guest: sn.Guest}
			if sn.Relic != "" {
				spec.Source = disk.Source{Kind: disk.FromSnapshot, ID: sn.Relic}
			}
		}
		out = append(out, spec)
	}
	return out, err
}

func (s *Snapshots) makeSaga() task.Saga[params, state] {
	return task.Saga[params, state]{
		Name: "blockstorage.snapshot.create", Deadline: 6 * time.Hour,
		Steps: []task.Step[params, state]{
			{Name: "begin", UndoCommit: s.markFailed},
			{Name: "keep", Commit: s.keep(true), UndoCommit: s.keep(false)},
			{Name: "made", Do: s.made},
			{Name: "available", Commit: s.markAvailable},
		},
	}
}

// keep says whether the host shall have the snapshot.
func (s *Snapshots) keep(kept bool) func(context.Context, *db.Tx, *run) error {
	return func(ctx context.Context, tx *db.Tx, r *run) error {
		err := s.ifThere(ctx, tx, r.Params.Snapshot, func(sn *blockstorage.Snapshot) error {
			sn.Kept, r.State.Host = kept, sn.Host
			return nil
		})
		if err != nil {
			return err
		}
		r.State.Revision, err = s.volumes.RaiseHost(ctx, tx, r.State.Host)
		return err
	}
}

func (s *Snapshots) made(ctx context.Context, r *run) error {
	report, err := s.hosts.Await(ctx, r.State.Host, hostlink.Volumes, r.State.Revision, r.Params.Snapshot)
	if err != nil {
		return err
	}
	if report.Phase != hostlink.Ready {
		return fault.Conflictf("%s", orElse(report.Error, "The host does not have the snapshot"))
	}
	return nil
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func (s *Snapshots) markAvailable(ctx context.Context, tx *db.Tx, r *run) error {
	_, err := s.store.change(ctx, tx, r.Params.Snapshot, s.now(), func(sn *blockstorage.Snapshot) error {
		sn.Status, sn.Progress, sn.Error = blockstorage.SnapshotAvailable, "100%", ""
		if relic := sn.Relic; relic != "" {
			sn.Relic = ""
			return s.relics.Drop(ctx, tx, relic)
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = s.volumes.RaiseHost(ctx, tx, r.State.Host) // from now on the host must have it
	return err
}

func (s *Snapshots) markFailed(ctx context.Context, tx *db.Tx, r *run) error {
	return s.ifThere(ctx, tx, r.Params.Snapshot, func(sn *blockstorage.Snapshot) error {
		if sn.Status == blockstorage.SnapshotDeleting {
			return nil
		}
		sn.Status, sn.Error = blockstorage.SnapshotError, fault.As(r.Err).Text
		return s.tell.Tell(ctx, tx, blockstorage.Message{ProjectID: sn.ProjectID, RequestID: r.RequestID, Kind: "VOLUME_SNAPSHOT", ResourceID: sn.ID,
			Event: "007_001", Text: "create snapshot: " + orElse(sn.Error, "An unknown error occurred.")})
	})
}

// ifThere is change that does nothing when the snapshot is gone.
func (s *Snapshots) ifThere(ctx context.Context, tx *db.Tx, id string, f func(*blockstorage.Snapshot) error) error {
	_, err := s.store.change(ctx, tx, id, s.now(), f)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func (s *Snapshots) removeSaga() task.Saga[params, state] {
	return task.Saga[params, state]{
		Name: "blockstorage.snapshot.delete", Deadline: 24 * time.Hour,
		Steps: []task.Step[params, state]{
			{Name: "begin", UndoCommit: s.markUndeleted},
			{Name: "clones", Do: s.clonesMade},
			{Name: "drop", Commit: s.keep(false)},
			{Name: "gone", Do: s.gone},
			{Name: "erase", Commit: func(ctx context.Context, tx *db.Tx, r *run) error { return s.store.erase(ctx, tx, r.Params.Snapshot) }},
		},
	}
}

// clonesMade waits until no volume is being made from the snapshot.
func (s *Snapshots) clonesMade(ctx context.Context, r *run) error {
	n, err := dependents(ctx, s.store.db, r.Params.Snapshot)
	if err == nil && n > 0 {
		err = fault.Unavailablef("%d volumes are being made from it", n)
	}
	return err
}

// gone waits for the host, unless it is not there: then it removes the snapshot when it is back.
func (s *Snapshots) gone(ctx context.Context, r *run) error {
	if r.State.Host == "" || !s.hosts.Alive(r.State.Host) {
		return nil
	}
	report, err := s.hosts.Await(ctx, r.State.Host, hostlink.Volumes, r.State.Revision, r.Params.Snapshot)
	if err != nil && !s.hosts.Alive(r.State.Host) {
		return nil
	}
	if err == nil && report.Phase != hostlink.Absent {
		err = fault.Unavailablef("the host still has the snapshot: %s", report.Error)
	}
	return err
}

func (s *Snapshots) markUndeleted(ctx context.Context, tx *db.Tx, r *run) error {
	return s.ifThere(ctx, tx, r.Params.Snapshot, func(sn *blockstorage.Snapshot) error {
		sn.Status, sn.Error = blockstorage.SnapshotErrorDeleting, fault.As(r.Err).Text
		return nil
	})
}
