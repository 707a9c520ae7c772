package ports

import (
	"encoding/json"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of ports.
func Rules() []policy.Rule {
	const ofNetwork, own = wire.Service + " or (role:member and rule:network_owner)", " or (role:member and project_id:%(project_id)s)"
	rules := wire.Rules(ofNetwork+" or (role:member and rule:shared)", "create_port", "create_port:fixed_ips")
	rules = append(rules, wire.Rules(wire.Service+own, "update_port")...)
	rules = append(rules, wire.Rules(ofNetwork+own, "delete_port")...)
	rules = append(rules, wire.Rules(wire.Service+" or (role:reader and (rule:network_owner or project_id:%(project_id)s))", "get_port")...)
	rules = append(rules, wire.Rules(ofNetwork, "create_port:mac_address", "create_port:port_security_enabled", "create_port:allowed_address_pairs",
		"create_port:mac_learning_enabled", "update_port:mac_learning_enabled", "update_port:port_security_enabled", "update_port:allowed_address_pairs",
		"update_port:fixed_ips")...)
	rules = append(rules, wire.Rules(wire.Service+" or (role:manager and rule:network_owner)", "update_port:mac_address")...)
	rules = append(rules, wire.Rules("rule:service_api", "create_port:binding:profile", "update_port:binding:profile")...)
	rules = append(rules, wire.Rules(wire.Service, "create_port:binding:host_id", "update_port:binding:host_id", "get_port:binding:host_id", "get_port:binding:profile",
		"get_port:binding:vif_type", "get_port:binding:vif_details")...)
	rules = append(rules, policy.Rule{Name: "admin_or_data_plane_int", Check: "rule:context_is_admin or role:data_plane_integrator", Description: "Administrators, and who watches the data plane."})
	rules = append(rules, wire.Rules("rule:admin_or_data_plane_int", "create_port:data_plane_status", "update_port:data_plane_status")...)
	return append(rules, wire.Rules(wire.Admin, "get_ports:all")...)
}

func resource(r *records.Records, target func(*rest.Call, *network.Port) policy.Target) *rest.Resource[network.Port] {
	return &rest.Resource[network.Port]{
		One: "port", Many: "ports", Show: "get_port", All: "get_ports:all", Visible: wire.VisibleTo(2),
		ID: func(p *network.Port) string { return p.ID }, TargetFor: target, Store: r.Ports,
		Before:   wire.PartsBefore(r, func(p *network.Port) string { return p.NetworkID }),
		NotFound: wire.Missing("PortNotFound", "Port %s could not be found."),
		Filters: append(wire.TagFilters(), rest.Filter{Name: "fixed_ips", Terms: fixedIPs}, rest.Filter{Name: "security_groups", Terms: inGroup},
			rest.Filter{Name: "security_group_ids", Terms: inGroup}),
		Fields: append(append(wire.Tagged(func(p *network.Port) *network.Standard { return &p.Standard }), bindingFields...), []rest.Field[network.Port]{
			{Name: "network_id", Column: "network_id", Get: func(p *network.Port) any { return p.NetworkID }},
			{Name: "admin_state_up", Column: "admin_state_up", Kind: rest.Flag, Get: func(p *network.Port) any { return p.AdminStateUp }},
			{Name: "status", Column: "status", Get: func(p *network.Port) any { return string(p.Status) }},
			{Name: "mac_address", Column: "mac_address", Get: func(p *network.Port) any { return p.MAC }},
			{Name: "device_id", Column: "device_id", Get: func(p *network.Port) any { return p.DeviceID }},
			{Name: "device_owner", Column: "device_owner", Get: func(p *network.Port) any { return p.DeviceOwner }},
			{Name: "fixed_ips", Get: func(p *network.Port) any { return addressViews(p.FixedIPs) }},
			{Name: "security_groups", Get: func(p *network.Port) any { return wire.List(p.SecurityGroups) }},
			{Name: "port_security_enabled", Column: "port_security", Kind: rest.Flag, Get: func(p *network.Port) any { return p.PortSecurity }},
			{Name: "allowed_address_pairs", Get: pairViews},
			{Name: "extra_dhcp_opts", Get: optionViews},
			{Name: "dns_name", Column: "dns_name", Get: func(p *network.Port) any { return p.DNSName }},
			{Name: "dns_domain", Column: "dns_domain", Get: func(p *network.Port) any { return p.DNSDomain }},
			{Name: "dns_assignment", Get: assignments},
			{Name: "data_plane_status", Column: "data_plane_status", Get: func(p *network.Port) any { return wire.Text(p.DataPlaneStatus) }},
			{Name: "mac_learning_enabled", Column: "mac_learning", Kind: rest.Flag, Get: func(p *network.Port) any { return p.MACLearning }, Omit: func(p *network.Port) bool { return !p.MACLearning }},
			{Name: "qos_policy_id", Column: "qos_policy_id", Get: func(p *network.Port) any { return wire.Text(p.QoSPolicyID) }},
			{Name: "resource_request", Get: func(*network.Port) any { return nil }},
			{Name: "trunk_details", Get: trunkDetails, Omit: func(p *network.Port) bool { return p.Trunk == nil }},
		}...),
	}
}

var bindingFields = []rest.Field[network.Port]{
	{Name: "binding:vnic_type", Column: "vnic_type", Get: func(p *network.Port) any { return p.VNICType }},
	{Name: "binding:host_id", Column: "host", Rule: "get_port:binding:host_id", Get: func(p *network.Port) any { return p.Host }},
	{Name: "binding:profile", Rule: "get_port:binding:profile", Get: profile},
	{Name: "binding:vif_type", Rule: "get_port:binding:vif_type", Get: vifType},
	{Name: "binding:vif_details", Rule: "get_port:binding:vif_details", Get: vifDetails},
}

func profile(p *network.Port) any {
	if p.Profile == "" {
		return map[string]any{}
	}
	return json.RawMessage(p.Profile)
}

func vifType(p *network.Port) any {
	if p.Host == "" {
		return "unbound"
	}
	return "ovs"
}

func vifDetails(p *network.Port) any {
	if p.Host == "" {
		return map[string]any{}
	}
	return map[string]any{"port_filter": true, "connectivity": "l2", "bound_drivers": map[string]string{"0": "ovn"}}
}

func addressViews(ips []network.FixedIP) any {
	out := make([]map[string]string, 0, len(ips))
	for _, ip := range ips {
		out = append(out, map[string]string{"subnet_id": ip.SubnetID, "ip_address": ip.Address.String()})
	}
	return out
}

func pairViews(p *network.Port) any {
	out := make([]map[string]string, 0, len(p.AddressPairs))
	for _, pair := range p.AddressPairs {
		text := pair.Prefix.String()
		if pair.Single {
			text = pair.Prefix.Addr().String()
		}
		mac := pair.MAC
		if mac == "" {
			mac = p.MAC
		}
		out = append(out, map[string]string{"ip_address": text, "mac_address": mac})
	}
	return out
}

func optionViews(p *network.Port) any {
	out := make([]map[string]any, 0, len(p.DHCPOptions))
	for _, o := range p.DHCPOptions {
		out = append(out, map[string]any{"opt_name": o.Name, "opt_value": o.Value, "ip_version": o.Version})
	}
	return out
}

// assignments are the names of a port's addresses.
func assignments(p *network.Port) any {
	out := make([]map[string]string, 0, len(p.FixedIPs))
	for _, ip := range p.FixedIPs {
		host := p.DNSName
		if host == "" {
			host = network.HostName(ip.Address)
		}
		out = append(out, map[string]string{"ip_address": ip.Address.String(), "hostname": host, "fqdn": host + "." + network.DefaultDomain + "."})
	}
	return out
}

func trunkDetails(p *network.Port) any {
	subs := make([]map[string]any, 0, len(p.Trunk.SubPorts))
	for _, s := range p.Trunk.SubPorts {
		subs = append(subs, map[string]any{"port_id": s.PortID, "segmentation_type": s.SegmentationType, "segmentation_id": s.SegmentationID, "mac_address": p.TrunkMACs[s.PortID]})
	}
	return map[string]any{"trunk_id": p.Trunk.ID, "sub_ports": subs}
}

func fixedIPs(_ *rest.Call, values []string) ([]listing.Term, error) {
	var out []listing.Term
	for _, v := range values {
		key, value, _ := strings.Cut(v, "=")
		switch key {
		case "ip_address":
			out = append(out, records.Is(records.OnAddress, value))
		case "subnet_id":
			out = append(out, records.Is(records.OnSubnet, value))
		case "ip_address_substr":
			escaped := strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(value)
			out = append(out, records.Is(records.AddressPart, "%"+escaped+"%"))
		default:
			return nil, fault.Invalidf("Invalid value for fixed_ips: %s", v)
		}
	}
	return out, nil
}

func inGroup(_ *rest.Call, values []string) ([]listing.Term, error) {
	return []listing.Term{records.Is(records.InGroup, values[len(values)-1])}, nil
}
