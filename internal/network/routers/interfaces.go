package routers

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
)

func badRequest(format string, args ...any) error {
	return fault.Invalidf("Bad router request: "+format, args...).With("BadRequest")
}

// JoinSubnet gives a router the gateway address of a subnet. The subnet must
// belong to the project, or to a shared network; an empty project may use all.
func (s *Service) JoinSubnet(ctx context.Context, r *network.Router, subnetID, project string, record event.Record) (p *network.Port, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.records.Routers.Lock(ctx, tx, r.ID); err != nil {
			return err
		}
		if p, err = s.join(ctx, tx, r, subnetID, project); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return p, err
}

// join is JoinSubnet of a router that the transaction has locked.
func (s *Service) join(ctx context.Context, tx *db.Tx, r *network.Router, subnetID, project string) (*network.Port, error) {
	sub, err := s.usable(ctx, tx, subnetID, project)
	if err != nil {
		return nil, err
	}
	if !sub.Gateway.IsValid() {
		return nil, badRequest("Subnet for router interface must have a gateway IP.")
	}
	if err := s.fits(ctx, tx, r, sub, ""); err != nil {
		return nil, err
	}
	if sub.IPVersion == 6 && sub.IPv6RAMode == "" && sub.IPv6AddressMode != "" {
		return nil, badRequest("IPv6 subnet %s configured to receive RAs from an external router cannot be added to Neutron Router.", sub.ID)
	}
	if joined, err := s.widen(ctx, tx, r, sub); err != nil || joined != nil {
		return joined, err
	}
	p := newPort(r, sub.NetworkID, network.OwnerRouterInterface)
	if err := s.records.MakePort(ctx, tx, p, []records.Want{{SubnetID: sub.ID, Address: sub.Gateway}}); err != nil {
		return nil, err
	}
	s.records.Changed(tx, network.RouterScope(r.ID))
	return p, nil
}

// widen gives a port that the router has on an IPv6 network the address of one
// more subnet there: one port advertises all prefixes of a network. Nil: there
// is no such port.
func (s *Service) widen(ctx context.Context, tx *db.Tx, r *network.Router, sub *network.Subnet) (*network.Port, error) {
	if sub.IPVersion != 6 {
		return nil, nil
	}
	inner, err := s.records.InterfacesOf(ctx, tx, r.ID)
	if err != nil {
		return nil, err
	}
	for _, before := range inner {
		six := slices.ContainsFunc(before.FixedIPs, func(ip network.FixedIP) bool { return ip.Address.Is6() })
		if before.NetworkID != sub.NetworkID || !six {
			continue
		}
		p := *before
		wants := []records.Want{}
		for _, ip := range before.FixedIPs {
			wants = append(wants, records.Want(ip))
		}
		if p.FixedIPs, err = s.records.Allocate(ctx, tx, &p, append(wants, records.Want{SubnetID: sub.ID, Address: sub.Gateway}), before.FixedIPs); err != nil {
			return nil, err
		}
		s.records.Changed(tx, network.PortScope(p.ID), network.RouterScope(r.ID))
		return &p, s.records.UpdatePort(ctx, tx, before, &p)
	}
	return nil, nil
}

func (s *Service) usable(ctx context.Context, tx *db.Tx, subnetID, project string) (*network.Subnet, error) {
	sub, err := s.records.Subnets.Find(ctx, tx, subnetID)
	if err == nil && project != "" && sub.ProjectID != project {
		n, nerr := s.records.Networks.Find(ctx, tx, sub.NetworkID)
		if nerr != nil || !n.SharedWith.Includes(project) {
			err = fault.NotFoundf("hidden")
		}
	}
	if fault.Is(err, fault.NotFound) {
		err = fault.NotFoundf("Subnet %s could not be found.", subnetID).With("SubnetNotFound")
	}
	return sub, err
}

// fits refuses a subnet that the router is on, or whose addresses overlap.
// except is a port that is about to be joined itself.
func (s *Service) fits(ctx context.Context, tx *db.Tx, r *network.Router, sub *network.Subnet, except string) error {
	ports, err := s.records.Ports.Where(ctx, tx, records.Is("device_id", r.ID))
	if err != nil {
		return err
	}
	for _, p := range ports {
		if p.ID == except {
			continue
		}
		for _, ip := range p.FixedIPs {
			if ip.SubnetID == sub.ID {
				return badRequest("Router already has a port on subnet %s.", sub.ID)
			}
			other, err := s.records.Subnets.Find(ctx, tx, ip.SubnetID)
			if err != nil {
				return err
			}
			if other.CIDR.Overlaps(sub.CIDR) {
				return badRequest("Cidr %s of subnet %s overlaps with cidr %s of subnet %s.", sub.CIDR, sub.ID, other.CIDR, other.ID)
			}
		}
	}
	return nil
}

// JoinPort makes an unused port of the user an interface of a router.
func (s *Service) JoinPort(ctx context.Context, r *network.Router, portID, project string, record event.Record) (p *network.Port, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.records.Routers.Lock(ctx, tx, r.ID); err != nil {
			return err
		}
		before, err := s.records.Ports.Lock(ctx, tx, portID)
		if fault.Is(err, fault.NotFound) || err == nil && project != "" && before.ProjectID != project {
			return fault.NotFoundf("Port %s could not be found.", portID).With("PortNotFound")
		}
		if err != nil {
			return err
		}
		if before.DeviceID != "" {
			return fault.Conflictf("Unable to complete operation on port %s for network %s. Port already has an attached device %s.", portID, before.NetworkID, before.DeviceID).With("PortInUse")
		}
		if len(before.FixedIPs) == 0 {
			return badRequest("Router port must have at least one fixed IP.")
		}
		for _, ip := range before.FixedIPs {
			sub, err := s.records.Subnets.Find(ctx, tx, ip.SubnetID)
			if err != nil {
				return err
			}
			if err := s.fits(ctx, tx, r, sub, portID); err != nil {
				return err
			}
		}
		after := *before
		p = &after
		p.DeviceID, p.DeviceOwner, p.PortSecurity, p.SecurityGroups, p.AddressPairs, p.Status = r.ID, network.OwnerRouterInterface, false, nil, nil, network.PortActive
		if err := s.records.UpdatePort(ctx, tx, before, p); err != nil {
			return err
		}
		s.records.Changed(tx, network.RouterScope(r.ID), network.PortScope(p.ID))
		return outbox.Write(ctx, tx, record)
	})
	return p, err
}

// Leave takes an interface off a router, by subnet, by port, or by both.
func (s *Service) Leave(ctx context.Context, r *network.Router, subnetID, portID *string, record event.Record) (p *network.Port, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.records.Routers.Lock(ctx, tx, r.ID); err != nil {
			return err
		}
		if p, err = s.leave(ctx, tx, r, subnetID, portID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return p, err
}

// leave is Leave of a router that the transaction has locked.
func (s *Service) leave(ctx context.Context, tx *db.Tx, r *network.Router, subnetID, portID *string) (*network.Port, error) {
	p, err := s.interfaceOf(ctx, tx, r, subnetID, portID)
	if err != nil {
		return nil, err
	}
	if portID == nil && len(p.FixedIPs) > 1 {
		return p, s.narrow(ctx, tx, r, p, *subnetID)
	}
	if err := s.needed(ctx, tx, r, p); err != nil {
		return nil, err
	}
	if err := s.records.RemovePort(ctx, tx, p); err != nil {
		return nil, err
	}
	s.records.Changed(tx, network.RouterScope(r.ID))
	return p, nil
}

// narrow takes one of several subnets off a port.
func (s *Service) narrow(ctx context.Context, tx *db.Tx, r *network.Router, before *network.Port, subnetID string) error {
	p := *before
	p.FixedIPs = slices.DeleteFunc(slices.Clone(before.FixedIPs), func(ip network.FixedIP) bool { return ip.SubnetID == subnetID })
	leaving := *before
	leaving.FixedIPs = slices.DeleteFunc(slices.Clone(before.FixedIPs), func(ip network.FixedIP) bool { return ip.SubnetID != subnetID })
	if err := s.needed(ctx, tx, r, &leaving); err != nil {
		return err
	}
	s.records.Changed(tx, network.PortScope(p.ID), network.RouterScope(r.ID))
	return s.records.UpdatePort(ctx, tx, before, &p)
}

func (s *Service) interfaceOf(ctx context.Context, tx *db.Tx, r *network.Router, subnetID, portID *string) (*network.Port, error) {
	inner, err := s.records.InterfacesOf(ctx, tx, r.ID)
	if err != nil {
		return nil, err
	}
	for _, p := range inner {
		on := subnetID != nil && containsSubnet(p, *subnetID)
		switch {
		case portID != nil && p.ID == *portID && (subnetID == nil || on), portID == nil && on:
			return p, nil
		case portID != nil && p.ID == *portID:
			return nil, fault.Conflictf("Subnet %s mismatch on port %s of router %s.", *subnetID, *portID, r.ID).With("SubnetMismatchForPort")
		}
	}
	if portID != nil {
		return nil, fault.NotFoundf("Router %s does not have an interface with id %s", r.ID, *portID).With("RouterInterfaceNotFound")
	}
	return nil, fault.NotFoundf("Router %s has no interface on subnet %s", r.ID, *subnetID).With("RouterInterfaceNotFoundForSubnet")
}

func containsSubnet(p *network.Port, subnetID string) bool {
	for _, ip := range p.FixedIPs {
		if ip.SubnetID == subnetID {
			return true
		}
	}
	return false
}

// needed refuses to take off what floating addresses or extra routes need.
func (s *Service) needed(ctx context.Context, tx *db.Tx, r *network.Router, p *network.Port) error {
	floating, err := s.records.Floatings.Where(ctx, tx, records.Is("router_id", r.ID))
	if err != nil {
		return err
	}
	full, err := s.records.Routers.Find(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	for _, f := range floating {
		forwarded, err := s.records.Forwardings.Where(ctx, tx, records.Is("floating_id", f.ID))
		if err != nil {
			return err
		}
		for _, x := range forwarded {
			floating = append(floating, &network.FloatingIP{Fixed: x.Fixed})
		}
	}
	for _, ip := range p.FixedIPs {
		sub, err := s.records.Subnets.Find(ctx, tx, ip.SubnetID)
		if err != nil {
			return err
		}
		for _, f := range floating {
			if sub.CIDR.Contains(f.Fixed) {
				return fault.Conflictf("Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more floating IPs.", sub.ID, r.ID).With("RouterInterfaceInUseByFloatingIP")
			}
		}
		for _, route := range full.Routes {
			if sub.CIDR.Contains(route.NextHop) {
				return fault.Conflictf("Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more routes.", sub.ID, r.ID).With("RouterInterfaceInUseByRoute")
			}
		}
	}
	return nil
}
