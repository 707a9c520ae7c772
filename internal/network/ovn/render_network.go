package ovn

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/network"
)

// MetadataAddress is where guests look for metadata, the same in every cloud.
const MetadataAddress = "169.254.169.254"

// NetworkView is what the rows of a network depend on.
type NetworkView struct {
	Network  network.Network
	Subnets  []network.Subnet
	Metadata *network.Port // the network's metadata port, if it has one
}

// RenderNetwork renders a network: its switch, the way to the physical network
// and the DHCP answers of its subnets. Ports are scopes of their own.
func RenderNetwork(v NetworkView) []Row {
	key := switchKey(v.Network.ID)
	rows := []Row{{Table: "Logical_Switch", Key: key, Columns: map[string]any{
		"name":         "neutron-" + v.Network.ID,
		"other_config": Map{"mcast_snoop": "false", "vlan-passthru": "false"},
		"external_ids": Map{"neutron:network_name": v.Network.Name},
	}}}
	if v.Network.PhysicalNetwork != "" {
		tag := OptInt(0)
		if v.Network.NetworkType == network.TypeVLAN {
			tag = OptInt(v.Network.SegmentationID)
		}
		rows = append(rows, Row{Table: "Logical_Switch_Port", Key: "network/" + v.Network.ID + "/localnet", In: []Edge{{key, "ports"}},
			Columns: map[string]any{"name": "provnet-" + v.Network.ID, "type": "localnet", "addresses": Set{"unknown"}, "tag": tag,
				"options": Map{"network_name": v.Network.PhysicalNetwork}}})
	}
	for _, s := range v.Subnets {
		if r, ok := dhcpRow(v, s); ok {
			rows = append(rows, r)
		}
	}
	return rows
}

func switchKey(networkID string) string { return "network/" + networkID + "/switch" }

func dhcpKey(subnetID string) string { return "subnet/" + subnetID + "/dhcp" }

// dhcpRow renders what DHCP answers on a subnet, if it does.
func dhcpRow(v NetworkView, s network.Subnet) (Row, bool) {
	if !servesDHCP(s) {
		return Row{}, false
	}
	options := dhcp4Options(v, s)
	if s.IPVersion == 6 {
		options = dhcp6Options(s)
	}
	return Row{Table: "DHCP_Options", Key: dhcpKey(s.ID), Columns: map[string]any{
		"cidr": s.CIDR.String(), "options": options, "external_ids": Map{"subnet_id": s.ID},
	}}, true
}

// servesDHCP tells whether addresses of the subnet come by DHCP.
func servesDHCP(s network.Subnet) bool {
	if !s.EnableDHCP {
		return false
	}
	return s.IPVersion == 4 || s.IPv6AddressMode == "dhcpv6-stateful" || s.IPv6AddressMode == "dhcpv6-stateless"
}

func dhcp4Options(v NetworkView, s network.Subnet) Map {
	server := s.Gateway
	meta := metadataAddress(v.Metadata, s)
	if !server.IsValid() {
		server = meta
	}
	if !server.IsValid() {
		server = s.CIDR.Addr().Next()
	}
	o := Map{
		"server_id":  server.String(),
		"server_mac": macOf("dhcp/" + s.ID),
		"lease_time": "43200",
		"mtu":        strconv.Itoa(v.Network.MTU),
	}
	if dns := addresses(s.DNSNameservers, 4); len(dns) > 0 {
		o["dns_server"] = "{" + strings.Join(dns, ", ") + "}"
	}
	if s.Gateway.IsValid() {
		o["router"] = s.Gateway.String()
	}
	if routes := classlessRoutes(s, meta); routes != "" {
		o["classless_static_route"] = routes
	}
	if v.Network.DNSDomain != "" {
		o["domain_name"] = quoted(strings.TrimSuffix(v.Network.DNSDomain, "."))
	}
	return o
}

// classlessRoutes is option 121. Clients that get it ignore the router option,
// so the default route is repeated in it.
func classlessRoutes(s network.Subnet, meta netip.Addr) string {
	var routes []string
	if meta.IsValid() {
		routes = append(routes, MetadataAddress+"/32,"+meta.String())
	}
	for _, r := range s.HostRoutes {
		if r.Destination.Addr().Is4() && r.NextHop.Is4() {
			routes = append(routes, r.Destination.Masked().String()+","+r.NextHop.String())
		}
	}
	if len(routes) == 0 {
		return ""
	}
	if s.Gateway.IsValid() {
		routes = append(routes, "0.0.0.0/0,"+s.Gateway.String())
	}
	return "{" + strings.Join(routes, ", ") + "}"
}

func dhcp6Options(s network.Subnet) Map {
	o := Map{"server_id": macOf("dhcp/" + s.ID)}
	if dns := addresses(s.DNSNameservers, 6); len(dns) > 0 {
		o["dns_server"] = "{" + strings.Join(dns, ", ") + "}"
	}
	if s.IPv6AddressMode == "dhcpv6-stateless" {
		o["dhcpv6_stateless"] = "true"
	}
	return o
}

func metadataAddress(p *network.Port, s network.Subnet) netip.Addr {
	if p == nil {
		return netip.Addr{}
	}
	for _, ip := range p.FixedIPs {
		if ip.SubnetID == s.ID {
			return ip.Address
		}
	}
	return netip.Addr{}
}

// addresses keeps what is an address of a version. What a user wrote reaches
// the database only in this canonical form.
func addresses(words []string, version int) []string {
	var out []string
	for _, w := range words {
		if a, err := netip.ParseAddr(w); err == nil && a.Is4() == (version == 4) {
			out = append(out, a.WithZone("").String())
		}
	}
	return out
}

// quoted makes an OVN string constant. A backslash or quote cannot end it.
func quoted(s string) string { return strconv.Quote(s) }

// macOf is a stable address of a made-up device.
func macOf(key string) string {
	h := sha256.Sum256([]byte("mek mac " + key))
	return fmt.Sprintf("fa:16:3e:%02x:%02x:%02x", h[0], h[1], h[2])
}

var textOptions = []string{"domain_name", "domain_search_list", "domain_search", "bootfile_name", "tftp_server", "wpad", "path_prefix"}

// portDHCPRow renders the answer to a port that has extra options.
func portDHCPRow(v NetworkView, s network.Subnet, p network.Port) (Row, bool) {
	extra := Map{}
	for _, o := range p.DHCPOptions {
		name := network.DHCPNames[s.IPVersion][o.Name]
		if name == "" || o.Version != s.IPVersion {
			continue // of the other version, or one that is not sent
		}
		extra[name] = o.Value
		if slices.Contains(textOptions, name) {
			extra[name] = quoted(o.Value)
		}
	}
	r, ok := dhcpRow(v, s)
	if len(extra) == 0 || !ok {
		return Row{}, false
	}
	options, _ := r.Columns["options"].(Map) // dhcpRow made it
	maps.Copy(options, extra)
	r.Key = "port/" + p.ID + "/dhcp" + strconv.Itoa(s.IPVersion)
	return r, true
}
