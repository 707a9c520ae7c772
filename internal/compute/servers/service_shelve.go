package servers

import (
	"context"
	"errors"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
)

// Shelve begins to take a server off its host, its root disk kept as an image.
func (s *Servers) Shelve(ctx context.Context, serverID string, in ImageRequest, override bool, record event.Record) error {
	one, err := s.store.Get(ctx, serverID)
	if err != nil {
		return err
	}
	if err := ready(one, "shelve", override); err != nil {
		return err
	}
	disks, err := disksOf(ctx, s.DB, serverID)
	if err != nil {
		return err
	}
	p := shelveParams{}
	if root := disks[serverID]; len(root) > 0 && root[0].Kind != guest.DiskVolume {
		in.Name = one.Name + "-shelved"
		img := imageOf(one, in)
		p.Image, p.Disk = &img, root[0].GuestID
		if err := s.Images.Create(ctx, img); err != nil {
			return err
		}
	}
	_, err = s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := ready(one, "shelve", override); err != nil {
			return err
		}
		one.Task = compute.Shelving
		if err := beginAction(ctx, tx, one, "shelve", "compute_shelve_instance", record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		_, err := s.sagas.shelve.Enqueue(ctx, tx, work(one, record, false), p)
		return err
	})
	if err != nil && p.Image != nil {
		err = errors.Join(err, s.Images.Discard(ctx, p.Image.ID))
	}
	return err
}

// Offload begins to take a shelved server off its host.
func (s *Servers) Offload(ctx context.Context, serverID string, override bool, record event.Record) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := ready(one, "shelveOffload", override); err != nil {
			return err
		}
		one.Task = compute.ShelvingOffloading
		if err := beginAction(ctx, tx, one, "shelveOffload", "compute_shelve_offload_instance", record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		_, err := s.sagas.offload.Enqueue(ctx, tx, work(one, record, false), shelveParams{})
		return err
	})
	return err
}

// Destination is where a shelved server shall go.
type Destination struct {
	Zone *string // nil: as before; empty: any
	Host string  // empty: any
}

// Unshelve begins to start a shelved server on a host.
func (s *Servers) Unshelve(ctx context.Context, serverID string, to Destination, override bool, record event.Record) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := unlocked(one, override); err != nil {
			return err
		}
		if err := allowed(one, "unshelve"); err != nil {
			return err
		}
		if err := s.reachable(ctx, one, to); err != nil {
			return err
		}
		if to.Zone != nil {
			one.PinnedZone = *to.Zone
		}
		one.Task = compute.Unshelving
		if err := beginAction(ctx, tx, one, "unshelve", "compute_unshelve_instance", record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		_, err := s.sagas.unshelve.Enqueue(ctx, tx, work(one, record, false), createParams{Zone: one.PinnedZone, Host: to.Host})
		return err
	})
	return err
}

// reachable refuses a place that does not exist, or is none for this server.
func (s *Servers) reachable(ctx context.Context, one *Server, to Destination) error {
	if to == (Destination{}) {
		return nil
	}
	if one.VM != compute.ShelvedOffloaded {
		return fault.Conflictf("Specifying an availability zone or a host when unshelving server %s with status %s is not supported. "+
			"The server status must be SHELVED_OFFLOADED.", one.ID, one.VM)
	}
	hosts, err := s.Hosts.SchedulerHosts(ctx)
	if err != nil {
		return err
	}
	zone := one.PinnedZone
	if to.Zone != nil {
		zone = *to.Zone
	}
	zoneSeen, hostSeen, inZone := to.Zone == nil || *to.Zone == "", to.Host == "", to.Host == ""
	for _, h := range hosts {
		zoneSeen = zoneSeen || h.Zone == *to.Zone
		if h.Name == to.Host {
			hostSeen, inZone = true, zone == "" || h.Zone == zone
		}
	}
	switch {
	case !zoneSeen:
		return fault.Invalidf("The requested availability zone is not available")
	case !hostSeen:
		return fault.Invalidf("Compute host %s could not be found.", to.Host)
	case !inZone:
		return fault.Conflictf("Host %s is not in the availability zone %s.", to.Host, zone)
	}
	return nil
}
