package aggregates

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/task"
)

// Hosts are the compute hosts, whose zone follows from their aggregates.
type Hosts interface {
	// SetZone puts a host into a zone inside the transaction; an empty zone is
	// the default one. NotFound: no such host.
	SetZone(ctx context.Context, tx *db.Tx, host, zone string) error
	// Answers tells whether a host is up. One that is not there is not.
	Answers(ctx context.Context, host string) (bool, error)
}

// Images finds images; see image.Service.
type Images interface {
	Lookup(ctx context.Context, viewer image.Viewer, id string) (*image.Image, error)
}

// Deps is what aggregates are built on.
type Deps struct {
	DB     *db.DB
	Clock  clock.Clock
	Hosts  Hosts
	Images Images
	Tasks  *task.Engine
	Agents Agents
}

// Aggregates is the service behind the API. Safe for concurrent use.
type Aggregates struct {
	Deps
	saga *task.Handle[imageParams]
}

// New makes the service and registers its saga.
func New(d Deps) *Aggregates {
	s := &Aggregates{Deps: d}
	s.saga = task.Register(d.Tasks, s.imageSaga())
	return s
}

// All lists the aggregates, for the scheduler.
func (s *Aggregates) All(ctx context.Context) ([]*Aggregate, error) { return list(ctx, s.DB) }

func (s *Aggregates) create(ctx context.Context, name, zone string, record event.Record) (*Aggregate, error) {
	a := &Aggregate{ID: id.New(), Name: name, Zone: zone, Hosts: db.J([]string{}), Metadata: db.J(map[string]string{}), CreatedAt: clock.Micros(s.Clock.Now())}
	if zone != "" {
		a.Metadata.V["availability_zone"] = zone
	}
	record.Object = a.ID
	err := s.DB.Write(ctx, func(tx *db.Tx) (err error) {
		if err := free(ctx, tx, name, ""); err != nil {
			return err
		}
		if a.Serial, err = db.NextSerial(ctx, tx, "compute.aggregate"); err != nil {
			return err
		}
		if err := rows.Insert(ctx, tx, a); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return a, err
}

func free(ctx context.Context, tx *db.Tx, name, except string) error {
	all, err := list(ctx, tx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(a *Aggregate) bool { return a.Name == name && a.ID != except }) {
		return fault.Conflictf("Aggregate %s already exists.", name)
	}
	return nil
}

// change edits an aggregate; its hosts follow a changed zone.
func (s *Aggregates) change(ctx context.Context, serial int64, record event.Record, fn func(tx *db.Tx, a *Aggregate) error) (a *Aggregate, err error) {
	now := clock.Micros(s.Clock.Now())
	err = s.DB.Write(ctx, func(tx *db.Tx) error {
		if a, err = bySerial(ctx, tx, serial); err != nil {
			return err
		}
		before := a.Zone
		if err := fn(tx, a); err != nil {
			return err
		}
		if a.Zone = a.Metadata.V["availability_zone"]; a.Zone != before {
			for _, host := range a.Hosts.V {
				if err := s.Hosts.SetZone(ctx, tx, host, a.Zone); err != nil {
					return err
				}
			}
		}
		a.UpdatedAt = now
		if err := rows.Update(ctx, tx, a); err != nil {
			return err
		}
		record.Object = a.ID
		return outbox.Write(ctx, tx, record)
	})
	return a, err
}

func (s *Aggregates) addHost(ctx context.Context, serial int64, host string, record event.Record) (*Aggregate, error) {
	return s.change(ctx, serial, record, func(tx *db.Tx, a *Aggregate) error {
		if slices.Contains(a.Hosts.V, host) {
			return fault.Conflictf("Cannot add host %s in aggregate %d: host exists.", host, serial)
		}
		others, err := list(ctx, tx)
		if err != nil {
			return err
		}
		for _, o := range others {
			if a.Zone != "" && o.Zone != "" && o.Zone != a.Zone && slices.Contains(o.Hosts.V, host) {
				return fault.Conflictf("Cannot add host to aggregate %d. Reason: One or more hosts already in availability zone(s) %s.", serial, o.Zone)
			}
		}
		a.Hosts.V = append(a.Hosts.V, host)
		zone := a.Zone
		for _, o := range others {
			if zone == "" && slices.Contains(o.Hosts.V, host) {
				zone = o.Zone
			}
		}
		return s.Hosts.SetZone(ctx, tx, host, zone)
	})
}

func (s *Aggregates) dropHost(ctx context.Context, serial int64, host string, record event.Record) (*Aggregate, error) {
	return s.change(ctx, serial, record, func(tx *db.Tx, a *Aggregate) error {
		i := slices.Index(a.Hosts.V, host)
		if i < 0 {
			return fault.NotFoundf("Cannot remove host %s in aggregate %d: invalid.", host, serial)
		}
		a.Hosts.V = slices.Delete(a.Hosts.V, i, i+1)
		if a.Zone == "" {
			return nil
		}
		return s.Hosts.SetZone(ctx, tx, host, "")
	})
}

func (s *Aggregates) remove(ctx context.Context, serial int64, record event.Record) error {
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		a, err := bySerial(ctx, tx, serial)
		if err != nil {
			return err
		}
		if len(a.Hosts.V) > 0 {
			return fault.Conflictf("Cannot delete aggregate %d. Reason: Host aggregate is not empty.", serial)
		}
		record.Object = a.ID
		if err := rows.Delete(ctx, tx, a.ID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
