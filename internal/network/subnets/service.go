package subnets

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/quota"
)

// Service is subnets behind the API. Safe for concurrent use.
type Service struct {
	records *records.Records
	quota   *quota.Quota
}

// New makes the service.
func New(r *records.Records, q *quota.Quota) *Service { return &Service{r, q} }

// Create adds subnets, all or none. Reach is the project whose subnet pools may
// be used; empty: all.
func (s *Service) Create(ctx context.Context, items []*Draft, reach string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		for _, d := range items {
			draft, sub := *d, *d.Subnet // the function may run twice
			draft.Subnet = &sub
			if err := s.add(ctx, tx, &draft, reach); err != nil {
				return err
			}
			*d.Subnet = sub
			record.Object, record.ProjectID = sub.ID, sub.ProjectID
			if err := outbox.Write(ctx, tx, record); err != nil {
				return err
			}
		}
		return nil
	})
}

// FromPool adds a subnet that is cut from the pool it names, with what else is
// usual, in a transaction that says what was asked for. Reach is as in Create.
func (s *Service) FromPool(ctx context.Context, tx *db.Tx, sub *network.Subnet, reach string) error {
	return s.add(ctx, tx, &Draft{Subnet: sub, Cut: true}, reach)
}

func (s *Service) add(ctx context.Context, tx *db.Tx, d *Draft, reach string) error {
	sub := d.Subnet
	n, err := s.records.LockNetwork(ctx, tx, sub.NetworkID)
	if err != nil {
		return err
	}
	others, err := s.records.NeighboursOf(ctx, tx, n.ID, sub.IPVersion)
	if err != nil {
		return err
	}
	if err := s.cut(ctx, tx, d, others, reach); err != nil {
		return err
	}
	for _, other := range others {
		for _, taken := range other.Ranges {
			if taken.Overlaps(sub.CIDR) {
				return fault.Invalidf("Invalid input for operation: Requested subnet with cidr: %s for network: %s overlaps with another subnet (%s).", sub.CIDR, n.ID, taken).With("InvalidInput")
			}
		}
	}
	if err := s.quota.Check(ctx, tx, sub.ProjectID, map[string]int64{"subnet": 1}); err != nil {
		return err
	}
	s.records.Begin(&sub.Standard)
	if err := s.records.InsertSubnet(ctx, tx, sub); err != nil {
		return err
	}
	s.records.Changed(tx, network.NetworkScope(n.ID))
	if err := s.selfAddress(ctx, tx, sub); err != nil {
		return err
	}
	if !answers(n, *sub) {
		return nil
	}
	found, err := s.records.AddAddress(ctx, tx, network.OwnerMetadata, *sub)
	if err == nil && !found {
		err = s.metadataPort(ctx, tx, n, []records.Want{{SubnetID: sub.ID}})
	}
	return s.ignoreFull(err)
}

// answers tells whether a network's metadata port has an address on a subnet:
// on each IPv4 subnet that DHCP serves.
func answers(n *network.Network, sub network.Subnet) bool {
	return sub.IPVersion == 4 && sub.EnableDHCP && !n.External
}

func (s *Service) metadataPort(ctx context.Context, tx *db.Tx, n *network.Network, wants []records.Want) error {
	p := &network.Port{Standard: network.Standard{ID: id.New(), ProjectID: n.ProjectID}, NetworkID: n.ID, AdminStateUp: true,
		DeviceID: "ovnmeta-" + n.ID, DeviceOwner: network.OwnerMetadata}
	return s.records.MakePort(ctx, tx, p, wants)
}

// metadata keeps the network's metadata port, when subnets that were there change
// what it is to have; no such subnet, no port.
func (s *Service) metadata(ctx context.Context, tx *db.Tx, n *network.Network, subnets []network.Subnet) error {
	var wants []records.Want
	for _, sub := range subnets {
		if answers(n, sub) {
			wants = append(wants, records.Want{SubnetID: sub.ID})
		}
	}
	ports, err := s.records.Ports.Where(ctx, tx, records.Is("network_id", n.ID), records.Is("device_owner", network.OwnerMetadata))
	if err != nil {
		return err
	}
	switch {
	case len(ports) == 0 && len(wants) == 0:
		return nil
	case len(ports) == 0:
		return s.ignoreFull(s.metadataPort(ctx, tx, n, wants))
	case len(wants) == 0:
		return s.records.RemovePort(ctx, tx, ports[0])
	}
	p := *ports[0]
	if p.FixedIPs, err = s.records.AllocateOn(ctx, tx, &p, subnets, wants, ports[0].FixedIPs); err != nil {
		return s.ignoreFull(err)
	}
	s.records.Changed(tx, network.PortScope(p.ID))
	return s.records.UpdatePort(ctx, tx, ports[0], &p)
}

// ignoreFull lets a subnet be that is too small for a metadata address: its
// guests have a config drive.
func (s *Service) ignoreFull(err error) error {
	if fault.As(err).Code == "IpAddressGenerationFailure" {
		return nil
	}
	return err
}

// Update changes a subnet.
func (s *Service) Update(ctx context.Context, subnetID string, change func(*network.Subnet) error, record event.Record) (sub *network.Subnet, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if sub, err = s.records.Subnets.Lock(ctx, tx, subnetID); err != nil {
			return err
		}
		before := *sub
		if err := change(sub); err != nil {
			return err
		}
		if err := check(sub); err != nil {
			return err
		}
		if before.Gateway != sub.Gateway {
			if err := s.gatewayUsed(ctx, tx, &before); err != nil {
				return err
			}
		}
		if err := s.records.UpdateSubnet(ctx, tx, sub); err != nil {
			return err
		}
		n, err := s.records.Networks.Find(ctx, tx, sub.NetworkID)
		if err != nil {
			return err
		}
		if before.EnableDHCP != sub.EnableDHCP {
			subnets, err := s.records.SubnetsOf(ctx, tx, n.ID)
			if err != nil {
				return err
			}
			if err := s.metadata(ctx, tx, n, subnets); err != nil {
				return err
			}
		}
		return s.touched(ctx, tx, sub, record)
	})
	return sub, err
}

// touched has everything rendered again that shows a subnet's settings.
func (s *Service) touched(ctx context.Context, tx *db.Tx, sub *network.Subnet, record event.Record) error {
	s.records.Changed(tx, network.NetworkScope(sub.NetworkID))
	ports, err := s.records.Ports.Where(ctx, tx, records.Is(records.OnSubnet, sub.ID))
	if err != nil {
		return err
	}
	for _, p := range ports {
		s.records.Changed(tx, network.PortScope(p.ID))
		if p.DeviceOwner == network.OwnerRouterInterface || p.DeviceOwner == network.OwnerRouterGateway {
			s.records.Changed(tx, network.RouterScope(p.DeviceID))
		}
	}
	return outbox.Write(ctx, tx, record)
}

// gatewayUsed refuses to move a gateway that a router has.
func (s *Service) gatewayUsed(ctx context.Context, tx *db.Tx, sub *network.Subnet) error {
	if !sub.Gateway.IsValid() {
		return nil
	}
	p, err := s.records.Holder(ctx, tx, sub.ID, sub.Gateway)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err == nil && p.DeviceOwner == network.OwnerRouterInterface {
		err = fault.Conflictf("Current gateway ip %s already in use by port %s. Unable to update.", sub.Gateway, p.ID).With("GatewayIpInUse")
	}
	return err
}

// Delete removes a subnet; Conflict while ports have addresses of it, but for
// those that addressed themselves and the metadata port.
func (s *Service) Delete(ctx context.Context, subnetID string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		sub, err := s.records.Subnets.Lock(ctx, tx, subnetID)
		if err != nil {
			return err
		}
		ports, err := s.records.Ports.Where(ctx, tx, records.Is(records.OnSubnet, subnetID))
		if err != nil {
			return err
		}
		for _, p := range ports {
			own := sub.AutoAddressed() && p.DeviceOwner != network.OwnerRouterInterface
			if p.DeviceOwner != network.OwnerMetadata && !own {
				return fault.Conflictf("Unable to complete operation on subnet %s: One or more ports have an IP allocation from this subnet.", subnetID).With("SubnetInUse")
			}
		}
		for _, p := range ports {
			if err := s.takeOff(ctx, tx, p, subnetID); err != nil {
				return err
			}
		}
		if err := s.records.DeleteSubnet(ctx, tx, subnetID); err != nil {
			return err
		}
		s.records.Changed(tx, network.NetworkScope(sub.NetworkID))
		return outbox.Write(ctx, tx, record)
	})
}

func (s *Service) takeOff(ctx context.Context, tx *db.Tx, before *network.Port, subnetID string) error {
	p := *before
	p.FixedIPs = nil
	for _, ip := range before.FixedIPs {
		if ip.SubnetID != subnetID {
			p.FixedIPs = append(p.FixedIPs, ip)
		}
	}
	if p.DeviceOwner == network.OwnerMetadata && len(p.FixedIPs) == 0 {
		return s.records.RemovePort(ctx, tx, before)
	}
	s.records.Changed(tx, network.PortScope(p.ID))
	return s.records.UpdatePort(ctx, tx, before, &p)
}
