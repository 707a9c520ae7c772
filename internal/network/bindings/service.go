package bindings

import (
	"context"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
)

// Service is port bindings behind the API. Safe for concurrent use.
type Service struct {
	records *records.Records
	hosts   func() []string
}

// New makes the service; hosts lists those that can have ports now.
func New(r *records.Records, hosts func() []string) *Service { return &Service{r, hosts} }

func missing(portID, host string) error {
	return fault.NotFoundf("Binding for port %s for host %s could not be found.", portID, host).With("PortBindingNotFound")
}

// several refuses ports that are not of a server: they have one binding.
func several(p *network.Port) error {
	if strings.HasPrefix(p.DeviceOwner, network.OwnerComputePrefix) || strings.HasPrefix(p.DeviceOwner, "manila:") {
		return nil
	}
	return fault.Invalidf("Bad port request: Invalid port %s. Operation only valid on compute and shared filesystem ports.", p.ID).With("BadRequest")
}

// active is the binding that a port has itself.
func active(p *network.Port) *network.HostBinding {
	return &network.HostBinding{PortID: p.ID, Host: p.Host, VNICType: p.VNICType, Profile: p.Profile, Active: true, Bound: p.Host != ""}
}

// List lists a port's bindings, the active one first.
func (s *Service) List(ctx context.Context, p *network.Port) ([]*network.HostBinding, error) {
	if err := several(p); err != nil {
		return nil, err
	}
	more, err := s.records.Inactive(ctx, s.records.DB, p.ID)
	return append([]*network.HostBinding{active(p)}, more...), err
}

// Create adds an inactive binding. Conflict: there is one of that host.
// Invalid: the host cannot have the port.
func (s *Service) Create(ctx context.Context, b network.HostBinding, record event.Record) error {
	return s.change(ctx, b.PortID, record, func(tx *db.Tx, p *network.Port) error {
		have, err := s.find(ctx, tx, p, b.Host)
		if err != nil {
			return err
		}
		if have != nil {
			return fault.Conflictf("Binding for port %s on host %s already exists.", p.ID, b.Host).With("PortBindingAlreadyExists")
		}
		if !slices.Contains(s.hosts(), b.Host) {
			return fault.Invalidf("Binding for port %s on host %s could not be created or updated.", p.ID, b.Host).With("PortBindingError")
		}
		return s.records.InsertInactive(ctx, tx, b)
	})
}

// change does something to a port that nobody else changes meanwhile.
func (s *Service) change(ctx context.Context, portID string, record event.Record, fn func(tx *db.Tx, p *network.Port) error) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		p, err := s.records.Ports.Lock(ctx, tx, portID)
		if err != nil {
			return err
		}
		if err := several(p); err != nil {
			return err
		}
		if err := fn(tx, p); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// find is a port's binding of a host; nil: there is none.
func (s *Service) find(ctx context.Context, q db.Querier, p *network.Port, host string) (*network.HostBinding, error) {
	if p.Host == host {
		return active(p), nil
	}
	all, err := s.records.Inactive(ctx, q, p.ID)
	for _, b := range all {
		if b.Host == host {
			return b, err
		}
	}
	return nil, err
}

// Activate binds a port to the host of an inactive binding, and answers its
// active one. Conflict: it is bound there. NotFound: there is no such binding.
func (s *Service) Activate(ctx context.Context, portID, host string, record event.Record) (now *network.HostBinding, err error) {
	err = s.change(ctx, portID, record, func(tx *db.Tx, before *network.Port) error {
		b, err := s.find(ctx, tx, before, host)
		switch {
		case err != nil:
			return err
		case b == nil:
			return missing(portID, host)
		case b.Active:
			return fault.Conflictf("Binding for port %s on host %s is already active.", portID, host).With("PortBindingAlreadyActive")
		}
		p := *before
		p.Host, p.VNICType, p.Profile, p.Status = b.Host, b.VNICType, b.Profile, network.PortDown
		now = active(&p)
		if err := s.bind(ctx, tx, before, &p); err != nil || before.Host == "" {
			return err
		}
		left := *active(before)
		left.Bound = false
		return s.records.InsertInactive(ctx, tx, left)
	})
	return now, err
}

func (s *Service) bind(ctx context.Context, tx *db.Tx, before, p *network.Port) error {
	s.records.Changed(tx, network.PortScope(p.ID))
	return s.records.UpdatePort(ctx, tx, before, p)
}

// Delete removes a port's binding of a host; without its active one it is unbound.
func (s *Service) Delete(ctx context.Context, portID, host string, record event.Record) error {
	return s.change(ctx, portID, record, func(tx *db.Tx, before *network.Port) error {
		if before.Host == host && host != "" {
			p := *before
			p.Host, p.Status = "", network.PortDown
			return s.bind(ctx, tx, before, &p)
		}
		dropped, err := s.records.DropInactive(ctx, tx, portID, host)
		if err == nil && !dropped {
			err = missing(portID, host)
		}
		return err
	})
}
