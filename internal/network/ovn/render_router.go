package ovn

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/mekcloud/mek/internal/network"
)

func routerKey(routerID string) string { return "router/" + routerID + "/lr" }

func routerPortName(portID string) string { return "lrp-" + portID }

func routerPortKey(portID string) string { return "port/" + portID + "/lrp" }

// RouterPort is one interface of a router with what it leads to.
type RouterPort struct {
	Port    network.Port
	Network network.Network
	Subnets []network.Subnet
}

// RouterView is what the rows of a router depend on.
type RouterView struct {
	Router     network.Router
	Interfaces []RouterPort
	Gateway    *RouterPort        // nil: none
	Scopes     map[string]string  // address scope by subnet; those in none are missing
	Policy     *network.QoSPolicy // of the gateway; nil: none
	// Chassis may hold the gateway, the most wanted first.
	Chassis []string
}

// RenderRouter renders a router with its ports, routes and source translation.
func RenderRouter(v RouterView) []Row {
	key := routerKey(v.Router.ID)
	rows := []Row{{Table: "Logical_Router", Key: key, Columns: map[string]any{
		"name": "neutron-" + v.Router.ID, "enabled": v.Router.AdminStateUp,
		"options":      Map{"always_learn_from_arp_request": "false", "dynamic_neigh_routers": "true"},
		"external_ids": Map{"neutron:router_name": v.Router.Name},
	}}}
	for _, p := range v.Interfaces {
		rows = append(rows, routerPort(v, p, false))
	}
	for i, r := range v.Router.Routes {
		rows = append(rows, routeRow(v.Router.ID, "extra/"+strconv.Itoa(i), r.Destination.Masked().String(), r.NextHop))
	}
	rows = append(rows, scopeRows(v)...)
	if v.Gateway != nil {
		rows = append(rows, gatewayRows(v)...)
	}
	return rows
}

// scopeRows keep address scopes apart: what would go from one into another is
// dropped. What is translated on its way through the gateway passes.
func scopeRows(v RouterView) []Row {
	var rows []Row
	drop := func(name, match string) {
		rows = append(rows, Row{Table: "Logical_Router_Policy", Key: "router/" + v.Router.ID + "/scope/" + name, In: []Edge{{routerKey(v.Router.ID), "policies"}},
			Columns: map[string]any{"priority": scopePriority, "match": match, "action": "drop"}})
	}
	for _, from := range v.Interfaces {
		for _, s := range subnetsOn(from) {
			for _, to := range v.Interfaces {
				for _, t := range subnetsOn(to) {
					if s.IPVersion == t.IPVersion && v.Scopes[s.ID] != v.Scopes[t.ID] {
						drop(s.ID+"/"+t.ID, fmt.Sprintf("inport == %q && ip%d.src == %s && ip%d.dst == %s", routerPortName(from.Port.ID), s.IPVersion, s.CIDR, t.IPVersion, t.CIDR))
					}
				}
			}
			if v.Gateway == nil || s.IPVersion != 6 {
				continue
			}
			for _, t := range subnetsOn(*v.Gateway) {
				if t.IPVersion == 6 && v.Scopes[s.ID] != v.Scopes[t.ID] {
					drop("in/"+s.ID, fmt.Sprintf("inport == %q && ip6.dst == %s", routerPortName(v.Gateway.Port.ID), s.CIDR))
				}
			}
		}
	}
	return rows
}

const scopePriority = 900

// subnetsOn lists the subnets that a port of a router has addresses of.
func subnetsOn(p RouterPort) []network.Subnet {
	var out []network.Subnet
	for _, ip := range p.Port.FixedIPs {
		if s, ok := subnetOf(p.Subnets, ip.SubnetID); ok {
			out = append(out, s)
		}
	}
	return out
}

func routerPort(v RouterView, p RouterPort, gateway bool) Row {
	networks := Set{}
	for _, ip := range p.Port.FixedIPs {
		if s, ok := subnetOf(p.Subnets, ip.SubnetID); ok {
			networks = append(networks, netip.PrefixFrom(ip.Address, s.CIDR.Bits()).String())
		}
	}
	options := Map{}
	if gateway && p.Network.MTU > 0 {
		options["gateway_mtu"] = strconv.Itoa(p.Network.MTU)
	}
	columns := map[string]any{
		"name": routerPortName(p.Port.ID), "mac": p.Port.MAC, "networks": networks, "options": options,
		"enabled": p.Port.AdminStateUp, "external_ids": Map{"neutron:subnet_ids": joinSubnets(p.Port)},
	}
	if !gateway {
		columns["ipv6_ra_configs"] = raConfig(p)
	}
	return Row{Table: "Logical_Router_Port", Key: routerPortKey(p.Port.ID), In: []Edge{{routerKey(v.Router.ID), "ports"}}, Columns: columns}
}

func joinSubnets(p network.Port) string {
	out := ""
	for i, ip := range p.FixedIPs {
		if i > 0 {
			out += " "
		}
		out += ip.SubnetID
	}
	return out
}

func subnetOf(subnets []network.Subnet, id string) (network.Subnet, bool) {
	i := slices.IndexFunc(subnets, func(s network.Subnet) bool { return s.ID == id })
	if i < 0 {
		return network.Subnet{}, false
	}
	return subnets[i], true
}

// raConfig is what the router advertises into an IPv6 network; nothing where
// the mode is left to somebody else.
func raConfig(p RouterPort) Map {
	for _, ip := range p.Port.FixedIPs {
		s, ok := subnetOf(p.Subnets, ip.SubnetID)
		if !ok || s.IPVersion != 6 || s.IPv6RAMode == "" {
			continue
		}
		mode := map[string]string{"slaac": "slaac", "dhcpv6-stateful": "dhcpv6_stateful", "dhcpv6-stateless": "dhcpv6_stateless"}[s.IPv6RAMode]
		c := Map{"address_mode": mode, "send_periodic": "true"}
		if p.Network.MTU > 0 {
			c["mtu"] = strconv.Itoa(p.Network.MTU)
		}
		if dns := addresses(s.DNSNameservers, 6); len(dns) > 0 {
			c["rdnss"] = dns[0]
		}
		return c
	}
	return Map{}
}

// gatewayRows renders the way out: the port and where it may live, default
// routes, and source translation of each inner IPv4 subnet.
func gatewayRows(v RouterView) []Row {
	g := *v.Gateway
	rows := []Row{routerPort(v, g, true)}
	for i, chassis := range v.Chassis {
		rows = append(rows, Row{Table: "Gateway_Chassis", Key: routerPortKey(g.Port.ID) + "/" + chassis,
			In: []Edge{{routerPortKey(g.Port.ID), "gateway_chassis"}}, Columns: map[string]any{
				"name": routerPortName(g.Port.ID) + "_" + chassis, "chassis_name": chassis, "priority": len(v.Chassis) - i}})
	}
	for _, ip := range g.Port.FixedIPs {
		s, ok := subnetOf(g.Subnets, ip.SubnetID)
		if !ok {
			continue
		}
		if s.Gateway.IsValid() && s.Gateway != ip.Address {
			all := map[int]string{4: "0.0.0.0/0", 6: "::/0"}[s.IPVersion]
			r := routeRow(v.Router.ID, "default/"+s.ID, all, s.Gateway)
			r.Columns["output_port"] = Set{routerPortName(g.Port.ID)}
			rows = append(rows, r)
		}
	}
	for _, ip := range g.Port.FixedIPs {
		rows = append(rows, qosRows(v.Policy, "router/"+v.Router.ID+"/qos/"+ip.Address.String(), outside(g.Port, ip.Address))...)
	}
	if v.Router.Gateway != nil && v.Router.Gateway.EnableSNAT {
		rows = append(rows, snatRows(v)...)
	}
	return rows
}

func snatRows(v RouterView) []Row {
	i := slices.IndexFunc(v.Gateway.Port.FixedIPs, func(ip network.FixedIP) bool { return ip.Address.Is4() })
	if i < 0 {
		return nil
	}
	outside, outer := v.Gateway.Port.FixedIPs[i].Address.String(), v.Gateway.Port.FixedIPs[i].SubnetID
	var rows []Row
	for _, p := range v.Interfaces {
		for _, ip := range p.Port.FixedIPs {
			s, ok := subnetOf(p.Subnets, ip.SubnetID)
			if !ok || s.IPVersion != 4 || v.Scopes[s.ID] != "" && v.Scopes[s.ID] == v.Scopes[outer] {
				continue // within one address scope addresses mean the same on both sides
			}
			key := fmt.Sprintf("router/%s/snat/%s", v.Router.ID, s.ID)
			if slices.ContainsFunc(rows, func(r Row) bool { return r.Key == key }) {
				continue // two ports of the router on one subnet need one translation
			}
			rows = append(rows, Row{Table: "NAT", Key: key, In: []Edge{{routerKey(v.Router.ID), "nat"}},
				Columns: map[string]any{"type": "snat", "external_ip": outside, "logical_ip": s.CIDR.Masked().String()}})
		}
	}
	return rows
}

func routeRow(routerID, name, destination string, hop netip.Addr) Row {
	return Row{Table: "Logical_Router_Static_Route", Key: "router/" + routerID + "/route/" + name,
		In:      []Edge{{routerKey(routerID), "static_routes"}},
		Columns: map[string]any{"ip_prefix": destination, "nexthop": hop.String()}}
}
