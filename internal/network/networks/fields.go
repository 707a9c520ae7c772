package networks

import (
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of networks.
func Rules() []policy.Rule {
	rules := wire.Rules(wire.Member, "create_network", "update_network", "delete_network", "create_network:port_security_enabled", "update_network:port_security_enabled")
	rules = append(rules, wire.Rules(wire.Reader+" or rule:shared or rule:external or rule:service_api or rule:context_is_advsvc", "get_network")...)
	return append(rules, wire.Rules(wire.Admin, "create_network:shared", "create_network:router:external", "create_network:is_default",
		"create_network:provider:network_type", "update_network:shared", "update_network:router:external", "update_network:is_default",
		"get_network:provider:network_type", "get_network:provider:physical_network", "get_network:provider:segmentation_id", "get_networks:all")...)
}

func resource(r *records.Records, zones func() []string) *rest.Resource[network.Network] {
	return &rest.Resource[network.Network]{
		One: "network", Many: "networks", Show: "get_network", All: "get_networks:all", Visible: wire.VisibleTo(2),
		ID: func(n *network.Network) string { return n.ID }, TargetFor: wire.NetworkTarget, Store: r.Networks,
		NotFound: wire.Missing("NetworkNotFound", "Network %s could not be found."),
		Filters:  append(wire.TagFilters(), wire.SharedFilter()),
		Fields: append(wire.Tagged(func(n *network.Network) *network.Standard { return &n.Standard }), []rest.Field[network.Network]{
			{Name: "admin_state_up", Column: "admin_state_up", Kind: rest.Flag, Get: func(n *network.Network) any { return n.AdminStateUp }},
			{Name: "status", Get: func(*network.Network) any { return network.StatusActive }},
			{Name: "shared", Column: "shared", Hidden: true, NoFilter: true},
			wire.SharedField(func(n *network.Network) network.Audience { return n.SharedWith }),
			{Name: "router:external", Column: "external", Kind: rest.Flag, Get: func(n *network.Network) any { return n.External }},
			{Name: "is_default", Column: "is_default", Kind: rest.Flag, Get: func(n *network.Network) any { return n.IsDefault }, Omit: func(n *network.Network) bool { return !n.External }},
			{Name: "mtu", Column: "mtu", Kind: rest.Number, Get: func(n *network.Network) any { return n.MTU }},
			{Name: "port_security_enabled", Column: "port_security", Kind: rest.Flag, Get: func(n *network.Network) any { return n.PortSecurity }},
			{Name: "subnets", Get: func(n *network.Network) any { return wire.List(n.SubnetIDs) }},
			{Name: "ipv4_address_scope", Get: func(n *network.Network) any { return wire.Text(n.IPv4Scope) }},
			{Name: "ipv6_address_scope", Get: func(n *network.Network) any { return wire.Text(n.IPv6Scope) }},
			{Name: "l2_adjacency", Get: func(*network.Network) any { return true }},
			{Name: "dns_domain", Column: "dns_domain", Get: func(n *network.Network) any { return n.DNSDomain }},
			{Name: "qos_policy_id", Column: "qos_policy_id", Get: func(n *network.Network) any { return wire.Text(n.QoSPolicyID) }},
			{Name: "availability_zones", Get: func(*network.Network) any { return zones() }},
			{Name: "availability_zone_hints", Get: func(n *network.Network) any { return wire.List(n.ZoneHints) }},
			{Name: "provider:network_type", Column: "network_type", Rule: "get_network:provider:network_type", Get: func(n *network.Network) any { return n.NetworkType }},
			{Name: "provider:physical_network", Column: "physical_network", Rule: "get_network:provider:physical_network", Get: func(n *network.Network) any { return wire.Text(n.PhysicalNetwork) }},
			{Name: "provider:segmentation_id", Column: "segmentation_id", Kind: rest.Number, Rule: "get_network:provider:segmentation_id", Get: segment},
		}...),
	}
}

func segment(n *network.Network) any {
	if n.SegmentationID == 0 {
		return nil
	}
	return n.SegmentationID
}
