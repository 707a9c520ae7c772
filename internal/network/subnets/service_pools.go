package subnets

import (
	"context"
	"net/netip"
	"slices"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
)

// cut gives a draft its range of a pool, if one was asked for, and refuses
// neighbours on the network that come from elsewhere.
func (s *Service) cut(ctx context.Context, tx *db.Tx, d *Draft, others []records.Neighbours, reach string) error {
	pool, err := s.poolOf(ctx, tx, d, reach)
	if err != nil {
		return err
	}
	if pool == nil {
		return s.affine(ctx, tx, nil, others)
	}
	if pool.IPVersion != d.IPVersion {
		return badRequest("Cannot allocate IPv%d subnet from IPv%d subnet pool.", d.IPVersion, pool.IPVersion)
	}
	if err := s.affine(ctx, tx, pool, others); err != nil {
		return err
	}
	siblings, err := s.records.Subnets.Where(ctx, tx, records.Is("pool_id", pool.ID))
	if err != nil {
		return err
	}
	var taken []netip.Prefix
	used := 0.0
	for _, other := range siblings {
		taken = append(taken, other.CIDR)
		if other.ProjectID == d.ProjectID {
			used += pool.Units(other.CIDR)
		}
	}
	found, err := pool.Cut(taken, d.CIDR, d.Bits)
	if err != nil {
		return err
	}
	if pool.Quota > 0 && used+pool.Units(found) > float64(pool.Quota) {
		return fault.OverQuotaf("Per-project subnet pool prefix quota exceeded.").With("SubnetPoolQuotaExceeded")
	}
	if d.CIDR.IsValid() {
		return nil
	}
	d.CIDR = found
	return d.complete()
}

// poolOf finds and locks the pool that a draft asks for; nil: none.
func (s *Service) poolOf(ctx context.Context, tx *db.Tx, d *Draft, reach string) (*network.SubnetPool, error) {
	if d.UseDefault {
		found, err := s.records.Pools.Where(ctx, tx, records.Is("is_default", true), records.Is("ip_version", d.IPVersion))
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, badRequest("No default subnetpool found for IPv%d.", d.IPVersion)
		}
		d.PoolID = found[0].ID
	}
	if d.PoolID == "" {
		return nil, nil
	}
	pool, err := s.records.Pools.Lock(ctx, tx, d.PoolID)
	if fault.Is(err, fault.NotFound) || err == nil && reach != "" && pool.ProjectID != reach && !pool.SharedWith.Includes(reach) {
		return nil, fault.NotFoundf("Subnet pool %s could not be found.", d.PoolID).With("SubnetPoolNotFound")
	}
	return pool, err
}

// affine keeps the subnets of one version on a network in one pool, or at
// least in one address scope. others are of that version.
func (s *Service) affine(ctx context.Context, tx *db.Tx, pool *network.SubnetPool, others []records.Neighbours) error {
	scope := ""
	for _, other := range others {
		found, err := s.records.PoolScope(ctx, tx, other.PoolID)
		if err != nil {
			return err
		}
		if found != "" {
			scope = found
		}
	}
	if scope != "" && pool != nil && pool.AddressScopeID != scope {
		return fault.Invalidf("Subnets of the same address family hosted on the same network must all participate in the same address scope.").With("NetworkAddressScopeAffinityError")
	}
	for _, other := range others {
		if pool == nil && other.PoolID != "" || pool != nil && other.PoolID != pool.ID && scope == "" {
			return fault.Invalidf("Subnets hosted on the same network must be allocated from the same subnet pool.").With("NetworkSubnetPoolAffinityError")
		}
	}
	return nil
}

// selfAddress gives the ports that are on the network already the addresses
// that they make themselves on a new IPv6 subnet.
func (s *Service) selfAddress(ctx context.Context, tx *db.Tx, sub *network.Subnet) error {
	if !sub.AutoAddressed() {
		return nil
	}
	ports, err := s.records.Ports.Where(ctx, tx, records.Is("network_id", sub.NetworkID))
	if err != nil {
		return err
	}
	for _, before := range ports {
		if slices.Contains([]string{network.OwnerRouterInterface, network.OwnerRouterGateway, network.OwnerFloatingIP, network.OwnerMetadata}, before.DeviceOwner) {
			continue
		}
		p := *before
		p.FixedIPs = append(slices.Clone(before.FixedIPs), network.FixedIP{SubnetID: sub.ID, Address: network.EUI64(sub.CIDR, before.MAC)})
		if err := s.records.UpdatePort(ctx, tx, before, &p); err != nil {
			return err
		}
		s.records.Changed(tx, network.PortScope(p.ID))
	}
	return nil
}
