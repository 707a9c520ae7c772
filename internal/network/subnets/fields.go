package subnets

import (
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of subnets.
func Rules() []policy.Rule {
	rules := wire.Rules(wire.NetworkMember, "create_subnet")
	rules = append(rules, wire.Rules(wire.NetworkMember+" or (role:member and project_id:%(project_id)s)", "update_subnet", "delete_subnet")...)
	rules = append(rules, wire.Rules(wire.Reader+" or rule:shared or rule:external_network or (role:reader and rule:network_owner) or rule:service_api", "get_subnet")...)
	return append(rules, wire.Rules(wire.Admin, "get_subnets:all")...)
}

func resource(r *records.Records, target func(*rest.Call, *network.Subnet) policy.Target) *rest.Resource[network.Subnet] {
	return &rest.Resource[network.Subnet]{
		One: "subnet", Many: "subnets", Show: "get_subnet", All: "get_subnets:all", Visible: wire.VisibleTo(2),
		ID: func(s *network.Subnet) string { return s.ID }, TargetFor: target, Store: r.Subnets,
		NotFound: wire.Missing("SubnetNotFound", "Subnet %s could not be found."),
		Filters:  wire.TagFilters(),
		Fields: append(wire.Tagged(func(s *network.Subnet) *network.Standard { return &s.Standard }), []rest.Field[network.Subnet]{
			{Name: "network_id", Column: "network_id", Get: func(s *network.Subnet) any { return s.NetworkID }},
			{Name: "ip_version", Column: "ip_version", Kind: rest.Number, Get: func(s *network.Subnet) any { return s.IPVersion }},
			{Name: "cidr", Column: "cidr", Get: func(s *network.Subnet) any { return s.CIDR.String() }},
			{Name: "gateway_ip", Column: "gateway_ip", Get: gateway},
			{Name: "enable_dhcp", Column: "enable_dhcp", Kind: rest.Flag, Get: func(s *network.Subnet) any { return s.EnableDHCP }},
			{Name: "ipv6_ra_mode", Column: "ra_mode", Get: func(s *network.Subnet) any { return wire.Text(s.IPv6RAMode) }},
			{Name: "ipv6_address_mode", Column: "address_mode", Get: func(s *network.Subnet) any { return wire.Text(s.IPv6AddressMode) }},
			{Name: "allocation_pools", Get: pools},
			{Name: "dns_nameservers", Get: func(s *network.Subnet) any { return wire.List(s.DNSNameservers) }},
			{Name: "host_routes", Get: func(s *network.Subnet) any { return wire.Routes(s.HostRoutes) }},
			{Name: "service_types", Get: func(s *network.Subnet) any { return wire.List(s.ServiceTypes) }},
			{Name: "subnetpool_id", Column: "pool_id", Get: func(s *network.Subnet) any { return wire.Text(s.PoolID) }},
		}...),
	}
}

func gateway(s *network.Subnet) any {
	if !s.Gateway.IsValid() {
		return nil
	}
	return s.Gateway.String()
}

func pools(s *network.Subnet) any {
	out := make([]map[string]string, 0, len(s.Pools))
	for _, p := range s.Pools {
		out = append(out, map[string]string{"start": p.Start.String(), "end": p.End.String()})
	}
	return out
}
