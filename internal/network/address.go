package network

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"net/netip"
)

// Contains tells whether an address lies in a pool.
func (r Range) Contains(a netip.Addr) bool { return r.Start.Compare(a) <= 0 && a.Compare(r.End) <= 0 }

// Size is how many addresses a pool has.
func (r Range) Size() *big.Int {
	n := new(big.Int).Sub(number(r.End), number(r.Start))
	return n.Add(n, big.NewInt(1))
}

// NthAddress is an address of the pools, any n modulo how many there are;
// false when there is none. Of larger pools only the first 2^62 are used.
func NthAddress(pools []Range, n uint64) (netip.Addr, bool) {
	if len(pools) > 0 && pools[0].Start.Is4() { // a subnet is of one version
		return nthOf4(pools, n>>2)
	}
	total := new(big.Int)
	for _, p := range pools {
		total.Add(total, p.Size())
	}
	if total.Sign() == 0 {
		return netip.Addr{}, false
	}
	at := new(big.Int).Mod(new(big.Int).SetUint64(n>>2), total)
	for _, p := range pools {
		if size := p.Size(); at.Cmp(size) >= 0 {
			at.Sub(at, size)
			continue
		}
		return address(new(big.Int).Add(number(p.Start), at), p.Start.Is4()), true
	}
	return netip.Addr{}, false
}

// nthOf4 is NthAddress where the numbers are small.
func nthOf4(pools []Range, n uint64) (netip.Addr, bool) {
	word := func(a netip.Addr) uint64 { b := a.As4(); return uint64(binary.BigEndian.Uint32(b[:])) }
	size := func(p Range) uint64 { return word(p.End) - word(p.Start) + 1 }
	total := uint64(0)
	for _, p := range pools {
		total += size(p)
	}
	if total == 0 {
		return netip.Addr{}, false
	}
	at := n % total
	for _, p := range pools {
		if s := size(p); at >= s {
			at -= s
			continue
		}
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(word(p.Start)+at))
		return netip.AddrFrom4(b), true
	}
	return netip.Addr{}, false
}

func number(a netip.Addr) *big.Int { return new(big.Int).SetBytes(a.AsSlice()) }

func address(n *big.Int, is4 bool) netip.Addr {
	size := 16
	if is4 {
		size = 4
	}
	a, _ := netip.AddrFromSlice(n.FillBytes(make([]byte, size))) // the slice has the size of an address
	return a
}

// LastAddress is the highest address of a range.
func LastAddress(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := max(p.Bits(), 0); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b) // the slice has the size of an address
	return a
}

// DefaultPools are all addresses of a subnet but its ends and its gateway, as
// pools around the gateway. For IPv6 only the first address is left out.
func DefaultPools(cidr netip.Prefix, gateway netip.Addr) []Range {
	first, last := cidr.Masked().Addr(), LastAddress(cidr)
	if cidr.Bits() < cidr.Addr().BitLen()-1 { // /31, /32, /127 and /128 use all they have
		first = first.Next()
		if cidr.Addr().Is4() {
			last = last.Prev()
		}
	}
	all := Range{first, last}
	if !gateway.IsValid() || !all.Contains(gateway) {
		return []Range{all}
	}
	var out []Range
	if gateway != first {
		out = append(out, Range{first, gateway.Prev()})
	}
	if gateway != last {
		out = append(out, Range{gateway.Next(), last})
	}
	return out
}

// MACFrom makes a MAC of the range that OpenStack uses.
func MACFrom(b []byte) string { return fmt.Sprintf("fa:16:3e:%02x:%02x:%02x", b[0], b[1], b[2]) }

// EUI64 is the address that a port with this MAC gives itself in an IPv6 /64.
func EUI64(cidr netip.Prefix, mac string) netip.Addr {
	var m [6]byte
	if _, err := fmt.Sscanf(mac, "%02x:%02x:%02x:%02x:%02x:%02x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]); err != nil {
		return netip.Addr{}
	}
	b := cidr.Masked().Addr().As16()
	copy(b[8:], []byte{m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
	return netip.AddrFrom16(b)
}

// AutoAddressed tells whether ports of a subnet make their own addresses.
func (s Subnet) AutoAddressed() bool {
	return s.IPVersion == 6 && (s.IPv6AddressMode == "slaac" || s.IPv6AddressMode == "dhcpv6-stateless")
}
