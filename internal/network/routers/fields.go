package routers

import (
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of routers.
func Rules() []policy.Rule {
	out := wire.Rules(wire.Member, "create_router", "update_router", "delete_router", "add_router_interface", "remove_router_interface",
		"add_extraroutes", "remove_extraroutes", "create_router:external_gateway_info", "update_router:external_gateway_info")
	out = append(out, wire.Rules(wire.Reader, "get_router")...)
	return append(out, wire.Rules(wire.Admin, "get_routers:all", "get_router:distributed", "get_router:ha", "create_router:distributed", "create_router:ha", "update_router:distributed", "update_router:ha", "create_router:external_gateway_info:enable_snat", "create_router:external_gateway_info:external_fixed_ips",
		"update_router:external_gateway_info:enable_snat", "update_router:external_gateway_info:external_fixed_ips")...)
}

func resource(r *records.Records, zones func() []string) *rest.Resource[network.Router] {
	return &rest.Resource[network.Router]{
		One: "router", Many: "routers", Show: "get_router", All: "get_routers:all", Visible: wire.VisibleTo(1),
		ID: func(r *network.Router) string { return r.ID }, Target: func(r *network.Router) policy.Target { return wire.Target(r.ProjectID) },
		Store: r.Routers, NotFound: wire.Missing("RouterNotFound", "Router %s could not be found"), Filters: wire.TagFilters(),
		Fields: append(wire.Tagged(func(r *network.Router) *network.Standard { return &r.Standard }), []rest.Field[network.Router]{
			{Name: "admin_state_up", Column: "admin_state_up", Kind: rest.Flag, Get: func(r *network.Router) any { return r.AdminStateUp }},
			{Name: "status", Get: func(*network.Router) any { return network.StatusActive }},
			{Name: "external_gateway_info", Get: gateway},
			{Name: "routes", Get: func(r *network.Router) any { return wire.Routes(r.Routes) }},
			{Name: "availability_zones", Get: func(*network.Router) any { return zones() }},
			{Name: "availability_zone_hints", Get: func(r *network.Router) any { return wire.List(r.ZoneHints) }},
			{Name: "distributed", Rule: "get_router:distributed", Get: func(*network.Router) any { return false }},
			{Name: "ha", Rule: "get_router:ha", Get: func(*network.Router) any { return true }},
			{Name: "flavor_id", Get: func(*network.Router) any { return nil }},
		}...),
	}
}

func gateway(r *network.Router) any {
	g := r.Gateway
	if g == nil {
		return nil
	}
	ips := make([]map[string]string, 0, len(g.FixedIPs))
	for _, ip := range g.FixedIPs {
		ips = append(ips, map[string]string{"subnet_id": ip.SubnetID, "ip_address": ip.Address.String()})
	}
	return map[string]any{"network_id": g.NetworkID, "enable_snat": g.EnableSNAT, "external_fixed_ips": ips, "qos_policy_id": wire.Text(g.QoSPolicyID)}
}
