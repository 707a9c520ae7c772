package ovs_test

import (
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/test/await"
)

// counter counts the bytes of datagrams that reach a port of the guest.
func (g *guest) counter(port int) *atomic.Int64 {
	g.t.Helper()
	var c net.PacketConn
	if err := g.in(func() (err error) {
		c, err = net.ListenPacket("udp4", fmt.Sprintf("0.0.0.0:%d", port))
		return err
	}); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = c.Close() })
	n := &atomic.Int64{}
	go func() {
		b := make([]byte, 2048)
		for {
			got, _, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			n.Add(int64(got))
		}
	}()
	return n
}

// flood sends datagrams for a time.
func (g *guest) flood(to string, d time.Duration) {
	g.t.Helper()
	if err := g.in(func() error {
		c, err := net.Dial("udp4", to)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		b := make([]byte, 1000)
		for begun := time.Now(); time.Since(begun) < d; {
			_, _ = c.Write(b) // a full queue refuses: that is what a flood does
		}
		return nil
	}); err != nil {
		g.t.Fatal(err)
	}
}

// limits puts a QoS policy on a port: what it sends is held to the rate, and
// runs free again without the policy.
func limits(t *testing.T, h *host, w *world, a, b *guest, view ovn.PortView) {
	open := append(w.rules[:2:2], network.Rule{Standard: named("r-udp"), Direction: network.Ingress, EtherType: network.IPv4, Protocol: "udp", PortMin: ptr(7005), PortMax: ptr(7005)})
	h.apply(network.GroupScope(w.group.ID), ovn.RenderGroup(w.group, open))
	n := b.counter(7005)
	second := func() float64 { // Mbit that arrived of a flood of one second
		n.Store(0)
		a.flood("10.1.0.11:7005", time.Second)
		return float64(n.Load()) * 8 / 1e6
	}
	await.Nil(t, "the flood to pass", func() error {
		if got := second(); got < 10 {
			return fmt.Errorf("%.1f Mbit/s arrive", got)
		}
		return nil
	})
	view.Policy = &network.QoSPolicy{Rules: []network.QoSRule{{Kind: network.BandwidthLimit, Direction: network.Egress, Rate: 2000, Burst: 200}}}
	h.apply(network.PortScope(view.Port.ID), ovn.RenderPort(view))
	await.Nil(t, "the limit", func() error {
		got := second()
		if got > 4 {
			return fmt.Errorf("%.1f Mbit/s arrive", got)
		}
		t.Logf("%.2f Mbit/s arrive of what is limited to 2", got)
		return nil
	})
	view.Policy = nil
	h.apply(network.PortScope(view.Port.ID), ovn.RenderPort(view))
	await.Nil(t, "the flood to pass again", func() error {
		got := second()
		if got < 10 {
			return fmt.Errorf("%.1f Mbit/s arrive", got)
		}
		t.Logf("%.0f Mbit/s arrive without a limit", got)
		return nil
	})
	h.apply(network.GroupScope(w.group.ID), ovn.RenderGroup(w.group, w.rules))
}

// forwarding leads one port of a floating address to a guest.
func forwarding(t *testing.T, h *host) {
	v := ovn.FloatingView{Floating: network.FloatingIP{Standard: named("fip-2"), Address: netip.MustParseAddr("172.24.4.78"), RouterID: "router-1"},
		Forwardings: []network.Forwarding{{Protocol: "tcp", Fixed: netip.MustParseAddr("10.1.0.11"), InternalFirst: 7001, InternalLast: 7001, ExternalFirst: 8080, ExternalLast: 8080}}}
	h.apply(network.FloatingScope("fip-2"), ovn.RenderFloating(v))
	await.Nil(t, "the forwarded port from the host", func() error { _, err := ask("172.24.4.78:8080"); return err })
	if _, err := ask("172.24.4.78:7001"); err == nil {
		t.Error("a port that is not forwarded answers")
	}
	v.Forwardings = nil
	h.apply(network.FloatingScope("fip-2"), ovn.RenderFloating(v))
	await.Nil(t, "the forwarding to go", func() error {
		if _, err := ask("172.24.4.78:8080"); err == nil {
			return fmt.Errorf("still answers")
		}
		return nil
	})
}

// addressGroup opens a port to the addresses of a group, and only to them.
func addressGroup(t *testing.T, h *host, w *world, a *guest) {
	g := network.AddressGroup{Standard: named("ag-1"), Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.10/32")}}
	h.apply(network.AddressGroupScope(g.ID), ovn.RenderAddressGroup(g))
	rule := network.Rule{Standard: named("r-set"), Direction: network.Ingress, EtherType: network.IPv4, Protocol: "tcp", PortMin: ptr(7777), PortMax: ptr(7777), AddressGroupID: g.ID}
	h.apply(network.GroupScope(w.group.ID), ovn.RenderGroup(w.group, append(w.rules[:2:2], rule)))
	await.Nil(t, "the port for the group", func() error { _, err := a.ask("10.1.0.11:7777"); return err })
	g.Addresses = []netip.Prefix{netip.MustParsePrefix("10.1.0.99/32")}
	h.apply(network.AddressGroupScope(g.ID), ovn.RenderAddressGroup(g))
	await.Nil(t, "the port to close", func() error {
		if _, err := a.ask("10.1.0.11:7777"); err == nil {
			return fmt.Errorf("still open")
		}
		return nil
	})
	h.apply(network.GroupScope(w.group.ID), ovn.RenderGroup(w.group, w.rules))
	h.apply(network.AddressGroupScope(g.ID), nil)
}
