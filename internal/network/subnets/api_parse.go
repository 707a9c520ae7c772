package subnets

import (
	"net/netip"
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

type pool struct {
	Start string `json:"start" v:"required"`
	End   string `json:"end" v:"required"`
}

// body is what a create and an update have in common.
type body struct {
	Name         *string            `json:"name" v:"max=255"`
	Description  *string            `json:"description" v:"max=255"`
	Gateway      rest.Opt[string]   `json:"gateway_ip"`
	Pools        rest.Opt[[]pool]   `json:"allocation_pools"`
	DNS          rest.Opt[[]string] `json:"dns_nameservers"`
	HostRoutes   rest.Opt[[]route]  `json:"host_routes"`
	EnableDHCP   *rest.Bool         `json:"enable_dhcp"`
	ServiceTypes []string           `json:"service_types"`
}

type route = wire.Route

type createBody struct {
	body
	TenantID    *string             `json:"tenant_id" v:"max=255"`
	ProjectID   *string             `json:"project_id" v:"max=255"`
	NetworkID   string              `json:"network_id" v:"required,uuid"`
	IPVersion   rest.Int            `json:"ip_version"`
	CIDR        rest.Opt[string]    `json:"cidr"`
	RAMode      rest.Opt[string]    `json:"ipv6_ra_mode" v:"enum=slaac|dhcpv6-stateful|dhcpv6-stateless"`
	AddressMode rest.Opt[string]    `json:"ipv6_address_mode" v:"enum=slaac|dhcpv6-stateful|dhcpv6-stateless"`
	SubnetPool  rest.Opt[string]    `json:"subnetpool_id"`
	Prefix      rest.Opt[int]       `json:"prefixlen" v:"min=0,max=128"`
	UseDefault  rest.Opt[rest.Bool] `json:"use_default_subnetpool"`
	Segment     rest.Opt[string]    `json:"segment_id"`
}

func invalid(format string, args ...any) error {
	return fault.Invalidf("Invalid input for operation: "+format, args...).With("InvalidInput")
}

func badRequest(format string, args ...any) error {
	return fault.Invalidf("Bad subnets request: "+format, args...).With("BadRequest")
}

// Draft is a subnet that may still have to be cut from a pool.
type Draft struct {
	*network.Subnet
	Cut        bool // a pool was asked for
	UseDefault bool // the default one of the version
	Bits       int  // length of the range to cut; 0: the pool's default
	Gateless   bool // a gateway was named, or none was wanted
}

// draft reads a create's body; pure.
func (in createBody) draft() (*Draft, error) {
	if in.Segment.Or("") != "" {
		return nil, fault.New(fault.NotImplemented, "Segments are not built.")
	}
	d := &Draft{UseDefault: bool(in.UseDefault.Or(false)), Bits: in.Prefix.Or(0), Gateless: in.Gateway.Set,
		Subnet: &network.Subnet{NetworkID: in.NetworkID, EnableDHCP: true, IPVersion: 4, PoolID: in.SubnetPool.Or("")}}
	s := d.Subnet
	d.Cut = d.UseDefault || s.PoolID != ""
	given := in.CIDR.Or("") != ""
	switch {
	case given && in.Prefix.Set && !in.Prefix.Null:
		return nil, badRequest("cidr and prefixlen must not be supplied together.")
	case d.UseDefault && s.PoolID != "":
		return nil, badRequest("subnetpool_id and use_default_subnetpool cannot both be specified.")
	case !d.Cut && !given:
		return nil, badRequest("a subnetpool must be specified in the absence of a cidr.")
	case d.Cut && !given && in.Pools.Set && !in.Pools.Null:
		return nil, badRequest("allocation_pools allowed only for specific subnet requests.")
	}
	if in.IPVersion != 0 {
		s.IPVersion = int(in.IPVersion)
	}
	if s.IPVersion != 4 && s.IPVersion != 6 {
		return nil, fault.Invalidf("Invalid input for ip_version. Reason: '%d' is not in [4, 6].", s.IPVersion).With("HTTPBadRequest")
	}
	if given {
		if err := in.setCIDR(s); err != nil {
			return nil, err
		}
	}
	s.IPv6RAMode, s.IPv6AddressMode = in.RAMode.Or(""), in.AddressMode.Or("")
	if err := in.apply(s); err != nil || !given {
		return d, err
	}
	return d, d.complete()
}

func (in createBody) setCIDR(s *network.Subnet) error {
	cidr, err := netip.ParsePrefix(in.CIDR.V)
	if err != nil {
		return fault.Invalidf("Invalid input for cidr. Reason: '%s' is not a valid IP subnet.", in.CIDR.V).With("HTTPBadRequest")
	}
	s.CIDR = cidr.Masked()
	version := 4
	if cidr.Addr().Is6() {
		version = 6
	}
	if in.IPVersion != 0 && s.IPVersion != version {
		return invalid("IP version of cidr %s does not match ip_version %d.", s.CIDR, in.IPVersion)
	}
	s.IPVersion = version
	if cidr.Addr().IsMulticast() || cidr.Bits() == 0 {
		return invalid("'%s' is not usable as a subnet.", s.CIDR)
	}
	return nil
}

// complete fills in what follows from the range, and refuses contradictions.
func (d *Draft) complete() error {
	s := d.Subnet
	if !d.Gateless {
		s.Gateway = s.CIDR.Addr()
		if wide(s.CIDR) {
			s.Gateway = s.Gateway.Next()
		}
	}
	if len(s.Pools) == 0 {
		s.Pools = network.DefaultPools(s.CIDR, s.Gateway)
	}
	return check(s)
}

func wide(p netip.Prefix) bool { return p.Bits() < p.Addr().BitLen()-1 }

// apply writes what a body names into a subnet.
func (b body) apply(s *network.Subnet) error {
	if b.Name != nil {
		s.Name = *b.Name
	}
	if b.Description != nil {
		s.Description = *b.Description
	}
	if b.EnableDHCP != nil {
		s.EnableDHCP = bool(*b.EnableDHCP)
	}
	if b.ServiceTypes != nil {
		s.ServiceTypes = b.ServiceTypes
	}
	if b.Gateway.Set {
		s.Gateway = netip.Addr{}
		if b.Gateway.Or("") != "" {
			a, err := netip.ParseAddr(b.Gateway.V)
			if err != nil {
				return fault.Invalidf("Invalid input for gateway_ip. Reason: '%s' is not a valid IP address.", b.Gateway.V).With("HTTPBadRequest")
			}
			s.Gateway = a
		}
	}
	if b.DNS.Set {
		if err := nameservers(b.DNS.V); err != nil {
			return err
		}
		s.DNSNameservers = b.DNS.V
	}
	if b.HostRoutes.Set {
		routes, err := wire.ParseRoutes("host_routes", b.HostRoutes.V)
		if err != nil {
			return err
		}
		s.HostRoutes = routes
	}
	return b.pools(s)
}

func (b body) pools(s *network.Subnet) error {
	if !b.Pools.Set || b.Pools.Null {
		return nil
	}
	s.Pools = nil
	for _, p := range b.Pools.V {
		start, err1 := netip.ParseAddr(p.Start)
		end, err2 := netip.ParseAddr(p.End)
		if err1 != nil || err2 != nil {
			return fault.Invalidf("Invalid input for allocation_pools. Reason: '%s-%s' is not a valid IP range.", p.Start, p.End).With("HTTPBadRequest")
		}
		s.Pools = append(s.Pools, network.Range{Start: start, End: end})
	}
	return nil
}

func nameservers(words []string) error {
	for i, w := range words {
		a, err := netip.ParseAddr(w)
		if err != nil || a.Zone() != "" {
			return fault.Invalidf("Invalid input for dns_nameservers. Reason: '%s' is not a valid nameserver. '%s' is not a valid IP address.", w, w).With("HTTPBadRequest")
		}
		if slices.Contains(words[:i], w) {
			return fault.Invalidf("Invalid input for dns_nameservers. Reason: Duplicate nameserver '%s'.", w).With("HTTPBadRequest")
		}
	}
	return nil
}

// check refuses what contradicts itself.
func check(s *network.Subnet) error {
	last := network.LastAddress(s.CIDR)
	if g := s.Gateway; g.IsValid() {
		if g.Is4() != (s.IPVersion == 4) {
			return invalid("gateway_ip '%s' does not match the ip_version '%d'.", g, s.IPVersion)
		}
		outside := !s.CIDR.Contains(g) && !(s.IPVersion == 6 && g.IsLinkLocalUnicast())
		if outside || wide(s.CIDR) && s.IPVersion == 4 && (g == s.CIDR.Addr() || g == last) {
			return invalid("Gateway is not valid on subnet.")
		}
	}
	if s.IPVersion == 4 && s.IPv6RAMode+s.IPv6AddressMode != "" {
		return invalid("ipv6_ra_mode is not valid when ip_version is 4.")
	}
	if s.IPVersion == 6 {
		if err := checkModes(s); err != nil {
			return err
		}
	}
	for i, p := range s.Pools {
		switch {
		case p.Start.Compare(p.End) > 0 || p.Start.Is4() != (s.IPVersion == 4) || p.End.Is4() != (s.IPVersion == 4):
			return fault.Invalidf("The allocation pool %s-%s is not valid.", p.Start, p.End).With("InvalidAllocationPool")
		case !s.CIDR.Contains(p.Start) || !s.CIDR.Contains(p.End):
			return fault.Invalidf("The allocation pool %s-%s spans beyond the subnet cidr %s.", p.Start, p.End, s.CIDR).With("OutOfBoundsAllocationPool")
		case s.Gateway.IsValid() && p.Contains(s.Gateway):
			return fault.Conflictf("Gateway ip %s conflicts with allocation pool %s-%s.", s.Gateway, p.Start, p.End).With("GatewayConflictWithAllocationPools")
		}
		for _, other := range s.Pools[:i] {
			if other.Contains(p.Start) || p.Contains(other.Start) {
				return fault.Conflictf("Found overlapping allocation pools: %s-%s %s-%s for subnet %s.", other.Start, other.End, p.Start, p.End, s.CIDR).With("OverlappingAllocationPools")
			}
		}
	}
	return nil
}

func checkModes(s *network.Subnet) error {
	ra, mode := s.IPv6RAMode, s.IPv6AddressMode
	if ra != "" && mode != "" && ra != mode {
		return invalid("ipv6_ra_mode set to '%s' with ipv6_address_mode set to '%s' is not valid. If both attributes are set, they must be the same value.", ra, mode)
	}
	if (ra != "" || mode != "") && !s.EnableDHCP {
		return invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False.")
	}
	if s.AutoAddressed() && s.CIDR.Bits() != 64 {
		return invalid("Invalid CIDR %s for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64.", s.CIDR)
	}
	return nil
}
