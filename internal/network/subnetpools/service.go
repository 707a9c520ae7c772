package subnetpools

import (
	"context"
	"net/netip"
	"slices"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/quota"
)

// Service is subnet pools behind the API. Safe for concurrent use. Where a
// reach is asked for it is the project whose address scopes may be used;
// empty: all.
type Service struct {
	records *records.Records
	quota   *quota.Quota
}

// New makes the service.
func New(r *records.Records, q *quota.Quota) *Service { return &Service{r, q} }

type prefixChange func(ctx context.Context, poolID string, prefixes []netip.Prefix, reach string, record event.Record) (*network.SubnetPool, error)

// Create adds a pool.
func (s *Service) Create(ctx context.Context, p *network.SubnetPool, shared bool, reach string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		pool := *p // the function may run twice
		if err := s.quota.Check(ctx, tx, pool.ProjectID, map[string]int64{"subnetpool": 1}); err != nil {
			return err
		}
		if err := s.check(ctx, tx, &pool, nil, reach); err != nil {
			return err
		}
		s.records.Begin(&pool.Standard)
		if err := s.records.Pools.Insert(ctx, tx, &pool); err != nil {
			return err
		}
		if err := s.records.ShareWithAll(ctx, tx, network.TypeSubnetPool, pool.Standard, network.AccessShared, shared); err != nil {
			return err
		}
		fresh, err := s.records.Pools.Find(ctx, tx, pool.ID)
		if err != nil {
			return err
		}
		*p = *fresh
		return outbox.Write(ctx, tx, record)
	})
}

// check completes a pool and refuses what contradicts itself or other pools.
func (s *Service) check(ctx context.Context, tx *db.Tx, p, before *network.SubnetPool, reach string) error {
	if err := p.Normalize(); err != nil {
		return err
	}
	if p.IsDefault && (before == nil || !before.IsDefault) {
		n, err := s.records.Pools.Count(ctx, tx, records.Is("is_default", true), records.Is("ip_version", p.IPVersion))
		if err != nil {
			return err
		}
		if n > 0 {
			return fault.Invalidf("Invalid input for operation: A default subnetpool for this IP family has already been set. Only one default may exist per IP family.").With("InvalidInput")
		}
	}
	if before != nil && before.AddressScopeID != "" {
		if err := s.ownScope(ctx, tx, before, reach); err != nil {
			return err
		}
	}
	if p.AddressScopeID == "" {
		return nil
	}
	return s.inScope(ctx, tx, p, reach)
}

// ownScope refuses changes of a pool that is in somebody else's scope.
func (s *Service) ownScope(ctx context.Context, tx *db.Tx, p *network.SubnetPool, reach string) error {
	scope, err := s.records.Scopes.Find(ctx, tx, p.AddressScopeID)
	if err == nil && reach != "" && scope.ProjectID != reach {
		err = illegal("subnetpool %s cannot be updated when associated with shared address scope %s", p.ID, scope.ID)
	}
	return err
}

func illegal(format string, args ...any) error {
	return fault.Invalidf("Illegal subnetpool update : "+format+".", args...).With("IllegalSubnetPoolUpdate")
}

// inScope lets a pool into its scope: it must be usable, of the same version,
// and share no address with the scope's other pools; and its networks must not
// reach into another scope.
func (s *Service) inScope(ctx context.Context, tx *db.Tx, p *network.SubnetPool, reach string) error {
	scope, err := s.records.Scopes.Lock(ctx, tx, p.AddressScopeID)
	if fault.Is(err, fault.NotFound) {
		return fault.NotFoundf("Address scope %s could not be found.", p.AddressScopeID).With("AddressScopeNotFound")
	}
	if err != nil {
		return err
	}
	if reach != "" && scope.ProjectID != reach && !scope.SharedWith.Includes(reach) {
		return fault.Invalidf("Illegal subnetpool association: subnetpool %s cannot be associated with address scope %s.", p.ID, scope.ID).With("IllegalSubnetPoolAssociationToAddressScope")
	}
	if scope.IPVersion != p.IPVersion {
		return fault.Invalidf("Illegal subnetpool association: subnetpool %s cannot associate with address scope %s because subnetpool ip_version is not %d.",
			p.ID, scope.ID, scope.IPVersion).With("IllegalSubnetPoolIpVersionAssociationToAddressScope")
	}
	others, err := s.records.Pools.Where(ctx, tx, records.Is("scope_id", scope.ID))
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.ID != p.ID && overlap(other.Prefixes, p.Prefixes) {
			return fault.Conflictf("Failed to associate address scope: subnetpools within an address scope must have unique prefixes.").With("AddressScopePrefixConflict")
		}
	}
	return s.affine(ctx, tx, p)
}

func overlap(a, b []netip.Prefix) bool {
	return slices.ContainsFunc(a, func(x netip.Prefix) bool { return slices.ContainsFunc(b, x.Overlaps) })
}

// affine refuses a scope for a pool whose networks have subnets of other origin.
func (s *Service) affine(ctx context.Context, tx *db.Tx, p *network.SubnetPool) error {
	subnets, err := s.records.Subnets.Where(ctx, tx, records.Is("pool_id", p.ID))
	if err != nil {
		return err
	}
	for _, sub := range subnets {
		siblings, err := s.records.SubnetsOf(ctx, tx, sub.NetworkID)
		if err != nil {
			return err
		}
		for _, sibling := range siblings {
			if sibling.IPVersion == p.IPVersion && sibling.PoolID != p.ID {
				return fault.Invalidf("Subnets of the same address family hosted on the same network must all participate in the same address scope.").With("NetworkAddressScopeAffinityError")
			}
		}
	}
	return nil
}

// Update changes a pool. Its ranges can only grow.
func (s *Service) Update(ctx context.Context, poolID string, change func(*network.SubnetPool), reach string, record event.Record) (p *network.SubnetPool, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if p, err = s.records.Pools.Lock(ctx, tx, poolID); err != nil {
			return err
		}
		before := *p
		change(p)
		if err := s.check(ctx, tx, p, &before, reach); err != nil {
			return err
		}
		if len(network.SubtractPrefixes(before.Prefixes, p.Prefixes)) > 0 {
			return badPrefixes("Existing prefixes must be a subset of the new prefixes")
		}
		return s.write(ctx, tx, p, before.AddressScopeID != p.AddressScopeID, record)
	})
	return p, err
}

func badPrefixes(why string) error {
	return fault.Invalidf("Illegal update to prefixes: %s.", why).With("IllegalSubnetPoolPrefixUpdate")
}

// write stores a changed pool; routers hear of another scope.
func (s *Service) write(ctx context.Context, tx *db.Tx, p *network.SubnetPool, rescoped bool, record event.Record) error {
	if err := s.records.Pools.Update(ctx, tx, s.records, p); err != nil {
		return err
	}
	if rescoped {
		if err := s.retell(ctx, tx, p.ID); err != nil {
			return err
		}
	}
	return outbox.Write(ctx, tx, record)
}

// retell has the routers rendered again that lead to subnets of a pool.
func (s *Service) retell(ctx context.Context, tx *db.Tx, poolID string) error {
	subnets, err := s.records.Subnets.Where(ctx, tx, records.Is("pool_id", poolID))
	if err != nil {
		return err
	}
	for _, sub := range subnets {
		ports, err := s.records.Ports.Where(ctx, tx, records.Is(records.OnSubnet, sub.ID))
		if err != nil {
			return err
		}
		for _, p := range ports {
			if p.DeviceOwner == network.OwnerRouterInterface || p.DeviceOwner == network.OwnerRouterGateway {
				s.records.Changed(tx, network.RouterScope(p.DeviceID))
			}
		}
	}
	return nil
}

// AddPrefixes adds ranges to a pool.
func (s *Service) AddPrefixes(ctx context.Context, poolID string, more []netip.Prefix, reach string, record event.Record) (*network.SubnetPool, error) {
	return s.Update(ctx, poolID, func(p *network.SubnetPool) { p.Prefixes = append(slices.Clone(p.Prefixes), more...) }, reach, record)
}

// RemovePrefixes takes ranges out of a pool, unless subnets are cut from them.
func (s *Service) RemovePrefixes(ctx context.Context, poolID string, less []netip.Prefix, _ string, record event.Record) (p *network.SubnetPool, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if p, err = s.records.Pools.Lock(ctx, tx, poolID); err != nil {
			return err
		}
		taken, err := s.taken(ctx, tx, poolID)
		if err != nil {
			return err
		}
		if overlap(taken, less) {
			return badPrefixes("One or more the prefixes to be removed is in use by a subnet.")
		}
		left := network.SubtractPrefixes(p.Prefixes, less)
		if len(left) == 0 {
			return fault.Invalidf("Empty subnet pool prefix list.").With("EmptySubnetPoolPrefixList")
		}
		p.Prefixes = left
		return s.write(ctx, tx, p, false, record)
	})
	return p, err
}

func (s *Service) taken(ctx context.Context, tx *db.Tx, poolID string) ([]netip.Prefix, error) {
	subnets, err := s.records.Subnets.Where(ctx, tx, records.Is("pool_id", poolID))
	var out []netip.Prefix
	for _, sub := range subnets {
		out = append(out, sub.CIDR)
	}
	return out, err
}

// Onboard makes the subnets of a network part of a pool, which grows by them.
func (s *Service) Onboard(ctx context.Context, poolID, networkID, reach string, record event.Record) (joined []network.Subnet, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		joined = nil
		n, err := s.records.Networks.Lock(ctx, tx, networkID)
		if fault.Is(err, fault.NotFound) || err == nil && reach != "" && n.ProjectID != reach && !n.SharedWith.Includes(reach) {
			return fault.NotFoundf("Network %s could not be found.", networkID).With("NetworkNotFound")
		}
		if err != nil {
			return err
		}
		if reach != "" && n.ProjectID != reach {
			return fault.Forbiddenf("Not authorized.").With("NotAuthorized")
		}
		p, err := s.records.Pools.Lock(ctx, tx, poolID)
		if err != nil {
			return err
		}
		before := *p
		taken, err := s.taken(ctx, tx, poolID)
		if err != nil {
			return err
		}
		subnets, err := s.records.SubnetsOf(ctx, tx, networkID)
		if err != nil {
			return err
		}
		for _, sub := range subnets {
			if sub.IPVersion != p.IPVersion {
				continue
			}
			if overlap(taken, []netip.Prefix{sub.CIDR}) {
				return illegal("Onboarding subnet %s: %s conflicts with allocated prefixes in subnet pool %s", sub.ID, sub.CIDR, p.ID)
			}
			p.Prefixes = append(p.Prefixes, sub.CIDR)
			sub.PoolID = p.ID
			if err := s.records.UpdateSubnet(ctx, tx, &sub); err != nil {
				return err
			}
			joined = append(joined, sub)
		}
		if len(joined) == 0 {
			return outbox.Write(ctx, tx, record)
		}
		if err := s.check(ctx, tx, p, &before, reach); err != nil {
			return err
		}
		return s.write(ctx, tx, p, p.AddressScopeID != "", record)
	})
	return joined, err
}

// Delete removes a pool; refused while subnets are cut from it.
func (s *Service) Delete(ctx context.Context, poolID string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.records.Pools.Lock(ctx, tx, poolID); err != nil {
			return err
		}
		n, err := s.records.Subnets.Count(ctx, tx, records.Is("pool_id", poolID))
		if err != nil {
			return err
		}
		if n > 0 {
			return fault.Invalidf("Unable to delete subnet pool: Subnet pool has existing allocations.").With("SubnetPoolDeleteError")
		}
		if err := s.records.Pools.Delete(ctx, tx, poolID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
