package floatingips

import (
	"context"
	"net/netip"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/quota"
)

// Wish is what an association should be.
type Wish struct {
	PortID      *string    // nil: as it is; empty: none
	Fixed       netip.Addr // of the port; invalid: its only IPv4 address
	Description *string
	QoSPolicyID *string // nil: as it is; empty: none
	Project     string  // whose port it must be; empty: anybody's
}

// Service is floating IPs behind the API. Safe for concurrent use.
type Service struct {
	records *records.Records
	quota   *quota.Quota
}

// New makes the service.
func New(r *records.Records, q *quota.Quota) *Service { return &Service{r, q} }

// Create takes an address of an external network for a project.
func (s *Service) Create(ctx context.Context, f *network.FloatingIP, want records.Want, w Wish, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		n, err := s.records.Networks.Find(ctx, tx, f.NetworkID)
		if fault.Is(err, fault.NotFound) {
			return fault.NotFoundf("Network %s could not be found.", f.NetworkID).With("NetworkNotFound")
		}
		if err != nil {
			return err
		}
		if !n.External {
			return fault.Invalidf("Bad floatingip request: Network %s is not a valid external network.", n.ID).With("BadRequest")
		}
		if err := s.quota.Check(ctx, tx, f.ProjectID, map[string]int64{"floatingip": 1}); err != nil {
			return err
		}
		p := &network.Port{Standard: network.Standard{ID: id.New()}, NetworkID: n.ID, AdminStateUp: true, Status: network.PortNone,
			DeviceID: f.ID, DeviceOwner: network.OwnerFloatingIP}
		var wants []records.Want
		if want != (records.Want{}) {
			wants = []records.Want{want}
		}
		if err := s.records.MakePort(ctx, tx, p, wants); err != nil {
			return err
		}
		for _, ip := range p.FixedIPs {
			if ip.Address.Is4() {
				f.Address = ip.Address
			}
		}
		if !f.Address.IsValid() {
			return fault.Invalidf("Bad floatingip request: Network %s does not contain any IPv4 subnet.", n.ID).With("BadRequest")
		}
		s.records.Begin(&f.Standard)
		f.PortOwnID, f.Status = p.ID, network.StatusDown
		if err := s.records.InsertFloating(ctx, tx, f); err != nil {
			return err
		}
		return s.change(ctx, tx, f, w, record)
	})
}

// Update changes a floating address: who it leads to, its description.
func (s *Service) Update(ctx context.Context, floatingID string, w Wish, record event.Record) (f *network.FloatingIP, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if f, err = s.records.Floatings.Lock(ctx, tx, floatingID); err != nil {
			return err
		}
		return s.change(ctx, tx, f, w, record)
	})
	return f, err
}

func (s *Service) change(ctx context.Context, tx *db.Tx, f *network.FloatingIP, w Wish, record event.Record) error {
	if w.Description != nil {
		f.Description = *w.Description
	}
	if w.QoSPolicyID != nil {
		if err := records.PinPolicy(ctx, tx, f.QoSPolicyID, *w.QoSPolicyID); err != nil {
			return err
		}
		f.QoSPolicyID = *w.QoSPolicyID
	}
	if w.PortID != nil {
		if *w.PortID != "" {
			if err := s.unforwarded(ctx, tx, f.ID); err != nil {
				return err
			}
		}
		if *w.PortID != "" || f.PortID != "" { // with forwardings it keeps its router
			f.PortID, f.RouterID, f.Fixed, f.Status = *w.PortID, "", netip.Addr{}, network.StatusDown
		}
		if *w.PortID != "" {
			if err := s.associate(ctx, tx, f, w); err != nil {
				return err
			}
		}
	} else if w.Fixed.IsValid() {
		return fault.Invalidf("Bad floatingip request: fixed_ip_address cannot be specified without a port_id.").With("BadRequest")
	}
	s.records.Changed(tx, network.FloatingScope(f.ID))
	if err := s.records.UpdateFloating(ctx, tx, f); err != nil {
		return err
	}
	return outbox.Write(ctx, tx, record)
}

// unforwarded refuses an address of which ports are forwarded.
func (s *Service) unforwarded(ctx context.Context, tx *db.Tx, floatingID string) error {
	n, err := s.records.Forwardings.Count(ctx, tx, records.Is("floating_id", floatingID))
	if err == nil && n > 0 {
		err = fault.Conflictf("Floating IP %s in use by Port Forwarding resources.", floatingID).With("FipInUseByPortForwarding")
	}
	return err
}

// associate finds which address of the port is meant, and the router that
// leads from the external network to it.
func (s *Service) associate(ctx context.Context, tx *db.Tx, f *network.FloatingIP, w Wish) error {
	p, err := s.records.Ports.Lock(ctx, tx, *w.PortID)
	if fault.Is(err, fault.NotFound) || err == nil && w.Project != "" && p.ProjectID != w.Project {
		return fault.NotFoundf("Port %s could not be found.", *w.PortID).With("PortNotFound")
	}
	if err != nil {
		return err
	}
	ip, err := meant(p, w.Fixed)
	if err != nil {
		return err
	}
	router, err := s.records.RouterTo(ctx, tx, ip.SubnetID, f.NetworkID)
	if err != nil {
		return err
	}
	if router != "" {
		f.RouterID, f.Fixed, f.Status = router, ip.Address, network.StatusActive
		return nil
	}
	return fault.NotFoundf("External network %s is not reachable from subnet %s.  Therefore, cannot associate Port %s with a Floating IP.",
		f.NetworkID, ip.SubnetID, p.ID).With("ExternalGatewayForFloatingIPNotFound")
}

func meant(p *network.Port, want netip.Addr) (network.FixedIP, error) {
	var four []network.FixedIP
	for _, ip := range p.FixedIPs {
		if ip.Address == want {
			return ip, nil
		}
		if ip.Address.Is4() {
			four = append(four, ip)
		}
	}
	switch {
	case want.IsValid():
		return network.FixedIP{}, fault.Invalidf("Bad floatingip request: Port %s does not have fixed ip %s.", p.ID, want).With("BadRequest")
	case len(four) == 0:
		return network.FixedIP{}, fault.Invalidf("Bad floatingip request: Cannot add floating IP to port %s that has no fixed IPv4 addresses.", p.ID).With("BadRequest")
	case len(four) > 1:
		return network.FixedIP{}, fault.Invalidf("Bad floatingip request: Port %s has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a floating IP.", p.ID).With("BadRequest")
	}
	return four[0], nil
}

// Delete gives an address back.
func (s *Service) Delete(ctx context.Context, floatingID string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		f, err := s.records.Floatings.Lock(ctx, tx, floatingID)
		if err != nil {
			return err
		}
		if err := s.unforwarded(ctx, tx, floatingID); err != nil {
			return err
		}
		if err := s.records.DeleteFloating(ctx, tx, floatingID); err != nil {
			return err
		}
		p, err := s.records.Ports.Lock(ctx, tx, f.PortOwnID)
		if err != nil {
			return err
		}
		if err := s.records.RemovePort(ctx, tx, p); err != nil {
			return err
		}
		s.records.Changed(tx, network.FloatingScope(floatingID))
		return outbox.Write(ctx, tx, record)
	})
}
