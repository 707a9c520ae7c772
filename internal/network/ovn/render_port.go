package ovn

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/network"
)

// PortView is what the rows of a port depend on.
type PortView struct {
	Port    network.Port
	Network NetworkView
	Chassis string             // of the host the port is bound to; empty: unbound
	Policy  *network.QoSPolicy // its own, or its network's; nil: none
	Lane    *Lane              // of a port in a trunk; nil for others
}

// Lane is where the frames of a port in a trunk pass.
type Lane struct {
	Parent string // port
	Tag    int
	Up     bool
}

// RenderPort renders a port of any kind. A floating address's own port is none
// for OVN: the router answers for it.
func RenderPort(v PortView) []Row {
	if v.Port.DeviceOwner == network.OwnerFloatingIP {
		return nil
	}
	r := Row{Table: "Logical_Switch_Port", Key: "port/" + v.Port.ID + "/lsp", In: []Edge{{switchKey(v.Port.NetworkID), "ports"}}}
	switch v.Port.DeviceOwner {
	case network.OwnerRouterInterface, network.OwnerRouterGateway:
		r.Columns = routerPeer(v.Port)
		return []Row{r}
	case network.OwnerMetadata:
		r.Columns = map[string]any{"name": v.Port.ID, "type": "localport", "addresses": Set{allAddresses(v.Port)}}
		return []Row{r}
	}
	return guestPort(v, r)
}

func routerPeer(p network.Port) map[string]any {
	options := Map{"router-port": routerPortName(p.ID)}
	if p.DeviceOwner == network.OwnerRouterGateway {
		options["nat-addresses"] = "router"
	}
	return map[string]any{"name": p.ID, "type": "router", "addresses": Set{"router"}, "options": options, "enabled": p.AdminStateUp}
}

func guestPort(v PortView, r Row) []Row {
	p := v.Port
	options := Map{}
	if v.Chassis != "" {
		options["requested-chassis"] = v.Chassis
	}
	own := Set{allAddresses(p)}
	security := Set{}
	if p.PortSecurity {
		security = portSecurity(p)
	}
	if !p.PortSecurity || p.MACLearning {
		own = append(own, "unknown")
	}
	r.Columns = map[string]any{
		"name": p.ID, "addresses": own, "port_security": security, "options": options, "enabled": p.AdminStateUp,
		"external_ids": Map{"neutron:device_id": p.DeviceID, "neutron:device_owner": p.DeviceOwner},
	}
	r.In = append(r.In, groupEdges(p)...)
	if v.Lane != nil {
		r.Columns["parent_name"], r.Columns["tag"] = Set{v.Lane.Parent}, OptInt(v.Lane.Tag)
		r.Columns["enabled"] = p.AdminStateUp && v.Lane.Up
	}
	rows := dhcpOf(v, &r)
	rows = append(rows, qosRows(v.Policy, "port/"+p.ID+"/qos", limited{switchKey(p.NetworkID), fmt.Sprintf("inport == %q", p.ID), fmt.Sprintf("outport == %q", p.ID)})...)
	rows = append(rows, dnsRows(p, p.Domains(v.Network.Network.DNSDomain))...)
	return append(rows, r)
}

// groupEdges puts a guarded port into the group that drops everything and into
// those of its security groups. Without port security nothing is filtered.
func groupEdges(p network.Port) []Edge {
	if !p.PortSecurity {
		return nil
	}
	edges := []Edge{{dropGroupKey, "ports"}}
	for _, id := range p.SecurityGroups {
		edges = append(edges, Edge{groupKey(id), "ports"})
	}
	return edges
}

// dhcpOf points a port to the DHCP answers of its first subnet of each
// version, or to its own ones, which are the rows it returns.
func dhcpOf(v PortView, r *Row) []Row {
	var rows []Row
	for version, column := range map[int]string{4: "dhcpv4_options", 6: "dhcpv6_options"} {
		s, ok := firstSubnet(v, version)
		if !ok || dhcpDisabled(v.Port, version) {
			continue
		}
		if own, ok := portDHCPRow(v.Network, s, v.Port); ok {
			rows = append(rows, own)
			r.Columns[column] = Refs{own.Key}
			continue
		}
		r.Columns[column] = Refs{dhcpKey(s.ID)}
	}
	return rows
}

func firstSubnet(v PortView, version int) (network.Subnet, bool) {
	for _, ip := range v.Port.FixedIPs {
		for _, s := range v.Network.Subnets {
			if s.ID == ip.SubnetID && s.IPVersion == version && servesDHCP(s) {
				return s, true
			}
		}
	}
	return network.Subnet{}, false
}

func dhcpDisabled(p network.Port, version int) bool {
	for _, o := range p.DHCPOptions {
		if o.Name == "dhcp_disabled" && o.Version == version && strings.EqualFold(o.Value, "true") {
			return true
		}
	}
	return false
}

func allAddresses(p network.Port) string {
	words := []string{p.MAC}
	for _, ip := range p.FixedIPs {
		words = append(words, ip.Address.String())
	}
	return strings.Join(words, " ")
}

// portSecurity lists the sender addresses a port may use: its own, and its
// allowed pairs, with the port's MAC or their own.
func portSecurity(p network.Port) Set {
	own := allAddresses(p)
	others := map[string][]string{}
	var order []string
	for _, pair := range p.AddressPairs {
		mac := strings.ToLower(pair.MAC)
		if mac == "" || mac == p.MAC {
			own += " " + pairWord(pair.Prefix)
			continue
		}
		if others[mac] == nil {
			order = append(order, mac)
		}
		others[mac] = append(others[mac], pairWord(pair.Prefix))
	}
	out := Set{own}
	for _, mac := range order {
		out = append(out, mac+" "+strings.Join(others[mac], " "))
	}
	return out
}

func pairWord(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.Masked().Addr().String() + "/" + strconv.Itoa(p.Bits())
}
