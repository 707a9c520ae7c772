package ovs_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/test/await"
	"github.com/mekcloud/mek/test/report"
)

// arena is a network whose ports are open at their ends: frames are written and
// read as a guest's process would.
type arena struct {
	*host
	t        *testing.T
	w        *world
	attacker *os.File
	answers  *observer // what the attacker gets
	at       map[where]*observer
	never    []*observer // who may see none of it: another network, the host's links
	next     int
}

func newArena(t *testing.T) *arena {
	h := startHost(t)
	w := newWorldOf(h, network.Subnet{Standard: named("sub-6"), NetworkID: "11111111-net", IPVersion: 6, CIDR: netip.MustParsePrefix("fd00:1::/64"),
		Gateway: netip.MustParseAddr(ip6R), EnableDHCP: true, IPv6AddressMode: "dhcpv6-stateful", IPv6RAMode: "dhcpv6-stateful"})
	a := &arena{host: h, t: t, w: w, at: map[where]*observer{}}
	all := network.SecurityGroup{Standard: named("group-open"), Stateful: true}
	h.apply(network.GroupScope(all.ID), ovn.RenderGroup(all, []network.Rule{
		{Standard: named("o-out4"), Direction: network.Egress, EtherType: network.IPv4}, {Standard: named("o-out6"), Direction: network.Egress, EtherType: network.IPv6},
		{Standard: named("o-in4"), Direction: network.Ingress, EtherType: network.IPv4}, {Standard: named("o-in6"), Direction: network.Ingress, EtherType: network.IPv6}}))
	port := func(name, mac, ip4, ip6, group string) *os.File {
		v := w.port(name, mac, ip4)
		v.Port.FixedIPs = append(v.Port.FixedIPs, fixed("sub-6", ip6)...)
		v.Port.SecurityGroups = []string{group}
		return h.wire(v, &w.metadata)
	}
	a.attacker = port("aaaaaaaa-port", macA, ipA, ip6A, all.ID)
	a.at[open] = observeTap(t, "the neighbour", port("bbbbbbbb-port", macB, ipB, ip6B, all.ID))
	a.at[closed] = observeTap(t, "the closed neighbour", port("cccccccc-port", macC, ipC, ip6C, w.group.ID))
	foreign := ovn.NetworkView{Network: network.Network{Standard: named("44444444-net"), MTU: 1442, NetworkType: network.TypeGeneve, AdminStateUp: true}, Subnets: []network.Subnet{w.subnet}}
	foreign.Subnets[0].NetworkID = foreign.Network.ID
	h.apply(network.NetworkScope(foreign.Network.ID), ovn.RenderNetwork(foreign))
	stranger := w.port("dddddddd-port", macB, ipB)
	stranger.Network, stranger.Port.NetworkID, stranger.Port.SecurityGroups = foreign, foreign.Network.ID, []string{all.ID}
	a.never = append(a.never, observeTap(t, "another project's port", h.wire(stranger, nil)))
	var taps []string
	states, err := h.drv.Inventory(t.Context())
	for _, s := range states {
		taps = append(taps, s.Tap)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := h.drv.Metadata(t.Context(), h.ports); err != nil {
		t.Fatal(err)
	}
	for _, o := range observeHost(t, h.cfg.ExternalBridge(), taps...) {
		if o.name == "outside" {
			a.at[outside] = o
		} else {
			a.never = append(a.never, o)
		}
	}
	a.answers = observeTap(t, "the sender", a.attacker)
	await.Nil(t, "the network to carry frames", func() error {
		a.send(honestKinds[0].make(mark(1 << 20)))
		a.send(honestKinds[6].make(mark(1 << 20)))
		if len(a.at[open].seen()) == 0 || a.marked(a.at[outside])[1<<20] == 0 {
			return fmt.Errorf("it does not yet")
		}
		return nil
	})
	return a
}

func (a *arena) send(frame []byte) {
	a.t.Helper()
	if _, err := a.attacker.Write(frame); err != nil {
		a.t.Fatal(err)
	}
}

// marked counts what an observer saw of each marked frame.
func (a *arena) marked(o *observer) map[int]int {
	out := map[int]int{}
	for _, f := range o.seen() {
		if i := markIn(f); i >= 0 {
			out[i]++
		}
	}
	return out
}

func (a *arena) everybody() []*observer {
	all := append([]*observer{}, a.never...)
	for _, o := range a.at {
		all = append(all, o)
	}
	return all
}

// pass waits until the switch has taken what was sent.
func (a *arena) pass(i int) {
	a.t.Helper()
	seen := func() bool {
		all := a.at[open].seen()
		return slices.ContainsFunc(all[max(0, len(all)-20):], func(f []byte) bool { return markIn(f) == 1<<21+i })
	}
	await.Nil(a.t, "frames to pass", func() error {
		if seen() {
			return nil
		}
		a.send(honestKinds[0].make(mark(1<<21 + i)))
		return errNoise
	})
}

// deliver sends what must arrive until it does: a busy switch may lose a frame.
func (a *arena) deliver(sent []kind) {
	a.t.Helper()
	for i, k := range sent {
		for place, o := range a.at {
			if !k.must || k.may&place == 0 {
				continue
			}
			await.Nil(a.t, k.name+" at "+o.name, func() error {
				if a.marked(o)[i] > 0 {
					return nil
				}
				a.send(k.make(mark(i)))
				return errNoise
			})
		}
	}
}

// finish sends an honest frame, which is seen when all before it have passed,
// and waits for what is on its way by slower ways.
func (a *arena) finish() {
	a.t.Helper()
	const last = 1<<20 + 1
	await.Nil(a.t, "the last frame", func() error {
		a.send(honestKinds[0].make(mark(last)))
		if a.marked(a.at[open])[last] == 0 {
			return errNoise
		}
		return nil
	})
	settle(a.t, a.everybody())
}

// TestSpoofedFrames (SEC-21, I-28): of more than a hundred kinds of frames that
// a port must not send, none is seen by a neighbour, another project, the
// external network or the host, and what it may send arrives.
func TestSpoofedFrames(t *testing.T) {
	run := report.Start(t, "S", 1)
	a := newArena(t)
	kinds := map[string][]kind{"honest": honestKinds, "link": linkKinds, "ARP": arpKinds, "IPv4": ip4Kinds, "IPv6": ip6Kinds}
	var sent []kind
	for what, list := range kinds {
		for _, k := range list {
			k.name = what + ": " + k.name
			sent = append(sent, k)
		}
	}
	forged := 0
	for i, k := range sent {
		if k.may == nobody {
			forged++
		}
		a.send(k.make(mark(i)))
	}
	a.deliver(sent)
	a.finish()
	run.Operations(len(sent))
	run.Fault("frame", forged)
	if forged < 60 {
		t.Errorf("only %d kinds", forged)
	}
	for _, o := range a.never {
		for i, n := range a.marked(o) {
			if i < len(sent) {
				run.Violation("%s: %d at %s", sent[i].name, n, o.name)
			}
		}
	}
	for place, o := range a.at {
		seen := a.marked(o)
		for i, k := range sent {
			if seen[i] > 0 && k.may&place == 0 {
				run.Violation("%s: at %s", k.name, o.name)
			}
		}
	}
	a.nothingLearned(run)
	t.Logf("%d kinds of frames, %d forged", len(sent), forged)
}

// nothingLearned: routers and switches believe nothing that was forged.
func (a *arena) nothingLearned(run *report.Run) {
	a.t.Helper()
	// Its own IPv6 address a port can lead astray: OVN looks at MACs in answers only.
	honest := map[any]any{ipA: macA, ip6A: nil, llA: nil, hostOutside: nil}
	for _, table := range []string{"MAC_Binding", "FDB", "IGMP_Group"} {
		for _, row := range a.southbound(table) {
			if mac, ok := honest[row["ip"]]; !ok || mac != nil && mac != row["mac"] {
				run.Violation("%s has %v", table, row)
			}
		}
	}
}

// TestRandomFrames (SEC-21): whatever a port sends, what others see of it is
// from its own addresses.
func TestRandomFrames(t *testing.T) {
	run := report.Start(t, "S", report.Seed(t))
	a := newArena(t)
	random := rand.New(rand.NewPCG(run.Figures().Seed, 1))
	var all []kind
	for _, list := range [][]kind{honestKinds, linkKinds, arpKinds, ip4Kinds, ip6Kinds} {
		all = append(all, list...)
	}
	const n = 10_000
	sent := make([][]byte, n)
	for i := range n {
		frame := all[random.IntN(len(all))].make(mark(i))
		for range random.IntN(6) { // none: as it was
			switch at := random.IntN(len(frame)); random.IntN(4) {
			case 0:
				frame[at] ^= 1 << random.IntN(8)
			case 1:
				frame[at] = byte(random.Uint32())
			case 2:
				frame = cat(frame[:at], frame[min(len(frame), at+1+random.IntN(8)):])
			case 3:
				frame = cat(frame[:at], u16(int(random.Uint32())), frame[at:])
			}
			if len(frame) < 14 {
				frame = cat(frame, make([]byte, 14))
			}
		}
		if len(frame) <= 1442+14 {
			a.send(frame)
			sent[i] = frame
		}
		if i%100 == 99 {
			a.pass(i) // no more at once than queues hold
		}
	}
	a.finish()
	run.Operations(n)
	run.Fault("frame", n)
	for _, o := range a.never {
		for i := range a.marked(o) {
			if i < n {
				run.Violation("frame %d: at %s", i, o.name)
			}
		}
	}
	seen := 0
	for place, o := range a.at {
		if place == outside {
			continue // there it has the router's addresses
		}
		for _, f := range o.seen() {
			if i := markIn(f); i < 0 || i >= n || slices.ContainsFunc(sent, func(s []byte) bool { return routed(s, f) }) {
				continue
			}
			seen++
			if why := dishonest(f); why != "" {
				run.Violation("at %s: %s: %x\nof %x", o.name, why, f, sent[markIn(f)])
			}
		}
	}
	if seen < n/100 {
		t.Errorf("%d frames of %d were seen: hardly anything passes", seen, n)
	}
	a.nothingLearned(run)
	t.Logf("%d of %d frames were seen", seen, n)
}

// TestHostIsOutOfReach (SEC-24): the stack of the host takes no frame of a tap
// for its own, whatever it is addressed to, and answers none.
func TestHostIsOutOfReach(t *testing.T) {
	run := report.Start(t, "S", 1)
	a := newArena(t)
	states, err := a.drv.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var links []string // MACs of the host's end of things
	for _, name := range []string{states[0].Tap, a.cfg.Integration(), a.cfg.ExternalBridge(), a.cfg.MetadataBridge()} {
		for _, s := range states {
			if name == states[0].Tap && s.ID == "aaaaaaaa-port" {
				name = s.Tap
			}
		}
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		addresses, err := netlink.AddrList(link, netlink.FAMILY_ALL)
		if err != nil || (name != a.cfg.ExternalBridge() && name != a.cfg.MetadataBridge() && len(addresses) > 0) {
			t.Errorf("%s has addresses %v, error %v", name, addresses, err)
		}
		links = append(links, link.Attrs().HardwareAddr.String())
	}
	heard, err := net.ListenPacket("udp", ":7050")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = heard.Close() }()
	sent := 0
	for _, to := range append(links, everyone, nodes6MAC) {
		for _, at := range []string{hostOutside, a.cfg.MetadataListen().Addr().String(), tunnelEnd, every4, "169.254.169.254"} {
			for _, f := range [][]byte{
				arp(to, macA, 1, macA, ipA, "00:00:00:00:00:00", at),
				ip4To(to, v4{src: ipA, dst: at, proto: 1}, icmp4(8, 0, u16(1), u16(1))),
				ip4To(to, v4{src: ipA, dst: at, proto: 6}, tcpSyn(ipA, at, 40000, 22)),
				ip4To(to, v4{src: ipA, dst: at, proto: 17}, udp(7050, 7050, mark(1))),
				ip4To(to, v4{src: hostOutside, dst: at, proto: 17}, udp(7050, 7050, mark(1))),
				ip4To(to, v4{src: "0.0.0.0", dst: at, proto: 17}, udp(7050, 7050, mark(1))),
			} {
				a.send(f)
				sent++
			}
		}
		for _, at := range []string{nodes6, "::1", llR} {
			a.send(ip6To(to, v6{src: llA, dst: at, next: 17}, udp6(llA, at, 7050, 7050, mark(1))))
			a.send(nd(to, v6{src: llA, dst: at}, icmp6(llA, at, 128, u16(1), u16(1))))
			sent += 2
		}
	}
	a.finish()
	run.Operations(sent)
	if err := heard.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2000)
	if n, from, err := heard.ReadFrom(b); err == nil {
		run.Violation("the host heard %x from %s", b[:n], from)
	}
	for _, f := range a.answers.seen() {
		if len(f) > 12 && slices.Contains(links, net.HardwareAddr(f[6:12]).String()) {
			run.Violation("the host answers: %x", f)
		}
	}
}
