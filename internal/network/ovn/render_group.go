package ovn

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/network"
)

// GlobalScope is the scope of what every cloud has once.
const GlobalScope = "global"

const (
	dropGroupKey  = "global/drop"
	dropGroupName = "neutron_pg_drop"
	dropPriority  = 1001
	passPriority  = 1002
	neverPriority = 1003 // no rule of a group lets it pass
)

func groupKey(groupID string) string { return "group/" + groupID + "/pg" }

func groupName(groupID string) string { return "pg_" + strings.ReplaceAll(groupID, "-", "_") }

// RenderGlobal renders the group of all guarded ports: whatever no rule lets
// pass is dropped, except what a port needs to learn its own address. A port
// that shall serve addresses or routes to others needs port security off, as
// with OpenStack's other firewalls.
func RenderGlobal() []Row {
	rows := []Row{{Table: "Port_Group", Key: dropGroupKey, Columns: map[string]any{"name": dropGroupName}}}
	out, in := "inport == @"+dropGroupName, "outport == @"+dropGroupName
	// What names the group costs a switch flows for each of its ports, so only what
	// is dropped names it: a port that is not in it may pass all of this anyway.
	for _, a := range []struct {
		name, direction, match, action string
		priority                       int
	}{
		{"out", "from-lport", out + " && ip", "drop", dropPriority},
		{"in", "to-lport", in + " && ip", "drop", dropPriority},
		{"dhcp4", "from-lport", "ip4 && ip4.dst == 255.255.255.255 && udp && udp.src == 68 && udp.dst == 67", "allow", passPriority},
		{"dhcp6", "from-lport", "ip6 && ip6.dst == ff02::1:2 && udp && udp.src == 546 && udp.dst == 547", "allow", passPriority},
		{"nd-out", "from-lport", "nd_ns || nd_na || nd_rs || mldv1 || mldv2", "allow", passPriority},
		{"nd-in", "to-lport", "nd_ns || nd_na || nd_ra", "allow", passPriority},
	} {
		rows = append(rows, aclRow(GlobalScope+"/"+a.name, dropGroupKey, a.direction, a.match, a.action, a.priority))
	}
	// What only a network's own servers and routers say. Nothing in it is forged, so
	// port security lets it pass, as OVN lets router advertisements: those are
	// dropped by the host's driver.
	for name, match := range map[string]string{
		"no-dhcp4":   "ip4 && udp.src == 67 && udp.dst == 68",
		"no-dhcp6":   "ip6 && udp.src == 547 && udp.dst == 546",
		"no-router4": "ip4 && icmp4.type == {5, 9}",
		"no-router6": "ip6 && icmp6.type == 137",
	} {
		rows = append(rows, aclRow(GlobalScope+"/"+name, dropGroupKey, "from-lport", out+" && "+match, "drop", neverPriority))
	}
	return rows
}

func aclRow(key, group, direction, match, action string, priority int) Row {
	return Row{Table: "ACL", Key: key, In: []Edge{{group, "acls"}}, Columns: map[string]any{
		"direction": direction, "priority": priority, "match": match, "action": action}}
}

func addressSetName(groupID, ip string) string {
	return "ag_" + ip + "_" + strings.ReplaceAll(groupID, "-", "_")
}

// RenderAddressGroup renders an address group: one set per IP version.
func RenderAddressGroup(g network.AddressGroup) []Row {
	var rows []Row
	for _, ip := range []string{"ip4", "ip6"} {
		list := Set{}
		for _, p := range g.Addresses {
			if p.Addr().Is4() == (ip == "ip4") {
				list = append(list, prefixWord(p))
			}
		}
		rows = append(rows, Row{Table: "Address_Set", Key: "addresses/" + g.ID + "/" + ip, Columns: map[string]any{"name": addressSetName(g.ID, ip), "addresses": list}})
	}
	return rows
}

// RenderGroup renders a security group with its rules.
func RenderGroup(g network.SecurityGroup, rules []network.Rule) []Row {
	rows := []Row{{Table: "Port_Group", Key: groupKey(g.ID), Columns: map[string]any{
		"name": groupName(g.ID), "external_ids": Map{"neutron:security_group_id": g.ID}}}}
	action := "allow-related"
	if !g.Stateful {
		action = "allow-stateless"
	}
	for _, r := range rules {
		direction, port := "to-lport", "outport"
		if r.Direction == network.Egress {
			direction, port = "from-lport", "inport"
		}
		match := port + " == @" + groupName(g.ID) + ruleMatch(r)
		rows = append(rows, aclRow("rule/"+r.ID, groupKey(g.ID), direction, match, action, passPriority))
	}
	return rows
}

// ruleMatch is the condition of a rule besides whose port it is.
func ruleMatch(r network.Rule) string {
	ip := "ip4"
	if r.EtherType == network.IPv6 {
		ip = "ip6"
	}
	end := ".src"
	if r.Direction == network.Egress {
		end = ".dst"
	}
	m := " && " + ip
	if r.RemotePrefix.IsValid() && r.RemotePrefix.Bits() > 0 {
		m += fmt.Sprintf(" && %s%s == %s", ip, end, prefixWord(r.RemotePrefix))
	}
	if r.RemoteGroupID != "" {
		m += fmt.Sprintf(" && %s%s == $%s_%s", ip, end, groupName(r.RemoteGroupID), ip)
	}
	if r.AddressGroupID != "" {
		m += fmt.Sprintf(" && %s%s == $%s", ip, end, addressSetName(r.AddressGroupID, ip))
	}
	return m + protocolMatch(r)
}

func prefixWord(p netip.Prefix) string { return p.Masked().String() }

func protocolMatch(r network.Rule) string {
	if r.Protocol == "" {
		return ""
	}
	number, ok := network.ProtocolNumber(r.Protocol)
	if !ok {
		return " && 0" // nothing matches a protocol that is not known; the API refuses it before
	}
	switch number {
	case 1, 58:
		return icmpMatch(r)
	case 6:
		return " && tcp" + portMatch(r, "tcp")
	case 17:
		return " && udp" + portMatch(r, "udp")
	case 132:
		return " && sctp" + portMatch(r, "sctp")
	}
	return " && ip.proto == " + strconv.Itoa(number)
}

// icmpMatch: ICMP means the one of the rule's IP version, however it was written.
func icmpMatch(r network.Rule) string {
	word := "icmp4"
	if r.EtherType == network.IPv6 {
		word = "icmp6"
	}
	m := " && " + word
	if r.PortMin != nil {
		m += fmt.Sprintf(" && %s.type == %d", word, *r.PortMin)
	}
	if r.PortMax != nil {
		m += fmt.Sprintf(" && %s.code == %d", word, *r.PortMax)
	}
	return m
}

func portMatch(r network.Rule, word string) string {
	switch {
	case r.PortMin == nil || r.PortMax == nil:
		return ""
	case *r.PortMin == *r.PortMax:
		return fmt.Sprintf(" && %s.dst == %d", word, *r.PortMin)
	default:
		return fmt.Sprintf(" && %s.dst >= %d && %s.dst <= %d", word, *r.PortMin, word, *r.PortMax)
	}
}
