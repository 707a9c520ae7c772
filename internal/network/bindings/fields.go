package bindings

import (
	"encoding/json"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of port bindings.
func Rules() []policy.Rule {
	return append(wire.Rules("rule:service_api", "create_port_binding", "activate", "delete_port_binding"), wire.Rules(wire.Service, "get_port_binding")...)
}

// resource renders bindings; they are found by their port.
var resource = rest.Resource[network.HostBinding]{
	One: "binding", Many: "bindings", Target: func(*network.HostBinding) policy.Target { return policy.Target{} },
	Fields: []rest.Field[network.HostBinding]{
		{Name: "host", Get: func(b *network.HostBinding) any { return b.Host }},
		{Name: "status", Get: func(b *network.HostBinding) any { return status(b) }},
		{Name: "vif_type", Get: func(b *network.HostBinding) any { return vifType(b) }},
		{Name: "vnic_type", Get: func(b *network.HostBinding) any { return b.VNICType }},
		{Name: "profile", Get: profile},
		{Name: "vif_details", Get: vifDetails},
	},
}

func status(b *network.HostBinding) string {
	if b.Active {
		return "ACTIVE"
	}
	return "INACTIVE"
}

func vifType(b *network.HostBinding) string {
	if b.Bound {
		return "ovs"
	}
	return "unbound"
}

func profile(b *network.HostBinding) any {
	if b.Profile == "" {
		return map[string]any{}
	}
	return json.RawMessage(b.Profile)
}

func vifDetails(b *network.HostBinding) any {
	if !b.Bound {
		return map[string]any{}
	}
	return map[string]any{"port_filter": true, "connectivity": "l2"}
}

// filters are the members that lists can be narrowed by.
var filters = map[string]func(*network.HostBinding) string{
	"host": func(b *network.HostBinding) string { return b.Host }, "status": status, "vif_type": vifType,
	"vnic_type": func(b *network.HostBinding) string { return b.VNICType },
}
