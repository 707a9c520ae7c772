package servers

import (
	"context"
	"errors"
	"slices"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
)

// Resize begins to give a server another flavor, and maybe another host.
func (s *Servers) Resize(ctx context.Context, serverID, flavorID, diskConfig string, override bool, record event.Record) error {
	one, err := s.store.Get(ctx, serverID)
	if err != nil {
		return err
	}
	flavor, err := s.Flavors.Get(ctx, flavorID, one.ProjectID)
	if fault.Is(err, fault.NotFound) {
		return fault.Invalidf("Unable to locate requested flavor.")
	}
	if err != nil {
		return err
	}
	return s.move(ctx, serverID, "resize", override, record, func(tx *db.Tx, one *Server, m *migration) error {
		disks, err := disksOf(ctx, tx, serverID)
		if err != nil {
			return err
		}
		if err := checkResize(one, disks[serverID], flavor); err != nil {
			return err
		}
		deltas := map[string]int64{}
		if more := flavor.VCPUs - one.Flavor.VCPUs; more > 0 {
			deltas["cores"] = int64(more)
		}
		if more := flavor.MemoryMiB - one.Flavor.MemoryMiB; more > 0 {
			deltas["ram"] = int64(more)
		}
		if err := s.Quota.Check(ctx, tx, one.ProjectID, deltas); err != nil {
			return err
		}
		if diskConfig != "" {
			one.DiskConfig = diskConfig
		}
		m.Kind, m.NewFlavor = compute.Resize, *flavor
		return nil
	})
}

// checkResize refuses what no host can do; shrinking a disk is found out, as
// upstream does, by the work itself.
func checkResize(one *Server, disks []*Disk, to *compute.Flavor) error {
	rooted := len(disks) > 0 && disks[0].Kind == guest.DiskImage
	switch {
	case to.Disabled:
		return fault.Invalidf("Flavor %s is disabled.", to.ID)
	case to.ID == one.Flavor.ID:
		return fault.Invalidf("When resizing, instances must change flavor!")
	case rooted && to.RootGiB == 0 && one.Flavor.RootGiB != 0:
		return fault.Invalidf("Server's disk was unable to be resized because: Resize to zero disk flavor is not allowed.")
	}
	return nil
}

// Migrate begins to take a server to another host: to the named one, or to any.
func (s *Servers) Migrate(ctx context.Context, serverID, host string, override bool, record event.Record) error {
	return s.move(ctx, serverID, "migrate", override, record, func(_ *db.Tx, one *Server, m *migration) error {
		if host == one.Host && host != "" {
			return fault.Invalidf("Unable to migrate instance (%s) to current host (%s).", one.ID, host)
		}
		m.Kind, m.Asked = compute.ColdMigration, host
		return nil
	})
}

// move records a move and begins it; fill says what it is about.
func (s *Servers) move(ctx context.Context, serverID, verb string, override bool, record event.Record, fill func(tx *db.Tx, one *Server, m *migration) error) error {
	mid := id.New()
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := ready(one, verb, override); err != nil {
			return err
		}
		m := &migration{Unsettled: true, Migration: compute.Migration{ID: mid, Server: one.ID, ProjectID: one.ProjectID, UserID: record.UserID,
			Status: compute.MigrationPreparing, SourceHost: one.Host, OldFlavor: one.Flavor, NewFlavor: one.Flavor, CreatedAt: one.UpdatedAt, UpdatedAt: one.UpdatedAt}}
		if err := fill(tx, one, m); err != nil {
			return err
		}
		if err := s.settleOld(ctx, tx, one.ID); err != nil {
			return err
		}
		if err := insertMigration(ctx, tx, m); err != nil {
			return err
		}
		one.Task = compute.ResizePrep
		if err := beginAction(ctx, tx, one, verb, "compute_prep_resize", record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		_, err := s.sagas.move.Enqueue(ctx, tx, work(one, record, false), moveParams{m.ID})
		return err
	})
	return err
}

// settleOld confirms a move that an administrator's reset of the state left
// behind: the server goes on from where it is.
func (s *Servers) settleOld(ctx context.Context, tx *db.Tx, serverID string) error {
	m, err := unsettledOf(ctx, tx, serverID)
	if err != nil || m == nil {
		return err
	}
	_, err = s.settleMove(ctx, tx, m, compute.MigrationConfirmed)
	return err
}

// settleMove ends a move for good: what it held is free, and the host that kept
// the guest to go back to lets go of it.
func (s *Servers) settleMove(ctx context.Context, tx *db.Tx, m *migration, status compute.MigrationStatus) (place, error) {
	host := m.KeptHost
	m.Kept, m.KeptHost, m.Unsettled, m.Before, m.Status, m.UpdatedAt = nil, "", false, nil, status, stamp(s.Clock)
	if err := putMigration(ctx, tx, m); err != nil {
		return place{}, err
	}
	if err := s.Placement.Release(ctx, tx, m.ID); err != nil {
		return place{}, err
	}
	return s.raise(ctx, tx, host, m.Server)
}

// ConfirmResize begins to give up the way back.
func (s *Servers) ConfirmResize(ctx context.Context, serverID string, override bool, record event.Record) error {
	return s.decide(ctx, serverID, "confirmResize", override, record, func(tx *db.Tx, one *Server, m *migration) error {
		one.Task = compute.ResizeConfirming
		_, err := s.sagas.confirm.Enqueue(ctx, tx, work(one, record, false), moveParams{m.ID})
		return err
	})
}

// RevertResize begins to take a move back.
func (s *Servers) RevertResize(ctx context.Context, serverID string, override bool, record event.Record) error {
	return s.decide(ctx, serverID, "revertResize", override, record, func(tx *db.Tx, one *Server, m *migration) error {
		one.Task, m.Status, m.UpdatedAt = compute.ResizeReverting, compute.MigrationReverting, one.UpdatedAt
		if err := putMigration(ctx, tx, m); err != nil {
			return err
		}
		_, err := s.sagas.revert.Enqueue(ctx, tx, work(one, record, false), moveParams{m.ID})
		return err
	})
}

func (s *Servers) decide(ctx context.Context, serverID, verb string, override bool, record event.Record, fn func(tx *db.Tx, one *Server, m *migration) error) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := ready(one, verb, override); err != nil {
			return err
		}
		m, err := unsettledOf(ctx, tx, serverID)
		if err != nil {
			return err
		}
		if m == nil || m.Status != compute.MigrationFinished {
			return fault.Invalidf("Instance has not been resized.")
		}
		if err := beginAction(ctx, tx, one, verb, "compute_"+map[string]string{"confirmResize": "confirm_resize", "revertResize": "revert_resize"}[verb],
			record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		return fn(tx, one, m)
	})
	return err
}

// shapeOf is what a move would change of a server, as it is now.
func shapeOf(one *Server, disks []*Disk) shape {
	out := shape{Host: one.Host, Zone: one.Zone, Flavor: one.Flavor, Desired: one.Desired, VM: one.VM, Power: one.Power}
	if one.VM == compute.VMStopped {
		out.Desired = guest.Stopped // it may have gone off by itself, and is not to come up by a move
	}
	for _, d := range disks {
		if d.VolumeID == "" {
			c := *d
			c.Layers = slices.Clone(d.Layers)
			out.Disks = append(out.Disks, &c)
		}
	}
	return out
}

// take gives a server a shape; its state is left alone.
func (s *Servers) take(ctx context.Context, tx *db.Tx, one *Server, to shape) error {
	one.Host, one.HypervisorName, one.Zone, one.Flavor = to.Host, to.Host, to.Zone, to.Flavor
	disks, err := disksOf(ctx, tx, one.ID)
	if err != nil {
		return err
	}
	for _, d := range disks[one.ID] {
		kept := slices.ContainsFunc(to.Disks, func(k *Disk) bool { return k.ID == d.ID })
		if d.VolumeID == "" && !kept {
			if err := dropDisk(ctx, tx, d.ID); err != nil {
				return err
			}
		}
	}
	for _, d := range to.Disks {
		if err := putDisk(ctx, tx, d); err != nil {
			return err
		}
	}
	return nil
}

// confirmOld confirms resizes that nobody has decided on for long enough.
func (s *Servers) confirmOld(ctx context.Context) error {
	if s.ConfirmAfter == 0 {
		return nil
	}
	before := clock.Micros(s.Clock.Now().Add(-s.ConfirmAfter))
	old, err := s.store.migrations(ctx, listing.Query{}.And("status", listing.Eq, string(compute.MigrationFinished)).
		And("unsettled", listing.Eq, true).And("updated_at", listing.LessEq, before))
	for _, m := range old {
		one := s.ConfirmResize(ctx, m.Server, true, event.Record{Service: "compute", Action: "confirm_resize", Kind: "server", Object: m.Server,
			ProjectID: m.ProjectID, UserID: m.UserID, RequestID: "req-" + id.New()})
		if !isGone(one) && !fault.Is(one, fault.Conflict) { // else it has gone on meanwhile
			err = errors.Join(err, one)
		}
	}
	return err
}

// forgetOld removes what is kept of servers that are gone for long.
func (s *Servers) forgetOld(ctx context.Context) error {
	if s.KeepHistory == 0 {
		return nil
	}
	return s.store.prune(ctx, clock.Micros(s.Clock.Now().Add(-s.KeepHistory)))
}
