package floatingips

import (
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of floating IPs.
func Rules() []policy.Rule {
	out := wire.Rules(wire.Member, "create_floatingip", "update_floatingip", "delete_floatingip")
	out = append(out, wire.Rules(wire.Reader, "get_floatingip")...)
	return append(out, append(wire.Rules(wire.Manager, "create_floatingip:floating_ip_address"), wire.Rules(wire.Admin, "get_floatingips:all")...)...)
}

func resource(r *records.Records) *rest.Resource[network.FloatingIP] {
	fields := append(wire.Standard(func(f *network.FloatingIP) *network.Standard { return &f.Standard }), []rest.Field[network.FloatingIP]{
		{Name: "tags", Get: func(f *network.FloatingIP) any { return wire.List(f.Tags) }},
		{Name: "floating_network_id", Column: "network_id", Get: func(f *network.FloatingIP) any { return f.NetworkID }},
		{Name: "floating_ip_address", Column: "address", Get: func(f *network.FloatingIP) any { return f.Address.String() }},
		{Name: "port_id", Column: "port_id", Get: func(f *network.FloatingIP) any { return wire.Text(f.PortID) }},
		{Name: "fixed_ip_address", Column: "fixed_address", Get: fixed},
		{Name: "router_id", Column: "router_id", Get: func(f *network.FloatingIP) any { return wire.Text(f.RouterID) }},
		{Name: "qos_policy_id", Column: "qos_policy_id", Get: func(f *network.FloatingIP) any { return wire.Text(f.QoSPolicyID) }},
		{Name: "dns_name", Column: "dns_name", Get: func(f *network.FloatingIP) any { return f.DNSName }},
		{Name: "dns_domain", Column: "dns_domain", Get: func(f *network.FloatingIP) any { return f.DNSDomain }},
		{Name: "port_details", Get: details},
		{Name: "port_forwardings", Get: forwarded},
		{Name: "status", Column: "status", Get: func(f *network.FloatingIP) any { return f.Status }},
	}...)
	return &rest.Resource[network.FloatingIP]{
		One: "floatingip", Many: "floatingips", Show: "get_floatingip", All: "get_floatingips:all", Visible: wire.VisibleTo(1),
		ID: func(f *network.FloatingIP) string { return f.ID }, Target: func(f *network.FloatingIP) policy.Target { return wire.Target(f.ProjectID) },
		Store: r.Floatings, NotFound: wire.Missing("FloatingIPNotFound", "Floating IP %s could not be found"), Filters: wire.TagFilters(), Fields: fields,
	}
}

func fixed(f *network.FloatingIP) any {
	if !f.Fixed.IsValid() {
		return nil
	}
	return f.Fixed.String()
}

// details are what there is to say of the associated port.
func details(f *network.FloatingIP) any {
	p := f.Port
	if p == nil {
		return nil
	}
	return map[string]any{"name": p.Name, "network_id": p.NetworkID, "mac_address": p.MAC, "admin_state_up": p.AdminStateUp, "status": string(p.Status),
		"device_id": p.DeviceID, "device_owner": p.DeviceOwner}
}

func forwarded(f *network.FloatingIP) any {
	out := make([]map[string]any, 0, len(f.Forwardings))
	for _, x := range f.Forwardings {
		out = append(out, map[string]any{"id": x.ID, "protocol": x.Protocol, "internal_port_id": x.PortID, "internal_ip_address": x.Fixed.String(),
			"internal_port": x.InternalFirst, "external_port": x.ExternalFirst})
	}
	return out
}
