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

// Attach makes (or adopts) the planned port for a server and binds it to the server's host.
func (s *Service) Attach(ctx context.Context, tx *db.Tx, plan network.PlannedPort, a network.Attachment) (network.Interface, network.Binding, error) {
	p, card, err := s.ensure(ctx, tx, plan, a)
	if err != nil {
		return card, network.Binding{}, err
	}
	bound, err := s.bind(ctx, tx, p, a.Host)
	return card, bound, err
}

// ensure tells the port as it is then, and its card.
func (s *Service) ensure(ctx context.Context, tx *db.Tx, plan network.PlannedPort, a network.Attachment) (*network.Port, network.Interface, error) {
	var none network.Interface
	before, err := s.records.Ports.Lock(ctx, tx, plan.PortID)
	switch {
	case fault.Is(err, fault.NotFound) && plan.Existing:
		return nil, none, fault.Invalidf("Port id %s could not be found.", plan.PortID).With("PortNotFound")
	case fault.Is(err, fault.NotFound):
		return s.make(ctx, tx, plan, a)
	case err != nil:
		return nil, none, err
	case before.DeviceID != "" && before.DeviceID != a.ServerID:
		return nil, none, fault.Conflictf("Port %s is still in use.", plan.PortID).With("PortInUse")
	}
	p := *before
	if before.DeviceID == "" {
		if p.Host == "" {
			p.Host = a.Host
		}
		p.DeviceID, p.DeviceOwner = a.ServerID, network.OwnerComputePrefix+a.Zone
		s.records.Changed(tx, network.PortScope(p.ID))
		if err := s.records.UpdatePort(ctx, tx, before, &p); err != nil {
			return nil, none, err
		}
	}
	all, err := s.interfaces(ctx, tx, a.ServerID)
	for _, card := range all[a.ServerID] {
		if card.PortID == p.ID {
			return &p, card, err
		}
	}
	if err == nil {
		err = fault.Internalf("port %s is not among those of its server", p.ID)
	}
	return nil, none, err
}

func (s *Service) make(ctx context.Context, tx *db.Tx, plan network.PlannedPort, a network.Attachment) (*network.Port, network.Interface, error) {
	var none network.Interface
	if plan.Auto {
		chosen, err := s.choose(ctx, tx, a.ProjectID)
		if err != nil {
			return nil, none, err
		}
		plan.NetworkID = chosen
	}
	n, err := s.records.BareNetwork(ctx, tx, plan.NetworkID)
	if err != nil {
		return nil, none, err
	}
	if err := s.quota.Check(ctx, tx, a.ProjectID, map[string]int64{"port": 1}); err != nil {
		return nil, none, err
	}
	p := &network.Port{Standard: network.Standard{ID: plan.PortID, ProjectID: a.ProjectID}, NetworkID: n.ID, AdminStateUp: true, PortSecurity: n.PortSecurity,
		DeviceID: a.ServerID, DeviceOwner: network.OwnerComputePrefix + a.Zone, Planned: true, Host: a.Host}
	if n.PortSecurity {
		if p.SecurityGroups = plan.SecurityGroups; len(p.SecurityGroups) == 0 {
			g, err := s.records.DefaultGroup(ctx, tx, a.ProjectID)
			if err != nil {
				return nil, none, err
			}
			p.SecurityGroups = []string{g}
		}
		if err := s.records.OneKind(ctx, tx, p.SecurityGroups); err != nil {
			return nil, none, err
		}
	}
	var wants []records.Want
	if plan.FixedIP != "" {
		address, err := netip.ParseAddr(plan.FixedIP)
		if err != nil {
			return nil, none, fault.Invalidf("%s is not a valid address.", plan.FixedIP)
		}
		wants = []records.Want{{Address: address}}
	}
	if err := s.records.MakePort(ctx, tx, p, wants); err != nil {
		return nil, none, err
	}
	if err := outbox.Write(ctx, tx, event.Record{Service: "network", Action: "create", Kind: "port", Object: p.ID, ProjectID: p.ProjectID}); err != nil {
		return nil, none, err
	}
	card, err := s.records.Card(ctx, tx, p, n)
	if err != nil {
		return nil, none, err
	}
	cards := []network.Interface{card}
	err = s.addSubnets(ctx, tx, map[string][]network.Interface{a.ServerID: cards})
	return p, cards[0], err
}

// Bind gives the port to a host.
func (s *Service) Bind(ctx context.Context, portID, host string) (b network.Binding, err error) {
	if b.Revision, err = s.records.BoundAt(ctx, portID, host); err != nil || b.Revision > 0 {
		b.PortID, b.Host = portID, host
		return b, err
	}
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		before, err := s.records.Ports.Lock(ctx, tx, portID)
		if err == nil {
			b, err = s.bind(ctx, tx, before, host)
		}
		return err
	})
	return b, err
}

// bind gives a port that the transaction has locked to a host.
func (s *Service) bind(ctx context.Context, tx *db.Tx, before *network.Port, host string) (network.Binding, error) {
	if before.Host != "" && before.Host != host {
		return network.Binding{}, fault.Conflictf("Port %s is bound to another host.", before.ID)
	}
	p := *before
	if p.Host == "" {
		p.Host = host
		s.records.Changed(tx, network.PortScope(p.ID))
		if err := s.records.UpdatePort(ctx, tx, before, &p); err != nil {
			return network.Binding{}, err
		}
	}
	return network.Binding{PortID: p.ID, Host: host, Revision: p.BindingRevision}, nil
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
