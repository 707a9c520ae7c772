package network

import (
	"net/netip"

	"github.com/mekcloud/mek/internal/fault"
)

// AddressScope is a space of addresses in which none overlaps: routers forward
// between subnets of one scope, never from one scope into another.
type AddressScope struct {
	Standard
	IPVersion  int
	SharedWith Audience
}

// SubnetPool is ranges that subnets are cut from.
type SubnetPool struct {
	Standard
	Prefixes       []netip.Prefix
	IPVersion      int
	DefaultBits    int
	MinBits        int
	MaxBits        int
	Quota          int    // units per project: addresses, or /64 of IPv6; 0: no limit
	AddressScopeID string // empty: none
	IsDefault      bool
	SharedWith     Audience
}

// Normalize compacts a pool's ranges, derives its version and fills in lengths
// that are not set (below 0), then refuses what contradicts itself.
func (p *SubnetPool) Normalize() error {
	if len(p.Prefixes) == 0 {
		return fault.Invalidf("Empty subnet pool prefix list.").With("EmptySubnetPoolPrefixList")
	}
	p.IPVersion = version(p.Prefixes[0].Addr())
	for _, x := range p.Prefixes {
		if version(x.Addr()) != p.IPVersion {
			return fault.Invalidf("Cannot mix IPv4 and IPv6 prefixes in a subnet pool.").With("PrefixVersionMismatch")
		}
	}
	p.Prefixes = CompactPrefixes(p.Prefixes)
	least, most := 8, 32
	if p.IPVersion == 6 {
		least, most = 64, 128
	}
	if p.MinBits < 0 {
		p.MinBits = least
	}
	if p.MaxBits < 0 {
		p.MaxBits = most
	}
	if p.DefaultBits < 0 {
		p.DefaultBits = p.MinBits
	}
	bounds := func(name string, n int, base string, limit int) error {
		return fault.Invalidf("Illegal prefix bounds: %s=%d, %s=%d.", name, n, base, limit).With("IllegalSubnetPoolPrefixBounds")
	}
	switch {
	case p.MinBits > p.MaxBits:
		return bounds("min_prefixlen", p.MinBits, "max_prefixlen", p.MaxBits)
	case p.MaxBits > most:
		return bounds("max_prefixlen", p.MaxBits, "ip_version_max", most)
	case p.DefaultBits < p.MinBits:
		return bounds("default_prefixlen", p.DefaultBits, "min_prefixlen", p.MinBits)
	case p.DefaultBits > p.MaxBits:
		return bounds("default_prefixlen", p.DefaultBits, "max_prefixlen", p.MaxBits)
	}
	return nil
}

func version(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

// Cut chooses a range for a subnet: the wanted one if it is valid, else the
// first free one of the given length (0: the pool's default).
func (p *SubnetPool) Cut(taken []netip.Prefix, wanted netip.Prefix, bits int) (netip.Prefix, error) {
	if wanted.IsValid() {
		bits = wanted.Bits()
	} else if bits == 0 {
		bits = p.DefaultBits
	}
	if bits > p.MaxBits {
		return wanted, fault.Invalidf("Unable to allocate subnet with prefix length %d, maximum allowed prefix is %d.", bits, p.MaxBits).With("MaxPrefixSubnetAllocationError")
	}
	if bits < p.MinBits {
		return wanted, fault.Invalidf("Unable to allocate subnet with prefix length %d, minimum allowed prefix is %d.", bits, p.MinBits).With("MinPrefixSubnetAllocationError")
	}
	free := SubtractPrefixes(p.Prefixes, taken)
	if wanted.IsValid() {
		if !CoversPrefix(free, wanted) {
			return wanted, allocation("Cannot allocate requested subnet from the available set of prefixes")
		}
		return wanted, nil
	}
	found, ok := FirstFree(free, bits)
	if !ok {
		return found, allocation("Insufficient prefix space to allocate subnet size /%d", bits)
	}
	return found, nil
}

func allocation(format string, args ...any) error {
	return fault.Conflictf("Failed to allocate subnet: "+format+".", args...).With("SubnetAllocationError")
}

// Units is what a range counts against the pool's quota.
func (p *SubnetPool) Units(r netip.Prefix) float64 {
	unit := 32
	if p.IPVersion == 6 {
		unit = 64
	}
	n := 1.0
	for b := r.Bits(); b < unit; b++ {
		n *= 2
	}
	for b := r.Bits(); b > unit; b-- {
		n /= 2
	}
	return n
}
