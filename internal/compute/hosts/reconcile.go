package hosts

import (
	"context"
	"errors"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/outbox"
)

// Seen takes over what an agent says of its host: the host appears with its
// first facts. It is a hub's observer of facts and may see the same twice.
func (s *Hosts) Seen(ctx context.Context, f hostlink.Facts) error {
	serviceID, now := id.New(), clock.Micros(s.clock.Now())
	facts := Facts{Arch: f.Arch, CPUs: f.CPUs, MemoryMiB: f.MemoryMiB, DiskGiB: f.DiskGiB, Address: f.Address, Driver: f.Driver, DriverVer: f.DriverVer,
		Traits: f.Traits, More: f.More}
	var known *row
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		r, err := byName(ctx, tx, f.Host)
		if fault.Is(err, fault.NotFound) {
			r = &row{ID: f.ID, ServiceID: serviceID, Name: f.Host, Zone: DefaultZone, CreatedAt: now}
			if r.Serial, err = db.NextSerial(ctx, tx, "compute.host"); err != nil {
				return err
			}
			r.Facts, r.SeenAt, known = db.J(facts), now, r
			if err := errors.Join(s.changed(ctx, tx, r.ID), rows.Insert(ctx, tx, r)); err != nil {
				return err
			}
			return outbox.Write(ctx, tx, event.Record{Service: "compute", Action: "create", Kind: "host", Object: r.ID})
		}
		if err != nil {
			return err
		}
		r.Facts, r.SeenAt, known = db.J(facts), now, r
		return errors.Join(s.changed(ctx, tx, r.ID), rows.Update(ctx, tx, r))
	})
	if err != nil {
		return err
	}
	return s.placement.EnsureHost(ctx, s.provider(known))
}
