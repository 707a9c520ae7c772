package servers

import (
	"context"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/scheduler"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/outbox"
)

// MigrateLive begins to take a running server to another host: the named one,
// or any. now: that there is none is told at once, as old versions of the API do.
func (s *Servers) MigrateLive(ctx context.Context, serverID, host string, now, override bool, record event.Record) error {
	one, err := s.store.Get(ctx, serverID)
	if err != nil {
		return err
	}
	if err := ready(one, "os-migrateLive", override); err != nil {
		return err
	}
	if now {
		disks, err := disksOf(ctx, s.DB, serverID)
		if err != nil {
			return err
		}
		if _, err := s.rankLive(ctx, one, disks[serverID], host); err != nil {
			return err
		}
	}
	return s.away(ctx, serverID, "os-migrateLive", "live-migration", "compute_live_migration", override, record, func(tx *db.Tx, one *Server, m *migration) error {
		one.Task, m.Kind, m.Status, m.Asked = compute.Migrating, compute.LiveMigration, compute.MigrationAccepted, host
		_, err := s.sagas.live.Enqueue(ctx, tx, work(one, record, false), moveParams{m.ID})
		return err
	})
}

// rankLive lists the hosts that a running server may go to.
func (s *Servers) rankLive(ctx context.Context, one *Server, disks []*Disk, asked string) ([]scheduler.Ranked, error) {
	if asked == one.Host {
		return nil, fault.Invalidf("Unable to migrate instance (%s) to current host (%s).", one.ID, asked)
	}
	want, err := s.wants(ctx, one, createParams{Zone: one.PinnedZone, Host: asked})
	if err != nil {
		return nil, err
	}
	hosts, err := s.Hosts.SchedulerHosts(ctx)
	if err != nil {
		return nil, err
	}
	want.Different = append(want.Different, one.Host)
	for _, h := range hosts {
		switch {
		case h.LiveMigration:
		case h.Name == one.Host:
			return nil, fault.Invalidf("Migration pre-check error: the host's driver cannot migrate running guests.")
		default:
			want.Different = append(want.Different, h.Name)
		}
	}
	return s.rank(ctx, one.Flavor, localRoot(disks, one.Flavor), want)
}

// Evacuate begins to make a server anew on another host, since its own is
// down. What was written to disks of its own is lost; its volumes are kept.
func (s *Servers) Evacuate(ctx context.Context, serverID, host string, stopped, override bool, record event.Record) error {
	one, err := s.store.Get(ctx, serverID)
	if err != nil {
		return err
	}
	if host != "" && host == one.Host {
		return fault.Invalidf("The target host can't be the same one.")
	}
	if err := ready(one, "evacuate", override); err != nil {
		return err
	}
	if h, _, err := s.Hosts.SchedulerHost(ctx, one.Host); err != nil {
		return err
	} else if h.Up {
		return fault.Invalidf("Compute service of %s is still in use.", h.Name)
	}
	return s.away(ctx, serverID, "evacuate", "evacuate", "compute_rebuild_instance", override, record, func(tx *db.Tx, one *Server, m *migration) error {
		one.Task, m.Kind, m.Status, m.Asked = compute.Rebuilding, compute.Evacuation, compute.MigrationAccepted, host
		_, err := s.sagas.evacuate.Enqueue(ctx, tx, work(one, record, false), evacuateParams{m.ID, stopped})
		return err
	})
}

// away records a move that nobody confirms, and begins it.
func (s *Servers) away(ctx context.Context, serverID, verb, name, what string, override bool, record event.Record, begin func(tx *db.Tx, one *Server, m *migration) error) error {
	mid := id.New()
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := ready(one, verb, override); err != nil {
			return err
		}
		if err := s.settleOld(ctx, tx, one.ID); err != nil {
			return err
		}
		m := &migration{Unsettled: true, Migration: compute.Migration{ID: mid, Server: one.ID, ProjectID: one.ProjectID, UserID: record.UserID,
			SourceHost: one.Host, OldFlavor: one.Flavor, NewFlavor: one.Flavor, CreatedAt: one.UpdatedAt, UpdatedAt: one.UpdatedAt}}
		if err := beginAction(ctx, tx, one, name, what, record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		if err := begin(tx, one, m); err != nil {
			return err
		}
		return insertMigration(ctx, tx, m)
	})
	return err
}

// CompleteMigration makes a live migration that is under way end soon.
func (s *Servers) CompleteMigration(ctx context.Context, serverID, mid string, override bool, record event.Record) error {
	return s.steer(ctx, serverID, mid, "force_complete", override, record, func(m *migration) error {
		if m.Status != "running" {
			return fault.Invalidf("Migration %d state of instance %s is %s. Cannot force_complete while the migration is in this state.", m.Serial, serverID, m.Status)
		}
		m.Hurry = true
		return nil
	})
}

// AbortMigration takes a live migration that is under way back.
func (s *Servers) AbortMigration(ctx context.Context, serverID, mid string, override bool, record event.Record) error {
	return s.steer(ctx, serverID, mid, "abort_migration", override, record, func(m *migration) error {
		switch m.Status {
		case "queued", "preparing", "running", compute.MigrationAccepted:
			m.Abort = true
			return nil
		}
		return fault.Invalidf("Migration %d state of instance %s is %s. Cannot abort live migration while the migration is in this state.", m.Serial, serverID, m.Status)
	})
}

func (s *Servers) steer(ctx context.Context, serverID, mid, name string, override bool, record event.Record, fn func(m *migration) error) error {
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		one, err := lockServer(ctx, tx, serverID)
		if err != nil {
			return err
		}
		if err := unlocked(one, override); err != nil {
			return err
		}
		if one.Task != compute.Migrating {
			return fault.Conflictf("Cannot '%s' instance %s while it is in task_state %s", name, one.ID, one.Task)
		}
		m, err := lockMigration(ctx, tx, mid)
		if err != nil {
			return err
		}
		if m.Kind != compute.LiveMigration {
			return fault.Invalidf("Migration %d of instance %s is not a live migration.", m.Serial, serverID)
		}
		if err := fn(m); err != nil {
			return err
		}
		if err := putMigration(ctx, tx, m); err != nil {
			return err
		}
		if err := beginAction(ctx, tx, one, name, "", record.UserID, record.RequestID, stamp(s.Clock)); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
