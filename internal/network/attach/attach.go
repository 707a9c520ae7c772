package attach

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

// Ensure makes (or adopts) the planned port for a server.
func (s *Service) Ensure(ctx context.Context, plan network.PlannedPort, a network.Attachment) (network.Interface, error) {
	err := s.records.DB.Write(ctx, func(tx *db.Tx) error {
		before, err := s.records.Ports.Lock(ctx, tx, plan.PortID)
		switch {
		case fault.Is(err, fault.NotFound) && plan.Existing:
			return fault.Invalidf("Port id %s could not be found.", plan.PortID).With("PortNotFound")
		case fault.Is(err, fault.NotFound):
			return s.make(ctx, tx, plan, a)
		case err != nil || before.DeviceID == a.ServerID:
			return err
		case before.DeviceID != "":
			return fault.Conflictf("Port %s is still in use.", plan.PortID).With("PortInUse")
		}
		p := *before
		if p.Host == "" {
			p.Host = a.Host
		}
		p.DeviceID, p.DeviceOwner = a.ServerID, network.OwnerComputePrefix+a.Zone
		s.records.Changed(tx, network.PortScope(p.ID))
		return s.records.UpdatePort(ctx, tx, before, &p)
	})
	if err != nil {
		return network.Interface{}, err
	}
	all, err := s.Interfaces(ctx, a.ServerID)
	for _, i := range all[a.ServerID] {
		if i.PortID == plan.PortID {
			return i, nil
		}
	}
	if err == nil {
		err = fault.Conflictf("Port %s is gone.", plan.PortID)
	}
	return network.Interface{}, err
}

func (s *Service) make(ctx context.Context, tx *db.Tx, plan network.PlannedPort, a network.Attachment) error {
	n, err := s.records.BareNetwork(ctx, tx, plan.NetworkID)
	if err != nil {
		return err
	}
	if err := s.quota.Check(ctx, tx, a.ProjectID, map[string]int64{"port": 1}); err != nil {
		return err
	}
	p := &network.Port{Standard: network.Standard{ID: plan.PortID, ProjectID: a.ProjectID}, NetworkID: n.ID, AdminStateUp: true, PortSecurity: n.PortSecurity,
		DeviceID: a.ServerID, DeviceOwner: network.OwnerComputePrefix + a.Zone, Planned: true, Host: a.Host}
	if n.PortSecurity {
		if p.SecurityGroups = plan.SecurityGroups; len(p.SecurityGroups) == 0 {
			g, err := s.records.DefaultGroup(ctx, tx, a.ProjectID)
			if err != nil {
				return err
			}
			p.SecurityGroups = []string{g}
		}
	}
	var wants []records.Want
	if plan.FixedIP != "" {
		address, err := netip.ParseAddr(plan.FixedIP)
		if err != nil {
			return fault.Invalidf("%s is not a valid address.", plan.FixedIP)
		}
		wants = []records.Want{{Address: address}}
	}
	if err := s.records.MakePort(ctx, tx, p, wants); err != nil {
		return err
	}
	return outbox.Write(ctx, tx, event.Record{Service: "network", Action: "create", Kind: "port", Object: p.ID, ProjectID: p.ProjectID})
}

// Bind gives the port to a host.
func (s *Service) Bind(ctx context.Context, portID, host string) (b network.Binding, err error) {
	if b.Revision, err = s.records.BoundAt(ctx, portID, host); err != nil || b.Revision > 0 {
		b.PortID, b.Host = portID, host
		return b, err
	}
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		before, err := s.records.Ports.Lock(ctx, tx, portID)
		if err != nil {
			return err
		}
		if before.Host != "" && before.Host != host {
			return fault.Conflictf("Port %s is bound to another host.", portID)
		}
		p := *before
		if p.Host == "" {
			p.Host = host
			s.records.Changed(tx, network.PortScope(p.ID))
			if err := s.records.UpdatePort(ctx, tx, before, &p); err != nil {
				return err
			}
		}
		b = network.Binding{PortID: portID, Host: host, Revision: p.BindingRevision}
		return nil
	})
	return b, err
}

// Unbind takes the port off its host.
func (s *Service) Unbind(ctx context.Context, portID string) error {
	return s.change(ctx, portID, func(p *network.Port) { p.Host, p.Status = "", network.PortDown })
}

func (s *Service) change(ctx context.Context, portID string, fn func(*network.Port)) error {
	err := s.records.DB.Write(ctx, func(tx *db.Tx) error {
		before, err := s.records.Ports.Lock(ctx, tx, portID)
		if err != nil {
			return err
		}
		p := *before
		fn(&p)
		if p.Host == before.Host && p.DeviceID == before.DeviceID && p.DeviceOwner == before.DeviceOwner {
			return nil
		}
		s.records.Changed(tx, network.PortScope(p.ID))
		return s.records.UpdatePort(ctx, tx, before, &p)
	})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// Release ends the attachment.
func (s *Service) Release(ctx context.Context, portID string) error {
	p, err := s.records.Ports.Get(ctx, portID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if !p.Planned {
		return s.change(ctx, portID, func(p *network.Port) {
			p.DeviceID, p.DeviceOwner, p.Host, p.Status = "", "", "", network.PortDown
		})
	}
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		p, err := s.records.Ports.Lock(ctx, tx, portID)
		if err != nil {
			return err
		}
		if err := s.records.RemovePort(ctx, tx, p); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, event.Record{Service: "network", Action: "delete", Kind: "port", Object: p.ID, ProjectID: p.ProjectID})
	})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
