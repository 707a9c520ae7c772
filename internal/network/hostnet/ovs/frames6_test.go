package ovs_test

// advertisement is a neighbour's, of an address at a MAC.
func advertisement(src, dst, target, at string, rest ...[]byte) []byte {
	return icmp6(src, dst, 136, []byte{0x20, 0, 0, 0}, ip(target), linkOption(2, at), cat(rest...))
}

func solicitation(src, dst, target, at string, rest ...[]byte) []byte {
	return icmp6(src, dst, 135, []byte{0, 0, 0, 0}, ip(target), linkOption(1, at), cat(rest...))
}

func routerAdvertisement(src string, rest ...[]byte) []byte {
	prefix := cat([]byte{3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0}, ip("fd66::"))
	return icmp6(src, nodes6, 134, []byte{64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0}, prefix, linkOption(1, macA), cat(rest...))
}

// nonce carries a mark where a neighbour's message may have one.
func nonce(m []byte) []byte { return cat([]byte{14, 2}, m, make([]byte, 6)) }

func nd(dst string, h v6, rest ...[]byte) []byte {
	h.next = 58
	return ip6To(dst, h, rest...)
}

// cut makes two fragments of what follows the IPv6 header and puts a mark, if
// it is not there, into neither: the second one has it.
//
// None of them may pass, though a neighbour with Linux 6.18 would not fall for
// it: sent to its kernel by hand, past the switch, router advertisements had no
// effect in two fragments, in an atomic one, behind options with the header in
// either fragment, over a fragment that they overlap, and in packets whose length
// is zero or cuts them; whole ones did. An answer of DHCP in two IPv4 fragments
// did arrive, and did not without its first fragment, which is what the switch
// drops, nor over harmless ports that it overlaps.
func cut(dst string, h v6, next, at int, payload []byte, first bool, id int) []byte {
	h.next = 44
	if first {
		return ip6To(dst, h, fragment6(next, 0, 1, id), payload[:at])
	}
	return ip6To(dst, h, fragment6(next, at/8, 0, id), payload[at:])
}

var ip6Kinds = []kind{
	{"neighbour's address", func(m []byte) []byte { return toB(0x86dd, plain6(ip6C, m)) }, nobody, false},
	{"router's address", func(m []byte) []byte { return toB(0x86dd, plain6(ip6R, m)) }, nobody, false},
	{"router's link-local address", func(m []byte) []byte { return toB(0x86dd, plain6(llR, m)) }, nobody, false},
	{"another link-local address", func(m []byte) []byte { return toB(0x86dd, plain6("fe80::1", m)) }, nobody, false},
	{"nobody's address", func(m []byte) []byte { return toB(0x86dd, plain6(ip6X, m)) }, nobody, false},
	{"an address outside", func(m []byte) []byte { return toB(0x86dd, plain6("2001:db8::1", m)) }, nobody, false},
	{"loopback address", func(m []byte) []byte { return toB(0x86dd, plain6("::1", m)) }, nobody, false},
	{"no address", func(m []byte) []byte { return toB(0x86dd, plain6("::", m)) }, nobody, false},
	{"multicast as source", func(m []byte) []byte { return toB(0x86dd, plain6(nodes6, m)) }, nobody, false},
	{"IPv4-mapped address", func(m []byte) []byte { return toB(0x86dd, plain6("::ffff:10.1.0.1", m)) }, nobody, false},
	{"version 4 in an IPv6 frame", func(m []byte) []byte { return toB(0x86dd, plain4(ipX, m)) }, nobody, false},
	{"forged, behind hop-by-hop options", func(m []byte) []byte {
		return ip6To(macB, v6{src: ip6X, dst: ip6B}, hopByHop(17), udp6(ip6X, ip6B, 7050, 7050, m))
	}, nobody, false},
	{"forged, with nothing behind it", func(m []byte) []byte { return ip6To(macB, v6{src: ip6X, dst: ip6B, next: 59}, m) }, nobody, false},
	{"forged, in a routing header", func(m []byte) []byte {
		return ip6To(macB, v6{src: ip6X, dst: ip6B, next: 43}, routing0(17, ip6C), udp6(ip6X, ip6B, 7050, 7050, m))
	}, nobody, false},
	{"a forged first fragment", func(m []byte) []byte {
		return ip6To(macB, v6{src: ip6X, dst: ip6B, next: 44}, fragment6(17, 0, 1, 1), udp6(ip6X, ip6B, 7050, 7050, m))
	}, nobody, false},
	{"a forged later fragment", func(m []byte) []byte {
		return ip6To(macB, v6{src: ip6X, dst: ip6B, next: 44}, fragment6(17, 8, 0, 1), m, m)
	}, nobody, false},
	{"IPv4 in IPv6, forged outside", func(m []byte) []byte { return ip6To(macB, v6{src: ip6X, dst: ip6B, next: 4}, plain4(ipX, m)) }, nobody, false},
	{"advertisement of a neighbour's address", func(m []byte) []byte {
		return nd(nodes6MAC, v6{src: ip6A, dst: nodes6}, advertisement(ip6A, nodes6, ip6B, macA, nonce(m)))
	}, nobody, false},
	{"advertisement of the router's address", func(m []byte) []byte {
		return nd(macB, v6{src: llA, dst: ip6B}, advertisement(llA, ip6B, ip6R, macA, nonce(m)))
	}, nobody, false},
	{"advertisement of the router's link-local address", func(m []byte) []byte {
		return nd(macB, v6{src: llA, dst: ip6B}, advertisement(llA, ip6B, llR, macA, nonce(m)))
	}, nobody, false},
	{"advertisement to the router of nobody's address", func(m []byte) []byte {
		return nd(macR, v6{src: llA, dst: llR}, advertisement(llA, llR, ip6X, macA, nonce(m)))
	}, nobody, false},
	{"advertisement in a neighbour's name", func(m []byte) []byte {
		return nd(nodes6MAC, v6{src: ip6B, dst: nodes6}, advertisement(ip6B, nodes6, ip6B, macA, nonce(m)))
	}, nobody, false},
	{"own address at another MAC", func(m []byte) []byte {
		return nd(nodes6MAC, v6{src: ip6A, dst: nodes6}, advertisement(ip6A, nodes6, ip6A, macX, nonce(m)))
	}, nobody, false},
	{"solicitation with another MAC", func(m []byte) []byte {
		return nd("33:33:ff:00:00:66", v6{src: ip6A, dst: "ff02::1:ff00:66"}, solicitation(ip6A, "ff02::1:ff00:66", ip6X, macX, nonce(m)))
	}, open | closed, false}, // leads its own address astray, nobody else's
	{"solicitation in another's name", func(m []byte) []byte {
		return nd("33:33:ff:00:00:66", v6{src: ip6B, dst: "ff02::1:ff00:66"}, solicitation(ip6B, "ff02::1:ff00:66", ip6X, macA, nonce(m)))
	}, nobody, false},
	{"advertisement behind hop-by-hop options", func(m []byte) []byte {
		return ip6To(macB, v6{src: llA, dst: ip6B}, hopByHop(58), advertisement(llA, ip6B, ip6R, macA, nonce(m)))
	}, nobody, false},
	{"advertisement behind destination options", func(m []byte) []byte {
		return ip6To(macB, v6{src: llA, dst: ip6B, next: 60}, hopByHop(58), advertisement(llA, ip6B, ip6R, macA, nonce(m)))
	}, nobody, false},
	{"advertisement behind a lone fragment header", func(m []byte) []byte {
		return ip6To(macB, v6{src: llA, dst: ip6B, next: 44}, fragment6(58, 0, 0, 2), advertisement(llA, ip6B, ip6R, macA, nonce(m)))
	}, nobody, false},
	{"advertisement in fragments, the first", func(m []byte) []byte {
		return cut(macB, v6{src: llA, dst: ip6B}, 58, 8, advertisement(llA, ip6B, ip6R, macA, nonce(m)), true, 3)
	}, nobody, false},
	{"advertisement in fragments, the second", func(m []byte) []byte {
		return cut(macB, v6{src: llA, dst: ip6B}, 58, 8, advertisement(llA, ip6B, ip6R, macA, nonce(m)), false, 3)
	}, nobody, false},
	{"router advertisement", func(m []byte) []byte {
		return nd(nodes6MAC, v6{src: llA, dst: nodes6}, routerAdvertisement(llA, nonce(m)))
	}, nobody, false},
	{"router advertisement in the router's name", func(m []byte) []byte {
		return nd(nodes6MAC, v6{src: llR, dst: nodes6}, routerAdvertisement(llR, nonce(m)))
	}, nobody, false},
	{"router advertisement behind hop-by-hop options", func(m []byte) []byte {
		return ip6To(nodes6MAC, v6{src: llA, dst: nodes6}, hopByHop(58), routerAdvertisement(llA, nonce(m)))
	}, nobody, false},
	{"router advertisement behind destination options", func(m []byte) []byte {
		return ip6To(nodes6MAC, v6{src: llA, dst: nodes6, next: 60}, hopByHop(58), routerAdvertisement(llA, nonce(m)))
	}, nobody, false},
	{"router advertisement in fragments, the first", func(m []byte) []byte {
		return cut(nodes6MAC, v6{src: llA, dst: nodes6}, 58, 8, routerAdvertisement(llA, nonce(m)), true, 4)
	}, nobody, false},
	{"router advertisement in fragments, the second", func(m []byte) []byte {
		return cut(nodes6MAC, v6{src: llA, dst: nodes6}, 58, 8, routerAdvertisement(llA, nonce(m)), false, 4)
	}, open, false}, // of no use without the first
	{"options in the first fragment, router advertisement in the second", func(m []byte) []byte {
		return cut(nodes6MAC, v6{src: llA, dst: nodes6}, 60, 8, cat(hopByHop(58), routerAdvertisement(llA, nonce(m))), true, 5)
	}, nobody, false},
	{"the second to that", func(m []byte) []byte {
		return cut(nodes6MAC, v6{src: llA, dst: nodes6}, 60, 8, cat(hopByHop(58), routerAdvertisement(llA, nonce(m))), false, 5)
	}, open, false},
	{"redirect", func(m []byte) []byte {
		return nd(macB, v6{src: llA, dst: ip6B}, icmp6(llA, ip6B, 137, []byte{0, 0, 0, 0}, ip(llA), ip("2001:db8::1"), nonce(m)))
	}, nobody, false},
	{"redirect in the router's name", func(m []byte) []byte {
		return nd(macB, v6{src: llR, dst: ip6B}, icmp6(llR, ip6B, 137, []byte{0, 0, 0, 0}, ip(llA), ip("2001:db8::1"), nonce(m)))
	}, nobody, false},
	{"DHCPv6 answer", func(m []byte) []byte {
		return ip6To(macB, v6{src: llA, dst: llB, next: 17}, udp6(llA, llB, 547, 546, cat([]byte{7, 1, 2, 3}, m)))
	}, nobody, false},
	{"DHCPv6 answer in the router's name", func(m []byte) []byte {
		return ip6To(macB, v6{src: llR, dst: llB, next: 17}, udp6(llR, llB, 547, 546, cat([]byte{2, 1, 2, 3}, m)))
	}, nobody, false},
	{"listener query in the router's name", func(m []byte) []byte {
		return ip6To(nodes6MAC, v6{src: llR, dst: nodes6, hops: 1}, hopByHop(58), icmp6(llR, nodes6, 130, u16(1000), u16(0), ip("::"), m))
	}, nobody, false},
	{"a closed port", func(m []byte) []byte {
		return ip6To(macC, v6{src: ip6A, dst: ip6C, next: 17}, udp6(ip6A, ip6C, 7050, 7050, m))
	}, nobody, false},
	{"a closed port, behind destination options", func(m []byte) []byte {
		return ip6To(macC, v6{src: ip6A, dst: ip6C, next: 60}, hopByHop(17), udp6(ip6A, ip6C, 7050, 7050, m))
	}, nobody, false},
	{"a closed port, in a routing header", func(m []byte) []byte {
		return ip6To(macC, v6{src: ip6A, dst: ip6C, next: 43}, routing0(17, ip6B), udp6(ip6A, ip6C, 7050, 7050, m))
	}, nobody, false},
	{"a closed port, a later fragment", func(m []byte) []byte {
		return ip6To(macC, v6{src: ip6A, dst: ip6C, next: 44}, fragment6(17, 1, 0, 6), udp6(ip6A, ip6C, 7050, 7050, m))
	}, nobody, false},
}
