package ovn

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/mekcloud/mek/internal/network"
)

// FloatingView is what the rows of a floating address depend on.
type FloatingView struct {
	Floating    network.FloatingIP
	Forwardings []network.Forwarding
	Gateway     *network.Port      // of the router it uses; nil: none
	Policy      *network.QoSPolicy // nil: none
}

// RenderFloating renders the translation of a floating address, or of those of
// its ports that are forwarded: nothing while it leads nowhere. It is done on
// the gateway's host.
func RenderFloating(v FloatingView) []Row {
	f := v.Floating
	if f.RouterID == "" {
		return nil
	}
	var rows []Row
	if f.PortID != "" && f.Fixed.IsValid() {
		rows = append(rows, Row{Table: "NAT", Key: "floating/" + f.ID + "/nat", In: []Edge{{routerKey(f.RouterID), "nat"}}, Columns: map[string]any{
			"type": "dnat_and_snat", "external_ip": f.Address.String(), "logical_ip": f.Fixed.String(),
			"external_ids": Map{"neutron:fip_port_id": f.PortID}}})
	}
	rows = append(rows, forwardingRows(v)...)
	if v.Gateway != nil {
		rows = append(rows, qosRows(v.Policy, "floating/"+f.ID+"/qos", outside(*v.Gateway, f.Address))...)
	}
	return rows
}

// forwardingRows renders one balancer per protocol, with a member behind each
// forwarded port.
func forwardingRows(v FloatingView) []Row {
	vips := map[string]Map{}
	for _, x := range v.Forwardings {
		if vips[x.Protocol] == nil {
			vips[x.Protocol] = Map{}
		}
		for n := x.ExternalFirst; n <= x.ExternalLast; n++ {
			inner := x.InternalFirst + n - x.ExternalFirst
			vips[x.Protocol][netip.AddrPortFrom(v.Floating.Address, uint16(n)).String()] = netip.AddrPortFrom(x.Fixed, uint16(inner)).String()
		}
	}
	var rows []Row
	for _, protocol := range []string{"tcp", "udp", "sctp"} {
		if vips[protocol] == nil {
			continue
		}
		rows = append(rows, Row{Table: "Load_Balancer", Key: "floating/" + v.Floating.ID + "/" + protocol, In: []Edge{{routerKey(v.Floating.RouterID), "load_balancer"}},
			Columns: map[string]any{"name": "pf-floatingip-" + v.Floating.ID + "-" + protocol, "protocol": Set{protocol}, "vips": vips[protocol],
				"options": Map{"hairpin_snat_ip": v.Floating.Address.String()}}})
	}
	return rows
}

// limited is where the rules of a QoS policy are put.
type limited struct {
	switchKey string
	in, out   string // matches of what comes from the port, and of what goes to it
}

// outside limits what passes an address of a router's gateway. What leaves the
// cloud comes from the router's port on the external network.
func outside(gateway network.Port, a netip.Addr) limited {
	version := 4
	if a.Is6() {
		version = 6
	}
	resident := fmt.Sprintf("is_chassis_resident(%q)", "cr-"+routerPortName(gateway.ID))
	return limited{switchKey(gateway.NetworkID),
		fmt.Sprintf("inport == %q && ip%d.src == %s && %s", gateway.ID, version, a, resident),
		fmt.Sprintf("outport == %q && ip%d.dst == %s && %s", gateway.ID, version, a, resident)}
}

const qosPriority = 2002

// qosRows render a policy: one row per direction, with the limit and the mark.
func qosRows(p *network.QoSPolicy, key string, at limited) []Row {
	if p == nil {
		return nil
	}
	var rows []Row
	for _, direction := range []string{network.Egress, network.Ingress} {
		bandwidth, action := Nums{}, Nums{}
		for _, r := range p.Rules {
			switch {
			case r.Direction != direction:
			case r.Kind == network.BandwidthLimit:
				bandwidth["rate"] = r.Rate
				if r.Burst > 0 {
					bandwidth["burst"] = r.Burst
				}
			case r.Kind == network.DSCPMarking:
				action["dscp"] = r.Rate
			}
		}
		if len(bandwidth)+len(action) == 0 {
			continue
		}
		side, match := "from-lport", at.in
		if direction == network.Ingress {
			side, match = "to-lport", at.out
		}
		rows = append(rows, Row{Table: "QoS", Key: key + "/" + direction, In: []Edge{{at.switchKey, "qos_rules"}},
			Columns: map[string]any{"priority": qosPriority, "direction": side, "match": match, "bandwidth": bandwidth, "action": action}})
	}
	return rows
}

// dnsRows render the names of a port: its name alone, and with each domain,
// and the names of its addresses.
func dnsRows(p network.Port, domains []string) []Row {
	if p.DNSName == "" || len(p.FixedIPs) == 0 {
		return nil
	}
	var addresses string
	for i, ip := range p.FixedIPs {
		if i > 0 {
			addresses += " "
		}
		addresses += ip.Address.String()
	}
	names := Map{p.DNSName: addresses}
	full := p.DNSName
	for _, domain := range slices.Backward(domains) {
		full = p.DNSName + "." + domain
		names[full] = addresses
	}
	for _, ip := range p.FixedIPs {
		names[network.ReverseName(ip.Address)] = full
	}
	return []Row{{Table: "DNS", Key: "port/" + p.ID + "/dns", In: []Edge{{switchKey(p.NetworkID), "dns_records"}}, Columns: map[string]any{"records": names}}}
}
