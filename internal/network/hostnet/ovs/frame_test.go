package ovs_test

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// The parts of frames, by hand: what libraries make is what is well-formed.

func mac(s string) []byte {
	m, _ := net.ParseMAC(s) // a test's own constants
	return m
}

func ip(s string) []byte { return netip.MustParseAddr(s).AsSlice() }

func cat(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func u16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }

func eth(dst, src string, kind int, rest ...[]byte) []byte {
	return cat(mac(dst), mac(src), u16(kind), cat(rest...))
}

// llc is an IEEE 802.3 frame: a length where others have a type.
func llc(dst, src string, rest ...[]byte) []byte {
	return eth(dst, src, len(cat(rest...)), rest...)
}

// tagged puts VLAN tags into a frame.
func tagged(frame []byte, tags ...[]byte) []byte {
	return cat(frame[:12], cat(tags...), frame[12:])
}

func tag(kind, vlan int) []byte { return cat(u16(kind), u16(vlan)) }

func sum(parts ...[]byte) []byte {
	b, s := cat(parts...), uint32(0)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	for i := 0; i < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return u16(int(^s))
}

// v4 is an IPv4 packet. fragment holds flags and offset.
type v4 struct {
	src, dst string
	proto    int
	fragment int
	id       int
	options  []byte // a multiple of four
	ttl      int
}

func (h v4) with(payload ...[]byte) []byte {
	body := cat(payload...)
	if h.ttl == 0 {
		h.ttl = 64
	}
	head := cat([]byte{byte(0x45 + len(h.options)/4), 0}, u16(20+len(h.options)+len(body)), u16(h.id), u16(h.fragment), []byte{byte(h.ttl), byte(h.proto), 0, 0}, ip(h.src), ip(h.dst), h.options)
	copy(head[10:], sum(head))
	return cat(head, body)
}

// v6 is an IPv6 packet.
type v6 struct {
	src, dst string
	next     int
	hops     int
}

func (h v6) with(payload ...[]byte) []byte {
	body := cat(payload...)
	if h.hops == 0 {
		h.hops = 255
	}
	return cat([]byte{0x60, 0, 0, 0}, u16(len(body)), []byte{byte(h.next), byte(h.hops)}, ip(h.src), ip(h.dst), body)
}

func udp(from, to int, payload []byte) []byte {
	return cat(u16(from), u16(to), u16(8+len(payload)), u16(0), payload)
}

// udp6 needs a checksum.
func udp6(src, dst string, from, to int, payload []byte) []byte {
	b := udp(from, to, payload)
	copy(b[6:], sum(ip(src), ip(dst), u16(0), u16(len(b)), u16(0), u16(17), b))
	return b
}

func tcpSyn(src, dst string, from, to int) []byte {
	b := cat(u16(from), u16(to), []byte{0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0})
	copy(b[16:], sum(ip(src), ip(dst), u16(6), u16(len(b)), b))
	return b
}

func icmp4(kind, code int, rest ...[]byte) []byte {
	b := cat([]byte{byte(kind), byte(code), 0, 0}, cat(rest...))
	copy(b[2:], sum(b))
	return b
}

func icmp6(src, dst string, kind int, rest ...[]byte) []byte {
	b := cat([]byte{byte(kind), 0, 0, 0}, cat(rest...))
	copy(b[2:], sum(ip(src), ip(dst), u16(0), u16(len(b)), u16(0), u16(58), b))
	return b
}

// linkOption is ICMPv6's source (1) or target (2) link-layer address.
func linkOption(kind int, m string) []byte { return cat([]byte{byte(kind), 1}, mac(m)) }

// extension headers, each before what follows.
func hopByHop(next int) []byte { return []byte{byte(next), 0, 1, 4, 0, 0, 0, 0} }

func routing0(next int, via string) []byte {
	return cat([]byte{byte(next), 2, 0, 1, 0, 0, 0, 0}, ip(via))
}

func fragment6(next, offset, more, id int) []byte {
	return cat([]byte{byte(next), 0}, u16(offset<<3|more), []byte{0, 0}, u16(id))
}

func arp(dst, src string, op int, senderMAC, sender, targetMAC, target string) []byte {
	return eth(dst, src, 0x0806, u16(1), u16(0x0800), []byte{6, 4}, u16(op), mac(senderMAC), ip(sender), mac(targetMAC), ip(target))
}

// bootp is a DHCP message of a server (2) or client (1).
func bootp(op int, client, yours, server string, kind int) []byte {
	b := make([]byte, 240)
	b[0], b[1], b[2] = byte(op), 1, 6
	b[10] = 0x80
	copy(b[16:], ip(yours))
	copy(b[20:], ip(server))
	copy(b[28:], mac(client))
	copy(b[236:], []byte{99, 130, 83, 99})
	return cat(b, []byte{53, 1, byte(kind), 54, 4}, ip(server), []byte{3, 4}, ip(server), []byte{255})
}
