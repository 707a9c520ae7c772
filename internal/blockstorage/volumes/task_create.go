package volumes

import (
	"context"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/task"
)

type volumeParams struct {
	Volume string `json:"volume"`
	Host   string `json:"host"` // wanted; empty: any
	Hints  Hints  `json:"hints"`
}

// Hints are a user's wishes for where a volume is made, as volumes' ids.
type Hints struct {
	Near []string `json:"near,omitempty"` // on a host of all of these
	Far  []string `json:"far,omitempty"`  // on a host of none of these
}

// suits leaves the pools that meet the hints. Volumes that are gone do not count.
func (s *Volumes) suits(ctx context.Context, pools []Pool, h Hints) ([]Pool, error) {
	keep := func(ids []string, near bool) error {
		for _, id := range ids {
			v, err := s.store.Get(ctx, id)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			if err != nil {
				return err
			}
			pools = slices.DeleteFunc(pools, func(p Pool) bool { return (p.Host == v.Host) != near })
		}
		return nil
	}
	if err := keep(h.Near, true); err != nil {
		return nil, err
	}
	return pools, keep(h.Far, false)
}

type volumeState struct {
	Host     string `json:"host"`
	Revision int64  `json:"revision"`
}

type makeRun = task.Run[volumeParams, volumeState]

// makeSaga has a host make a volume. An image may take long to fetch and convert.
func (s *Volumes) makeSaga() task.Saga[volumeParams, volumeState] {
	return task.Saga[volumeParams, volumeState]{
		Name: "blockstorage.volume.create", Deadline: 6 * time.Hour,
		Steps: []task.Step[volumeParams, volumeState]{
			{Name: "begin", UndoCommit: s.markFailed},
			{Name: "place", Do: s.place, Commit: s.keep, UndoCommit: s.unkeep},
			{Name: "made", Do: s.made},
			{Name: "available", Commit: s.markAvailable},
		},
	}
}

func (s *Volumes) place(ctx context.Context, r *makeRun) error {
	v, err := s.store.Get(ctx, r.Params.Volume)
	if err != nil {
		return err
	}
	pools, err := s.Pools(ctx)
	if err != nil {
		return err
	}
	if s.early(pools, v) {
		return fault.Unavailablef("No host has joined yet.") // tried again
	}
	closed, err := s.Doors.Closed(ctx)
	if err != nil {
		return err
	}
	pools = slices.DeleteFunc(pools, func(p Pool) bool { _, shut := closed[p.Host]; return shut && p.Host != r.Params.Host })
	if pools, err = s.suits(ctx, pools, r.Params.Hints); err != nil {
		return err
	}
	t, err := s.Types.Resolve(ctx, v.TypeID, v.ProjectID, true)
	if err == nil {
		err = offered(t)
	}
	if err == nil {
		r.State.Host, err = choose(pools, v.SizeGiB, r.Params.Host)
	}
	return err
}

// patience is how long a new volume waits while no host is there. An agent or a
// server that restarts takes seconds, but the volume asks now and then, and hits
// those seconds again where restarts are many: a minute was not enough for one
// volume in a thousand.
const patience = 5 * time.Minute

// early tells whether a new volume should wait for a host: restarts are not what
// a user should see.
func (s *Volumes) early(pools []Pool, v *blockstorage.Volume) bool {
	there := slices.ContainsFunc(pools, func(p Pool) bool { return p.Alive })
	return !there && s.now()-v.CreatedAt < patience.Microseconds()
}

func (s *Volumes) keep(ctx context.Context, tx *db.Tx, r *makeRun) error {
	_, err := s.Change(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		v.Host, v.Kept = r.State.Host, true
		switch {
		case v.Source.ImageID != "":
			v.Status = blockstorage.Downloading
		case v.Source.BackupID != "":
			v.Status = blockstorage.Restoring
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Revision, err = s.RaiseHost(ctx, tx, r.State.Host)
	return err
}

func (s *Volumes) unkeep(ctx context.Context, tx *db.Tx, r *makeRun) error {
	err := s.ifThere(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		v.Host, v.Kept = "", false
		return nil
	})
	if err != nil {
		return err
	}
	_, err = s.RaiseHost(ctx, tx, r.State.Host)
	return err
}

func (s *Volumes) made(ctx context.Context, r *makeRun) error {
	return s.await(ctx, r.State.Host, r.State.Revision, r.Params.Volume)
}

// await waits until a host has a volume, and says why when it cannot.
func (s *Volumes) await(ctx context.Context, host string, revision int64, id string) error {
	report, err := s.Hosts.Await(ctx, host, hostlink.Volumes, revision, id)
	if err != nil {
		return err
	}
	if report.Phase != hostlink.Ready {
		return fault.Conflictf("%s", orElse(report.Error, "The host does not have the volume"))
	}
	return nil
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func (s *Volumes) markAvailable(ctx context.Context, tx *db.Tx, r *makeRun) error {
	_, err := s.Change(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		v.Status, v.Error = blockstorage.StatusOf(v.Attachments), ""
		return s.sourceDone(ctx, tx, v, true)
	})
	if err != nil {
		return err
	}
	_, err = s.RaiseHost(ctx, tx, r.State.Host) // from now on the host must have it
	return err
}

// sourceDone lets go of what a volume was made from.
func (s *Volumes) sourceDone(ctx context.Context, tx *db.Tx, v *blockstorage.Volume, made bool) error {
	if v.Source.BackupID != "" {
		return s.Backups.EndRestore(ctx, tx, v.Source.BackupID, v.ID)
	}
	if v.Source.RelicID != "" && made {
		relic := v.Source.RelicID
		v.Source.RelicID = ""
		return s.Relics.Drop(ctx, tx, relic)
	}
	return nil
}

func (s *Volumes) markFailed(ctx context.Context, tx *db.Tx, r *makeRun) error {
	return s.ifThere(ctx, tx, r.Params.Volume, func(v *blockstorage.Volume) error {
		if err := s.sourceDone(ctx, tx, v, false); err != nil || v.Status == blockstorage.Deleting {
			return err
		}
		v.Status, v.Error = blockstorage.Error, fault.As(r.Err).Text
		if v.Source.BackupID != "" {
			v.Status = blockstorage.ErrorRestoring
		}
		return s.Messages.Tell(ctx, tx, blockstorage.Message{ProjectID: v.ProjectID, RequestID: r.RequestID, Kind: "VOLUME", ResourceID: v.ID,
			Event: "001_001", Text: "create volume: " + orElse(v.Error, "An unknown error occurred.")})
	})
}

// ifThere is Change that does nothing when the volume is gone.
func (s *Volumes) ifThere(ctx context.Context, tx *db.Tx, id string, f func(v *blockstorage.Volume) error) error {
	_, err := s.Change(ctx, tx, id, f)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
