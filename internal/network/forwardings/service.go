package forwardings

import (
	"context"
	"net/netip"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
)

// Service is port forwardings behind the API. Safe for concurrent use. Where a
// reach is asked for it is the project whose ports may be used; empty: all.
type Service struct{ records *records.Records }

// New makes the service.
func New(r *records.Records) *Service { return &Service{r} }

func badRequest(format string, args ...any) error {
	return fault.Invalidf("Bad port_forwarding request: "+format, args...).With("BadRequest")
}

// Create adds a forwarding.
func (s *Service) Create(ctx context.Context, f *network.Forwarding, reach string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		forwarding := *f // the function may run twice
		if err := s.place(ctx, tx, &forwarding, reach); err != nil {
			return err
		}
		s.records.Begin(&forwarding.Standard)
		if err := s.records.Forwardings.Insert(ctx, tx, &forwarding); err != nil {
			return err
		}
		*f = forwarding
		return outbox.Write(ctx, tx, record)
	})
}

// place checks where a forwarding leads, and gives its floating address the
// router on the way.
func (s *Service) place(ctx context.Context, tx *db.Tx, f *network.Forwarding, reach string) error {
	floating, err := s.records.Floatings.Lock(ctx, tx, f.FloatingID)
	if err != nil {
		return err
	}
	if floating.PortID != "" {
		return fault.Conflictf("Cannot associate floating IP %s (%s) with port %s using fixed IP %s, as that floating IP already has a port.",
			floating.Address, floating.ID, f.PortID, f.Fixed).With("FloatingIPPortAlreadyAssociated")
	}
	ip, err := s.internal(ctx, tx, f, reach)
	if err != nil {
		return err
	}
	bound, err := s.records.Floatings.Where(ctx, tx, records.Is("port_id", f.PortID), records.Is("fixed_address", f.Fixed.String()))
	if err != nil {
		return err
	}
	if len(bound) > 0 {
		return fault.Conflictf("Cannot create port forwarding to floating IP %s (%s) with port %s using fixed IP %s, as that port already has a binding floating IP.",
			bound[0].Address, bound[0].ID, f.PortID, f.Fixed).With("PortHasBindingFloatingIP")
	}
	if err := s.unlike(ctx, tx, f); err != nil {
		return err
	}
	router, err := s.records.RouterTo(ctx, tx, ip.SubnetID, floating.NetworkID)
	if err != nil {
		return err
	}
	if router == "" {
		return badRequest("External network %s is not reachable from subnet %s. Cannot set Port forwarding for port %s with Floating IP %s.",
			floating.NetworkID, ip.SubnetID, f.PortID, floating.ID)
	}
	if floating.RouterID != "" && floating.RouterID != router {
		return fault.Conflictf("Floating IP %s cannot be associated to port %s: it is used by router %s.", floating.ID, f.PortID, floating.RouterID).With("FloatingIPPortAlreadyAssociated")
	}
	floating.RouterID, floating.Status = router, network.StatusActive
	s.records.Changed(tx, network.FloatingScope(floating.ID))
	return s.records.UpdateFloating(ctx, tx, floating)
}

// internal finds which address of the port is meant.
func (s *Service) internal(ctx context.Context, tx *db.Tx, f *network.Forwarding, reach string) (network.FixedIP, error) {
	p, err := s.records.Ports.Lock(ctx, tx, f.PortID)
	if fault.Is(err, fault.NotFound) || err == nil && reach != "" && p.ProjectID != reach {
		return network.FixedIP{}, fault.NotFoundf("Port %s could not be found.", f.PortID).With("PortNotFound")
	}
	if err != nil {
		return network.FixedIP{}, err
	}
	four := 0
	for _, ip := range p.FixedIPs {
		if !ip.Address.Is4() {
			continue
		}
		four++
		if !f.Fixed.IsValid() || f.Fixed == ip.Address {
			f.Fixed = ip.Address
			return ip, nil
		}
	}
	if four == 0 {
		return network.FixedIP{}, badRequest("Requested internal port %s must allocate an IPv4 address at least.", p.ID)
	}
	return network.FixedIP{}, badRequest("Requested internal IP address %s is not suitable for internal neutron port %s.", f.Fixed, p.ID)
}

// unlike refuses a forwarding that meets another one on either side.
func (s *Service) unlike(ctx context.Context, tx *db.Tx, f *network.Forwarding) error {
	others, err := s.records.Forwardings.Where(ctx, tx, records.Is("floating_id", f.FloatingID), records.Is("protocol", f.Protocol))
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.ID == f.ID {
			continue
		}
		if o.ExternalFirst <= f.ExternalLast && f.ExternalFirst <= o.ExternalLast {
			return badRequest("There is a port collision with the external_port. The following ranges collide: %d:%d and %d:%d.", o.ExternalFirst, o.ExternalLast, f.ExternalFirst, f.ExternalLast)
		}
		if o.Fixed == f.Fixed && o.InternalFirst <= f.InternalLast && f.InternalFirst <= o.InternalLast {
			return badRequest("A duplicate port forwarding entry with same attributes already exists, conflicting values are %s %d:%d.", o.Fixed, o.InternalFirst, o.InternalLast)
		}
	}
	return nil
}

// Update changes a forwarding. Another port takes another address along.
func (s *Service) Update(ctx context.Context, forwardingID string, change func(*network.Forwarding) error, reach string, record event.Record) (f *network.Forwarding, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if f, err = s.records.Forwardings.Lock(ctx, tx, forwardingID); err != nil {
			return err
		}
		before := *f
		if err := change(f); err != nil {
			return err
		}
		if before.PortID != f.PortID && before.Fixed == f.Fixed {
			f.Fixed = netip.Addr{}
		}
		if err := s.place(ctx, tx, f, reach); err != nil {
			return err
		}
		if err := s.records.Forwardings.Update(ctx, tx, s.records, f); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return f, err
}

// Delete takes a forwarding away.
func (s *Service) Delete(ctx context.Context, f *network.Forwarding, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.records.Forwardings.Delete(ctx, tx, f.ID); err != nil {
			return err
		}
		if err := s.records.SettleForwardings(ctx, tx, f.FloatingID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
