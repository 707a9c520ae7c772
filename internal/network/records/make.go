package records

import (
	"context"
	"net/netip"
	"slices"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
)

// Want is a wish for one address of a port: a subnet, an address, or both.
type Want struct {
	SubnetID string
	Address  netip.Addr
}

// MakePort completes a port (MAC, addresses, status) and adds it. Nil wants
// choose addresses; an empty list wants none. The port's groups are given.
func (r *Records) MakePort(ctx context.Context, tx *db.Tx, p *network.Port, wants []Want) error {
	if p.MAC == "" {
		return r.makeAnywhere(ctx, tx, p, wants)
	}
	if err := r.macFree(ctx, tx, p.NetworkID, p.MAC); err != nil {
		return err
	}
	_, err := r.make(ctx, tx, p, wants, false)
	return err
}

// makeAnywhere tries MACs until one is free on the network.
func (r *Records) makeAnywhere(ctx context.Context, tx *db.Tx, p *network.Port, wants []Want) error {
	for range 64 {
		p.MAC = network.MACFrom(id.Bytes(3))
		made, err := r.make(ctx, tx, p, wants, true)
		if err != nil || made {
			return err
		}
	}
	return errNoMAC(p.NetworkID)
}

// make adds a port that has its MAC; false: another port has it, if that was guessed.
func (r *Records) make(ctx context.Context, tx *db.Tx, p *network.Port, wants []Want, guessed bool) (bool, error) {
	subnets, err := r.KnownSubnetsOf(ctx, tx, p.NetworkID)
	if err != nil {
		return false, err
	}
	g := guesses{}
	if p.FixedIPs, err = r.allocate(ctx, tx, p, subnets, wants, nil, r.guess(g)); err != nil {
		return false, err
	}
	if p.Status == "" {
		p.Status = network.PortDown
	}
	if p.VNICType == "" {
		p.VNICType = "normal"
	}
	r.Begin(&p.Standard)
	made, err := r.insertPort(ctx, tx, p, guessed, g)
	if err == nil && made {
		r.Changed(tx, network.PortScope(p.ID))
	}
	return made, err
}

func (r *Records) macFree(ctx context.Context, tx *db.Tx, networkID, mac string) error {
	n, err := portRows.Count(ctx, tx, Is("network_id", networkID), Is("mac_address", mac))
	if err == nil && n > 0 {
		err = fault.Conflictf("Unable to complete operation for network %s. The mac address %s is in use.", networkID, mac).With("MacAddressInUse")
	}
	return err
}

// MACFree refuses with Conflict a MAC that a port of the network has.
func (r *Records) MACFree(ctx context.Context, tx *db.Tx, networkID, mac string) error {
	return r.macFree(ctx, tx, networkID, mac)
}

// Allocate turns wishes into addresses of the port's network. Addresses in
// keep are the port's already.
func (r *Records) Allocate(ctx context.Context, tx *db.Tx, p *network.Port, wants []Want, keep []network.FixedIP) ([]network.FixedIP, error) {
	subnets, err := r.KnownSubnetsOf(ctx, tx, p.NetworkID)
	if err != nil {
		return nil, err
	}
	return r.AllocateOn(ctx, tx, p, subnets, wants, keep)
}

// AllocateOn is Allocate for a caller that has read the network's subnets.
func (r *Records) AllocateOn(ctx context.Context, tx *db.Tx, p *network.Port, subnets []network.Subnet, wants []Want, keep []network.FixedIP) ([]network.FixedIP, error) {
	return r.allocate(ctx, tx, p, subnets, wants, keep, r.PickAddress)
}

// picker chooses an address of a subnet.
type picker func(ctx context.Context, tx *db.Tx, s network.Subnet) (netip.Addr, error)

func (r *Records) allocate(ctx context.Context, tx *db.Tx, p *network.Port, subnets []network.Subnet, wants []Want, keep []network.FixedIP, pick picker) ([]network.FixedIP, error) {
	if wants == nil {
		return r.choose(ctx, tx, p, subnets, pick)
	}
	var out []network.FixedIP
	for _, w := range wants {
		s, err := subnetFor(p, subnets, w)
		if err != nil {
			return nil, err
		}
		a, err := r.one(ctx, tx, p, s, w, keep, out, pick)
		if err != nil {
			return nil, err
		}
		out = append(out, network.FixedIP{SubnetID: s.ID, Address: a})
	}
	return out, nil
}

func subnetFor(p *network.Port, subnets []network.Subnet, w Want) (network.Subnet, error) {
	for _, s := range subnets {
		if s.ID == w.SubnetID || w.SubnetID == "" && s.CIDR.Contains(w.Address) {
			return s, nil
		}
	}
	if w.SubnetID == "" {
		return network.Subnet{}, fault.Invalidf("IP address %s is not a valid IP for any of the subnets on the specified network.", w.Address).With("InvalidIpForNetwork")
	}
	return network.Subnet{}, fault.Invalidf("Failed to create port on network %s, because fixed_ips included invalid subnet %s.", p.NetworkID, w.SubnetID).With("InvalidInput")
}

// one gives out the address that a wish asks for, or any of its subnet.
func (r *Records) one(ctx context.Context, tx *db.Tx, p *network.Port, s network.Subnet, w Want, keep, given []network.FixedIP, pick picker) (netip.Addr, error) {
	if !w.Address.IsValid() {
		for _, k := range keep { // a port that named only the subnet keeps what it has there
			if k.SubnetID == s.ID && !slices.Contains(given, k) {
				return k.Address, nil
			}
		}
		if s.AutoAddressed() && p.DeviceOwner != network.OwnerRouterInterface {
			return network.EUI64(s.CIDR, p.MAC), nil
		}
		return pick(ctx, tx, s)
	}
	last := network.LastAddress(s.CIDR)
	wide := s.CIDR.Bits() < s.CIDR.Addr().BitLen()-1
	if !s.CIDR.Contains(w.Address) || wide && (w.Address == s.CIDR.Masked().Addr() || w.Address == last && s.IPVersion == 4) {
		return netip.Addr{}, fault.Invalidf("IP address %s is not a valid IP for the specified subnet.", w.Address).With("InvalidIpForSubnet")
	}
	if slices.ContainsFunc(keep, func(k network.FixedIP) bool { return k.SubnetID == s.ID && k.Address == w.Address }) {
		return w.Address, nil
	}
	taken, err := r.Taken(ctx, tx, s.ID, w.Address)
	if err == nil && taken {
		err = fault.Conflictf("IP address %s already allocated in subnet %s", w.Address, s.ID).With("IpAddressAlreadyAllocated")
	}
	return w.Address, err
}

// choose gives a port one IPv4 address, one address of a managed IPv6 subnet,
// and its own one of each IPv6 subnet whose ports make their addresses.
func (r *Records) choose(ctx context.Context, tx *db.Tx, p *network.Port, subnets []network.Subnet, pick picker) ([]network.FixedIP, error) {
	var out []network.FixedIP
	for _, version := range []int{4, 6} {
		var full error
		done := false
		some := slices.DeleteFunc(slices.Clone(subnets), func(s network.Subnet) bool {
			return s.IPVersion != version || s.AutoAddressed() || !serves(s, p.DeviceOwner)
		})
		if len(some) > 1 {
			pick = r.PickAddress // it must be known which of them are full
		}
		for _, s := range some {
			if done {
				break
			}
			a, err := pick(ctx, tx, s)
			if fault.Is(err, fault.Conflict) {
				full = err
				continue
			}
			if err != nil {
				return nil, err
			}
			out = append(out, network.FixedIP{SubnetID: s.ID, Address: a})
			done = true
		}
		if full != nil && !done {
			return nil, full
		}
	}
	for _, s := range subnets {
		if s.AutoAddressed() && p.DeviceOwner != network.OwnerRouterInterface {
			out = append(out, network.FixedIP{SubnetID: s.ID, Address: network.EUI64(s.CIDR, p.MAC)})
		}
	}
	return out, nil
}

// serves tells whether a subnet may give addresses to ports of a kind.
func serves(s network.Subnet, owner string) bool {
	if len(s.ServiceTypes) == 0 {
		return true
	}
	return slices.ContainsFunc(s.ServiceTypes, func(t string) bool { return owner != "" && (t == owner || len(owner) > len(t) && owner[:len(t)] == t) })
}

// RemovePort deletes a port with all that hangs on it: floating addresses are
// dissociated, its trunk ends. What forbids it is the caller's to check.
func (r *Records) RemovePort(ctx context.Context, tx *db.Tx, p *network.Port) error {
	if err := r.Dissociate(ctx, tx, p.ID, nil); err != nil {
		return err
	}
	if err := r.endTrunk(ctx, tx, p); err != nil {
		return err
	}
	if err := r.DeletePort(ctx, tx, p); err != nil {
		return err
	}
	r.Changed(tx, network.PortScope(p.ID))
	return nil
}
