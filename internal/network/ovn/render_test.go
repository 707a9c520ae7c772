package ovn

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/test/golden"
)

func std(id string) network.Standard { return network.Standard{ID: id, Name: id + "-name"} }

func ips(pairs ...string) []network.FixedIP {
	var out []network.FixedIP
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, network.FixedIP{SubnetID: pairs[i], Address: netip.MustParseAddr(pairs[i+1])})
	}
	return out
}

func count(n int) *int { return &n }

// world renders one of everything.
func world() map[string][]Row {
	net4 := network.Subnet{Standard: std("s4"), IPVersion: 4, CIDR: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1"), EnableDHCP: true,
		DNSNameservers: []string{"192.0.2.53", "2001:db8::53"}, HostRoutes: []network.HostRoute{{Destination: netip.MustParsePrefix("198.51.100.0/24"), NextHop: netip.MustParseAddr("10.0.0.9")}}}
	net6 := network.Subnet{Standard: std("s6"), IPVersion: 6, CIDR: netip.MustParsePrefix("2001:db8:1::/64"), Gateway: netip.MustParseAddr("2001:db8:1::1"), EnableDHCP: true,
		IPv6RAMode: "dhcpv6-stateful", IPv6AddressMode: "dhcpv6-stateful", DNSNameservers: []string{"2001:db8::53"}}
	ext := network.Subnet{Standard: std("sx"), IPVersion: 4, CIDR: netip.MustParsePrefix("203.0.113.0/24"), Gateway: netip.MustParseAddr("203.0.113.1")}
	meta := network.Port{Standard: std("meta"), NetworkID: "n1", MAC: "fa:16:3e:00:00:02", DeviceOwner: network.OwnerMetadata, AdminStateUp: true, FixedIPs: ips("s4", "10.0.0.2")}
	inner := NetworkView{Network: network.Network{Standard: std("n1"), MTU: 1442}, Subnets: []network.Subnet{net4, net6}, Metadata: &meta}
	outer := NetworkView{Network: network.Network{Standard: std("nx"), MTU: 1500, NetworkType: network.TypeVLAN, PhysicalNetwork: "public", SegmentationID: 7}, Subnets: []network.Subnet{ext}}
	guest := network.Port{Standard: std("guest"), NetworkID: "n1", MAC: "fa:16:3e:00:00:0a", AdminStateUp: true, PortSecurity: true, SecurityGroups: []string{"g-1"},
		DeviceID: "vm", DeviceOwner: "compute:nova", FixedIPs: ips("s4", "10.0.0.10", "s6", "2001:db8:1::a"),
		AddressPairs: []network.AddressPair{{Prefix: netip.MustParsePrefix("10.0.0.60/32"), Single: true}, {Prefix: netip.MustParsePrefix("10.0.9.0/24"), MAC: "fa:16:3e:99:99:99"}},
		DHCPOptions:  []network.DHCPOption{{Name: "domain-name", Value: `a "b`, Version: 4}}}
	open := network.Port{Standard: std("open"), NetworkID: "n1", MAC: "fa:16:3e:00:00:0b", FixedIPs: ips("s4", "10.0.0.11")}
	leg := network.Port{Standard: std("leg"), NetworkID: "n1", MAC: "fa:16:3e:00:00:01", DeviceOwner: network.OwnerRouterInterface, AdminStateUp: true, FixedIPs: ips("s4", "10.0.0.1", "s6", "2001:db8:1::1")}
	out := network.Port{Standard: std("out"), NetworkID: "nx", MAC: "fa:16:3e:00:00:03", DeviceOwner: network.OwnerRouterGateway, AdminStateUp: true, FixedIPs: ips("sx", "203.0.113.9")}
	rules := []network.Rule{
		{Standard: std("r-all"), Direction: network.Egress, EtherType: network.IPv6},
		{Standard: std("r-tcp"), Direction: network.Ingress, EtherType: network.IPv4, Protocol: "tcp", PortMin: count(20), PortMax: count(22), RemotePrefix: netip.MustParsePrefix("192.0.2.7/24")},
		{Standard: std("r-group"), Direction: network.Ingress, EtherType: network.IPv4, Protocol: "udp", PortMin: count(53), PortMax: count(53), RemoteGroupID: "g-1"},
		{Standard: std("r-icmp"), Direction: network.Ingress, EtherType: network.IPv6, Protocol: "icmp", PortMin: count(128), PortMax: count(0)},
		{Standard: std("r-set"), Direction: network.Ingress, EtherType: network.IPv6, AddressGroupID: "a-1"},
		{Standard: std("r-gre"), Direction: network.Egress, EtherType: network.IPv4, Protocol: "gre"},
	}
	policy := &network.QoSPolicy{Standard: std("q"), Rules: []network.QoSRule{
		{Kind: network.BandwidthLimit, Direction: network.Egress, Rate: 1000, Burst: 100}, {Kind: network.BandwidthLimit, Direction: network.Ingress, Rate: 2000},
		{Kind: network.DSCPMarking, Direction: network.Egress, Rate: 26}}}
	named := network.Port{Standard: std("named"), NetworkID: "n1", MAC: "fa:16:3e:00:00:0c", AdminStateUp: true, DNSName: "web", DNSDomain: "shop.example.",
		FixedIPs: ips("s4", "10.0.0.12", "s6", "2001:db8:1::c")}
	tagged := network.Port{Standard: std("tagged"), NetworkID: "n1", MAC: "fa:16:3e:00:00:0d", AdminStateUp: true, PortSecurity: true, DeviceOwner: network.OwnerSubPort, FixedIPs: ips("s4", "10.0.0.13")}
	leg2 := network.Port{Standard: std("leg2"), NetworkID: "n2", MAC: "fa:16:3e:00:00:04", DeviceOwner: network.OwnerRouterInterface, AdminStateUp: true, FixedIPs: ips("s42", "10.2.0.1")}
	leg3, out2 := leg, out
	leg3.Standard, out2.Standard = std("leg3"), std("out2")
	far := network.Subnet{Standard: std("s42"), IPVersion: 4, CIDR: netip.MustParsePrefix("10.2.0.0/24")}
	return map[string][]Row{
		"port/named": RenderPort(PortView{Port: named, Network: inner, Policy: policy}), "port/tagged": RenderPort(PortView{Port: tagged, Network: inner, Lane: &Lane{Parent: "guest", Tag: 7, Up: true}}),
		"addresses/a-1": RenderAddressGroup(network.AddressGroup{Standard: std("a-1"), Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::7/128")}}),
		"router/scoped": RenderRouter(RouterView{Router: network.Router{Standard: std("scoped"), AdminStateUp: true, Gateway: &network.Gateway{EnableSNAT: true}}, Policy: policy,
			Interfaces: []RouterPort{{Port: leg3, Network: inner.Network, Subnets: inner.Subnets}, {Port: leg2, Network: network.Network{Standard: std("n2")}, Subnets: []network.Subnet{far}}},
			Scopes:     map[string]string{"s4": "one", "sx": "one", "s42": "two"}, Gateway: &RouterPort{Port: out2, Network: outer.Network, Subnets: outer.Subnets}, Chassis: []string{"host-1"}}),
		"floating/shared": RenderFloating(FloatingView{Floating: network.FloatingIP{Standard: std("shared"), Address: netip.MustParseAddr("203.0.113.82"), RouterID: "r"}, Gateway: &out, Policy: policy,
			Forwardings: []network.Forwarding{{Protocol: "tcp", Fixed: netip.MustParseAddr("10.0.0.10"), ExternalFirst: 8080, ExternalLast: 8081, InternalFirst: 80, InternalLast: 81},
				{Protocol: "udp", Fixed: netip.MustParseAddr("10.0.0.11"), ExternalFirst: 53, ExternalLast: 53, InternalFirst: 53, InternalLast: 53}}}),
		GlobalScope: RenderGlobal(), "network/n1": RenderNetwork(inner), "network/nx": RenderNetwork(outer),
		"port/guest": RenderPort(PortView{Port: guest, Network: inner, Chassis: "host-1"}), "port/open": RenderPort(PortView{Port: open, Network: inner}), "port/meta": RenderPort(PortView{Port: meta, Network: inner}),
		"port/leg": RenderPort(PortView{Port: leg, Network: inner}), "port/out": RenderPort(PortView{Port: out, Network: outer}),
		"port/held": RenderPort(PortView{Port: network.Port{DeviceOwner: network.OwnerFloatingIP}, Network: outer}),
		"group/g-1": RenderGroup(network.SecurityGroup{Standard: std("g-1"), Stateful: true}, rules),
		"group/g-2": RenderGroup(network.SecurityGroup{Standard: std("g-2")}, []network.Rule{{Standard: std("r-plain"), Direction: network.Egress, EtherType: network.IPv6}}),
		"router/r": RenderRouter(RouterView{Router: network.Router{Standard: std("r"), AdminStateUp: true, Gateway: &network.Gateway{EnableSNAT: true}, Routes: net4.HostRoutes},
			Interfaces: []RouterPort{{Port: leg, Network: inner.Network, Subnets: inner.Subnets}}, Gateway: &RouterPort{Port: out, Network: outer.Network, Subnets: outer.Subnets}, Chassis: []string{"host-1", "host-2"}}),
		"floating/f":    RenderFloating(FloatingView{Floating: network.FloatingIP{Standard: std("f"), Address: netip.MustParseAddr("203.0.113.80"), PortID: "guest", Fixed: netip.MustParseAddr("10.0.0.10"), RouterID: "r"}}),
		"floating/idle": RenderFloating(FloatingView{Floating: network.FloatingIP{Standard: std("idle"), Address: netip.MustParseAddr("203.0.113.81")}}),
	}
}

func print(scopes map[string][]Row) string {
	var b strings.Builder
	for _, scope := range slices.SortedFunc(maps.Keys(scopes), CompareScopes) {
		fmt.Fprintf(&b, "== %s\n", scope)
		rows := slices.Clone(scopes[scope])
		slices.SortFunc(rows, func(x, y Row) int { return strings.Compare(x.Key, y.Key) })
		for _, r := range rows {
			fmt.Fprintf(&b, "%s %s in %v\n", r.Table, r.Key, r.In)
			for _, c := range slices.Sorted(maps.Keys(r.Columns)) {
				fmt.Fprintf(&b, "    %s = %v\n", c, r.Columns[c])
			}
		}
	}
	return b.String()
}

func TestRender(t *testing.T) {
	got := print(world())
	golden.Check(t, "testdata/render.golden", []byte(got))
}

// TestPlan checks the least operations: none for what is there, one update for
// one column, a mutation for an edge, nothing for rows that went with a parent.
func TestPlan(t *testing.T) {
	m := newMirror()
	apply := func(scope string, rows []Row) plan {
		for i := range rows {
			rows[i].Scope = scope
			rows[i] = complete(rows[i])
		}
		p := planScope(m, scope, rows)
		for _, r := range p.put {
			m.put(r)
		}
		for _, key := range p.drop {
			m.drop(key)
		}
		return p
	}
	w := world()
	if p := apply("port/guest", slices.Clone(w["port/guest"])); len(p.missing) != 3 {
		t.Errorf("parents that are missing: %v", p.missing)
	}
	m = newMirror()
	for _, scope := range slices.SortedFunc(maps.Keys(w), CompareScopes) {
		if p := apply(scope, slices.Clone(w[scope])); len(p.missing) > 0 {
			t.Errorf("%s lacks %v", scope, p.missing)
		}
	}
	for scope, rows := range w {
		if p := apply(scope, slices.Clone(rows)); len(p.ops) > 0 {
			t.Errorf("%s again takes %d operations", scope, len(p.ops))
		}
	}
	closed := slices.Clone(w["group/g-1"])[:len(w["group/g-1"])-1]
	if p := apply("group/g-1", closed); len(p.ops) != 2 { // the edge and the row
		t.Errorf("a rule less takes %v", p.ops)
	}
	if p := apply("network/n1", nil); len(p.ops) == 0 {
		t.Error("a network goes without an operation")
	}
	if p := apply("port/guest", nil); len(p.drop) > 1 { // its own DHCP answer, not the port: that went with its switch
		t.Errorf("a port goes again after its switch: %v", p.drop)
	}
}
