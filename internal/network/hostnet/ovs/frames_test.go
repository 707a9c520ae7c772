package ovs_test

// Who is who in the tests of frames.
const (
	macA, ipA, ip6A, llA = "fa:16:3e:00:01:0a", "10.1.0.10", "fd00:1::10", "fe80::f816:3eff:fe00:10a"  // the port that sends
	macB, ipB, ip6B, llB = "fa:16:3e:00:01:0b", "10.1.0.11", "fd00:1::11", "fe80::f816:3eff:fe00:10b"  // a neighbour whose groups open everything
	macC, ipC, ip6C      = "fa:16:3e:00:01:0c", "10.1.0.12", "fd00:1::12"                              // a neighbour whose groups open TCP port 7001
	macR, ipR, ip6R, llR = "fa:16:3e:00:00:01", "10.1.0.1", "fd00:1::1", "fe80::f816:3eff:fe00:1"      // the router
	macM, ipM            = "fa:16:3e:00:00:02", "10.1.0.2"                                             // metadata
	macX, ipX, ip6X, llX = "fa:16:3e:66:66:66", "10.1.0.66", "fd00:1::66", "fe80::f816:3eff:fe66:6666" // nobody
	everyone, every4     = "ff:ff:ff:ff:ff:ff", "255.255.255.255"
	nodes6, nodes6MAC    = "ff02::1", "33:33:00:00:00:01"
	hostOutside          = "172.24.4.1"
	tunnelEnd            = "127.0.0.1"
)

// where is who may see a frame.
type where int

const (
	open    where = 1 << iota // the neighbour whose groups open everything
	closed                    // the one whose groups are closed
	outside                   // the external network
	nobody  where = 0
)

// kind is one kind of frame: how it is made, and who may see it. must says that
// those who may really do, else the test tests a network that is cut.
type kind struct {
	name string
	make func(m []byte) []byte
	may  where
	must bool
}

func toB(kind int, rest ...[]byte) []byte { return eth(macB, macA, kind, rest...) }

func toAll(kind int, rest ...[]byte) []byte { return eth(everyone, macA, kind, rest...) }

func ip4To(dst string, h v4, rest ...[]byte) []byte {
	return eth(dst, macA, 0x0800, h.with(rest...))
}

func ip6To(dst string, h v6, rest ...[]byte) []byte {
	return eth(dst, macA, 0x86dd, h.with(rest...))
}

func plain4(src string, m []byte) []byte {
	return v4{src: src, dst: ipB, proto: 17}.with(udp(7050, 7050, m))
}

func plain6(src string, m []byte) []byte {
	return v6{src: src, dst: ip6B, next: 17}.with(udp6(src, ip6B, 7050, 7050, m))
}

var honestKinds = []kind{
	{"a datagram to a neighbour", func(m []byte) []byte { return toB(0x0800, plain4(ipA, m)) }, open, true},
	{"an IPv6 datagram to a neighbour", func(m []byte) []byte { return toB(0x86dd, plain6(ip6A, m)) }, open, true},
	{"ARP for an address nobody has", func(m []byte) []byte { return cat(arp(everyone, macA, 1, macA, ipA, "00:00:00:00:00:00", ipX), m) }, open | closed, true},
	{"its own gratuitous ARP", func(m []byte) []byte { return cat(arp(everyone, macA, 2, macA, ipA, macA, ipA), m) }, open | closed, true},
	{"a datagram from its link-local address", func(m []byte) []byte {
		return toB(0x86dd, v6{src: llA, dst: llB, next: 17}.with(udp6(llA, llB, 1, 7050, m)))
	}, open, true},
	{"a datagram to a multicast group", func(m []byte) []byte {
		return eth("01:00:5e:00:00:fb", macA, 0x0800, v4{src: ipA, dst: "224.0.0.251", proto: 17}.with(udp(5353, 5353, m)))
	}, open, true},
	{"a datagram through the router", func(m []byte) []byte {
		return ip4To(macR, v4{src: ipA, dst: hostOutside, proto: 17}, udp(7050, 7050, m))
	}, outside, true},
	{"an echo request", func(m []byte) []byte {
		return ip4To(macB, v4{src: ipA, dst: ipB, proto: 1}, icmp4(8, 0, u16(1), u16(1), m))
	}, open, true},
	{"a closed port", func(m []byte) []byte {
		return ip4To(macC, v4{src: ipA, dst: ipC, proto: 17}, udp(7050, 7050, m))
	}, nobody, false},
}

var linkKinds = []kind{
	{"unknown MAC", func(m []byte) []byte { return eth(macB, macX, 0x0800, plain4(ipA, m)) }, nobody, false},
	{"unknown MAC by broadcast", func(m []byte) []byte { return eth(everyone, macX, 0x0800, plain4(ipA, m)) }, nobody, false},
	{"unknown MAC over IPv6", func(m []byte) []byte { return eth(macB, macX, 0x86dd, plain6(ip6A, m)) }, nobody, false},
	{"neighbour's MAC", func(m []byte) []byte { return eth(everyone, macB, 0x0800, plain4(ipA, m)) }, nobody, false},
	{"router's MAC", func(m []byte) []byte { return eth(macB, macR, 0x0800, plain4(ipA, m)) }, nobody, false},
	{"multicast MAC as source", func(m []byte) []byte { return eth(macB, "01:00:5e:00:00:01", 0x0800, plain4(ipA, m)) }, nobody, false},
	{"broadcast as source", func(m []byte) []byte { return eth(macB, everyone, 0x0800, plain4(ipA, m)) }, nobody, false},
	{"no MAC as source", func(m []byte) []byte { return eth(macB, "00:00:00:00:00:00", 0x0800, plain4(ipA, m)) }, nobody, false},
	{"VRRP's virtual MAC", func(m []byte) []byte {
		return eth("01:00:5e:00:00:12", "00:00:5e:00:01:01", 0x0800, v4{src: ipA, dst: "224.0.0.18", proto: 112, ttl: 255}.with(m))
	}, nobody, false},
	{"unknown MAC, unknown type", func(m []byte) []byte { return eth(everyone, macX, 0x88b5, m) }, nobody, false},
	{"unknown type", func(m []byte) []byte { return toAll(0x88b5, m) }, nobody, false},
	{"LLDP", func(m []byte) []byte { return eth("01:80:c2:00:00:0e", macA, 0x88cc, []byte{2, 7, 4}, mac(macA), m) }, nobody, false},
	{"spanning tree", func(m []byte) []byte {
		return llc("01:80:c2:00:00:00", macA, []byte{0x42, 0x42, 3, 0, 0, 0, 0, 0}, make([]byte, 30), m)
	}, nobody, false},
	{"CDP", func(m []byte) []byte {
		return llc("01:00:0c:cc:cc:cc", macA, []byte{0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0, 2, 180, 0, 0}, m)
	}, nobody, false},
	{"IPX in an 802.3 frame", func(m []byte) []byte { return llc(everyone, macA, []byte{0xff, 0xff}, make([]byte, 28), m) }, nobody, false},
	{"802.1X", func(m []byte) []byte { return eth("01:80:c2:00:00:03", macA, 0x888e, []byte{1, 1, 0, 0}, m) }, nobody, false},
	{"LACP", func(m []byte) []byte {
		return eth("01:80:c2:00:00:02", macA, 0x8809, []byte{1, 1}, make([]byte, 100), m)
	}, nobody, false},
	{"pause", func(m []byte) []byte {
		return eth("01:80:c2:00:00:01", macA, 0x8808, []byte{0, 1, 0xff, 0xff}, make([]byte, 40), m)
	}, nobody, false},
	{"precision time", func(m []byte) []byte { return eth("01:1b:19:00:00:00", macA, 0x88f7, make([]byte, 44), m) }, nobody, false},
	{"MPLS", func(m []byte) []byte { return toB(0x8847, []byte{0, 1, 1, 64}, plain4(ipX, m)) }, nobody, false},
	{"MPLS multicast", func(m []byte) []byte { return toAll(0x8848, []byte{0, 1, 1, 64}, plain4(ipX, m)) }, nobody, false},
	{"PPPoE discovery", func(m []byte) []byte { return toAll(0x8863, []byte{0x11, 7, 0, 0, 0, 0}, m) }, nobody, false},
	{"PPPoE session", func(m []byte) []byte { return toB(0x8864, []byte{0x11, 0, 0, 1, 0, 60, 0, 0x21}, plain4(ipX, m)) }, nobody, false},
	{"NSH", func(m []byte) []byte {
		return toB(0x894f, []byte{0, 0xc2, 2, 1, 0, 0, 1, 1, 0, 0, 0, 0}, plain4(ipX, m))
	}, nobody, false},
	{"Ethernet in Ethernet", func(m []byte) []byte { return toB(0x6558, eth(macB, macR, 0x0800, plain4(ipX, m))) }, nobody, false},
	{"a provider's Ethernet", func(m []byte) []byte { return toB(0x88e7, []byte{0, 0, 0, 1}, eth(macB, macR, 0x0800, plain4(ipX, m))) }, nobody, false},
	{"loopback test", func(m []byte) []byte { return toAll(0x9000, []byte{0, 0, 1, 0}, m) }, nobody, false},
	{"a runt", func(m []byte) []byte { return cat(mac(everyone), mac(macX), m) }, nobody, false},
	{"VLAN tag", func(m []byte) []byte { return tagged(toB(0x0800, plain4(ipA, m)), tag(0x8100, 7)) }, nobody, false},
	{"VLAN tag 0", func(m []byte) []byte { return tagged(toB(0x0800, plain4(ipA, m)), tag(0x8100, 0xe000)) }, nobody, false},
	{"VLAN tag, IPv6", func(m []byte) []byte { return tagged(toB(0x86dd, plain6(ip6A, m)), tag(0x8100, 7)) }, nobody, false},
	{"VLAN tag, forged inside", func(m []byte) []byte { return tagged(eth(everyone, macX, 0x0800, plain4(ipX, m)), tag(0x8100, 7)) }, nobody, false},
	{"two VLAN tags", func(m []byte) []byte { return tagged(toB(0x0800, plain4(ipA, m)), tag(0x8100, 7), tag(0x8100, 8)) }, nobody, false},
	{"QinQ", func(m []byte) []byte { return tagged(toB(0x0800, plain4(ipA, m)), tag(0x88a8, 7), tag(0x8100, 8)) }, nobody, false},
	{"old QinQ", func(m []byte) []byte { return tagged(toB(0x0800, plain4(ipA, m)), tag(0x9100, 7), tag(0x8100, 8)) }, nobody, false},
	{"tagged ARP", func(m []byte) []byte {
		return tagged(cat(arp(everyone, macA, 2, macA, ipR, macA, ipR), m), tag(0x8100, 1))
	}, nobody, false},
}

var arpKinds = []kind{
	{"answer for a neighbour", func(m []byte) []byte { return cat(arp(macC, macA, 2, macA, ipB, macC, ipC), m) }, nobody, false},
	{"answer for the router", func(m []byte) []byte { return cat(arp(macB, macA, 2, macA, ipR, macB, ipB), m) }, nobody, false},
	{"answer for metadata", func(m []byte) []byte { return cat(arp(macB, macA, 2, macA, ipM, macB, ipB), m) }, nobody, false},
	{"answer to the router for a neighbour", func(m []byte) []byte { return cat(arp(macR, macA, 2, macA, ipB, macR, ipR), m) }, nobody, false},
	{"answer to the router for nobody", func(m []byte) []byte { return cat(arp(macR, macA, 2, macA, ipX, macR, ipR), m) }, nobody, false},
	{"gratuitous answer for the router", func(m []byte) []byte { return cat(arp(everyone, macA, 2, macA, ipR, everyone, ipR), m) }, nobody, false},
	{"gratuitous request for the router", func(m []byte) []byte {
		return cat(arp(everyone, macA, 1, macA, ipR, "00:00:00:00:00:00", ipR), m)
	}, nobody, false},
	{"gratuitous request for a neighbour", func(m []byte) []byte {
		return cat(arp(everyone, macA, 1, macA, ipB, "00:00:00:00:00:00", ipB), m)
	}, nobody, false},
	{"own address at another MAC", func(m []byte) []byte { return cat(arp(everyone, macA, 2, macX, ipA, everyone, ipA), m) }, nobody, false},
	{"router's address at another MAC", func(m []byte) []byte { return cat(arp(everyone, macA, 2, macX, ipR, everyone, ipR), m) }, nobody, false},
	{"from another MAC", func(m []byte) []byte { return cat(arp(everyone, macX, 2, macX, ipX, everyone, ipX), m) }, nobody, false},
	{"in the router's name", func(m []byte) []byte { return cat(arp(everyone, macR, 2, macR, ipR, everyone, ipR), m) }, nobody, false},
	{"from an address outside", func(m []byte) []byte {
		return cat(arp(everyone, macA, 1, macA, hostOutside, "00:00:00:00:00:00", ipB), m)
	}, nobody, false},
	{"a reverse request", func(m []byte) []byte {
		return toAll(0x8035, u16(1), u16(0x0800), []byte{6, 4}, u16(3), mac(macX), ip(ipX), mac(macX), ip(ipX), m)
	}, nobody, false},
	{"an inverse answer", func(m []byte) []byte { return cat(arp(everyone, macA, 9, macX, ipR, everyone, ipB), m) }, nobody, false},
}

var ip4Kinds = []kind{
	{"neighbour's address", func(m []byte) []byte { return toB(0x0800, plain4(ipC, m)) }, nobody, false},
	{"the receiver's own address", func(m []byte) []byte { return toB(0x0800, plain4(ipB, m)) }, nobody, false},
	{"router's address", func(m []byte) []byte { return toB(0x0800, plain4(ipR, m)) }, nobody, false},
	{"nobody's address", func(m []byte) []byte { return toB(0x0800, plain4(ipX, m)) }, nobody, false},
	{"nobody's address by broadcast", func(m []byte) []byte { return toAll(0x0800, plain4(ipX, m)) }, nobody, false},
	{"an address outside", func(m []byte) []byte { return toB(0x0800, plain4("198.51.100.1", m)) }, nobody, false},
	{"metadata's address", func(m []byte) []byte { return toB(0x0800, plain4("169.254.169.254", m)) }, nobody, false},
	{"loopback address", func(m []byte) []byte { return toB(0x0800, plain4("127.0.0.1", m)) }, nobody, false},
	{"no address", func(m []byte) []byte { return toB(0x0800, plain4("0.0.0.0", m)) }, nobody, false},
	{"broadcast as source", func(m []byte) []byte { return toB(0x0800, plain4(every4, m)) }, nobody, false},
	{"multicast as source", func(m []byte) []byte { return toB(0x0800, plain4("224.0.0.1", m)) }, nobody, false},
	{"through the router as another", func(m []byte) []byte {
		return ip4To(macR, v4{src: ipX, dst: hostOutside, proto: 17}, udp(7050, 7050, m))
	}, nobody, false},
	{"through the router as the host", func(m []byte) []byte {
		return ip4To(macR, v4{src: hostOutside, dst: "172.24.4.10", proto: 17}, udp(7050, 7050, m))
	}, nobody, false},
	{"a forged first fragment", func(m []byte) []byte {
		return toB(0x0800, v4{src: ipX, dst: ipB, proto: 17, id: 7, fragment: 0x2000}.with(udp(7050, 7050, m)))
	}, nobody, false},
	{"a forged later fragment", func(m []byte) []byte {
		return toB(0x0800, v4{src: ipX, dst: ipB, proto: 17, id: 7, fragment: 2}.with(m, m))
	}, nobody, false},
	{"a later fragment to a closed port", func(m []byte) []byte {
		return ip4To(macC, v4{src: ipA, dst: ipC, proto: 17, id: 8, fragment: 1}, udp(7050, 7050, m))
	}, nobody, false},
	{"a tiny first fragment to a closed port", func(m []byte) []byte {
		return ip4To(macC, v4{src: ipA, dst: ipC, proto: 6, id: 9, fragment: 0x2000}, m)
	}, nobody, false},
	{"strict source route as another", func(m []byte) []byte {
		return toB(0x0800, v4{src: ipR, dst: ipB, proto: 17, options: cat([]byte{137, 7, 4}, ip(ipA), []byte{0})}.with(udp(7050, 7050, m)))
	}, nobody, false},
	{"source route from itself", func(m []byte) []byte { // honest, and of no use: guests and hosts do not follow it
		return toB(0x0800, v4{src: ipA, dst: ipB, proto: 17, options: cat([]byte{131, 7, 4}, ip(ipR), []byte{0})}.with(udp(7050, 7050, m)))
	}, open, false},
	{"version 6 in an IPv4 frame", func(m []byte) []byte { return toB(0x0800, plain6(ip6X, m)) }, nobody, false},
	{"a header shorter than there is", func(m []byte) []byte {
		p := plain4(ipX, m)
		p[0] = 0x43
		return toB(0x0800, p)
	}, nobody, false},
	{"longer than the frame", func(m []byte) []byte {
		p := plain4(ipX, m)
		p[2], p[3] = 0x40, 0
		return toB(0x0800, p)
	}, nobody, false},
	{"IPv4 in IPv4, forged outside", func(m []byte) []byte {
		return toB(0x0800, v4{src: ipX, dst: ipB, proto: 4}.with(plain4(ipA, m)))
	}, nobody, false},
	{"GRE with a frame in it, forged", func(m []byte) []byte {
		return toB(0x0800, v4{src: ipR, dst: ipB, proto: 47}.with([]byte{0, 0, 0x65, 0x58}, eth(macB, macR, 0x0800, plain4(ipX, m))))
	}, nobody, false},
	{"VXLAN, forged", func(m []byte) []byte {
		return toB(0x0800, v4{src: ipX, dst: ipB, proto: 17}.with(udp(50000, 4789, cat([]byte{8, 0, 0, 0, 0, 0, 1, 0}, eth(macB, macR, 0x0800, plain4(ipX, m))))))
	}, nobody, false},
	{"GENEVE to the host's end of tunnels", func(m []byte) []byte {
		return ip4To(macR, v4{src: ipA, dst: tunnelEnd, proto: 17}, udp(50000, 6081, cat([]byte{0, 0, 0x65, 0x58, 0, 0, 1, 0}, eth(macB, macR, 0x0800, plain4(ipX, m)))))
	}, nobody, false},
	{"DHCP offer", func(m []byte) []byte {
		return ip4To(macB, v4{src: ipA, dst: ipB, proto: 17}, udp(67, 68, cat(bootp(2, macB, ipB, ipA, 2), m)))
	}, nobody, false},
	{"DHCP acknowledgement to all", func(m []byte) []byte {
		return ip4To(everyone, v4{src: ipA, dst: every4, proto: 17}, udp(67, 68, cat(bootp(2, macB, ipX, ipA, 5), m)))
	}, nobody, false},
	{"DHCP offer in the router's name", func(m []byte) []byte {
		return ip4To(everyone, v4{src: ipR, dst: every4, proto: 17}, udp(67, 68, cat(bootp(2, macB, ipX, ipR, 2), m)))
	}, nobody, false},
	{"DHCP request", func(m []byte) []byte { // OVN answers it; it goes nowhere
		return ip4To(everyone, v4{src: "0.0.0.0", dst: every4, proto: 17}, udp(68, 67, cat(bootp(1, macA, "0.0.0.0", ipR, 3), m)))
	}, nobody, false},
	{"DHCP request of another", func(m []byte) []byte {
		return eth(everyone, macX, 0x0800, v4{src: "0.0.0.0", dst: every4, proto: 17}.with(udp(68, 67, cat(bootp(1, macX, "0.0.0.0", ipR, 1), m))))
	}, nobody, false},
	{"ICMP redirect", func(m []byte) []byte {
		return ip4To(macB, v4{src: ipA, dst: ipB, proto: 1}, icmp4(5, 1, ip(ipA), plain4(ipB, m)))
	}, nobody, false},
	{"ICMP redirect in the router's name", func(m []byte) []byte {
		return ip4To(macB, v4{src: ipR, dst: ipB, proto: 1}, icmp4(5, 1, ip(ipA), plain4(ipB, m)))
	}, nobody, false},
	{"ICMP router advertisement", func(m []byte) []byte {
		return ip4To(everyone, v4{src: ipA, dst: every4, proto: 1}, icmp4(9, 0, []byte{1, 2, 7, 8}, ip(ipA), u16(0), u16(1), m))
	}, nobody, false},
	{"IGMP query as the router", func(m []byte) []byte {
		return eth("01:00:5e:00:00:01", macA, 0x0800, v4{src: ipR, dst: "224.0.0.1", proto: 2, ttl: 1}.with(icmp4(0x11, 100, ip("0.0.0.0"), m)))
	}, nobody, false},
	{"RIP in the router's name", func(m []byte) []byte {
		return eth("01:00:5e:00:00:09", macA, 0x0800, v4{src: ipR, dst: "224.0.0.9", proto: 17, ttl: 1}.with(udp(520, 520, m)))
	}, nobody, false},
	{"a TCP reset in a neighbour's name", func(m []byte) []byte {
		return ip4To(macB, v4{src: ipC, dst: ipB, proto: 6}, tcpSyn(ipC, ipB, 7001, 40000), m)
	}, nobody, false},
}
