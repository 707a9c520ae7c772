package ovs_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/test/await"
)

func fixed(subnet, address string) []network.FixedIP {
	return []network.FixedIP{{SubnetID: subnet, Address: netip.MustParseAddr(address)}}
}

func named(id string) network.Standard { return network.Standard{ID: id, Name: id} }

// world is a tenant network behind a router with an external network.
type world struct {
	inner, outer     network.Network
	subnet, external network.Subnet
	metadata         network.Port
	group            network.SecurityGroup
	rules            []network.Rule
	subnet6          network.Subnet // with an id: the network has it, too
}

func newWorld(h *host) *world { return newWorldOf(h, network.Subnet{}) }

func newWorldOf(h *host, subnet6 network.Subnet) *world {
	w := &world{subnet6: subnet6,
		inner:    network.Network{Standard: named("11111111-net"), MTU: 1442, NetworkType: network.TypeGeneve, AdminStateUp: true},
		outer:    network.Network{Standard: named("22222222-ext"), MTU: 1500, NetworkType: network.TypeFlat, PhysicalNetwork: "public", External: true},
		subnet:   network.Subnet{Standard: named("sub-a"), NetworkID: "11111111-net", IPVersion: 4, CIDR: netip.MustParsePrefix("10.1.0.0/24"), Gateway: netip.MustParseAddr("10.1.0.1"), EnableDHCP: true, DNSNameservers: []string{"192.0.2.53"}},
		external: network.Subnet{Standard: named("sub-x"), NetworkID: "22222222-ext", IPVersion: 4, CIDR: netip.MustParsePrefix("172.24.4.0/24"), Gateway: netip.MustParseAddr("172.24.4.1")},
		metadata: network.Port{Standard: named("33333333-meta"), NetworkID: "11111111-net", MAC: "fa:16:3e:00:00:02", DeviceOwner: network.OwnerMetadata, AdminStateUp: true, FixedIPs: fixed("sub-a", "10.1.0.2")},
		group:    network.SecurityGroup{Standard: named("group-1"), Stateful: true},
	}
	w.rules = []network.Rule{
		{Standard: named("r-out"), Direction: network.Egress, EtherType: network.IPv4},
		{Standard: named("r-in"), Direction: network.Ingress, EtherType: network.IPv4, Protocol: "tcp", PortMin: ptr(7000), PortMax: ptr(7010)},
	}
	inner := w.view()
	outer := ovn.NetworkView{Network: w.outer, Subnets: []network.Subnet{w.external}}
	h.apply(ovn.GlobalScope, ovn.RenderGlobal())
	h.apply(network.NetworkScope(w.inner.ID), ovn.RenderNetwork(inner))
	h.apply(network.NetworkScope(w.outer.ID), ovn.RenderNetwork(outer))
	h.apply(network.GroupScope(w.group.ID), ovn.RenderGroup(w.group, w.rules))
	h.apply(network.PortScope(w.metadata.ID), ovn.RenderPort(ovn.PortView{Port: w.metadata, Network: inner}))
	leg := network.Port{Standard: named("port-leg"), NetworkID: w.inner.ID, MAC: "fa:16:3e:00:00:01", DeviceOwner: network.OwnerRouterInterface, AdminStateUp: true, FixedIPs: fixed("sub-a", "10.1.0.1")}
	if subnet6.ID != "" {
		leg.FixedIPs = append(leg.FixedIPs, fixed(subnet6.ID, subnet6.Gateway.String())...)
	}
	out := network.Port{Standard: named("port-out"), NetworkID: w.outer.ID, MAC: "fa:16:3e:00:00:03", DeviceOwner: network.OwnerRouterGateway, AdminStateUp: true, FixedIPs: fixed("sub-x", "172.24.4.10")}
	h.apply(network.RouterScope("router-1"), ovn.RenderRouter(ovn.RouterView{
		Router:     network.Router{Standard: named("router-1"), AdminStateUp: true, Gateway: &network.Gateway{NetworkID: w.outer.ID, EnableSNAT: true}},
		Interfaces: []ovn.RouterPort{{Port: leg, Network: w.inner, Subnets: inner.Subnets}},
		Gateway:    &ovn.RouterPort{Port: out, Network: w.outer, Subnets: []network.Subnet{w.external}},
		Chassis:    []string{"host-1"},
	}))
	h.apply(network.PortScope(leg.ID), ovn.RenderPort(ovn.PortView{Port: leg, Network: inner}))
	h.apply(network.PortScope(out.ID), ovn.RenderPort(ovn.PortView{Port: out, Network: outer}))
	return w
}

func (w *world) view() ovn.NetworkView {
	v := ovn.NetworkView{Network: w.inner, Subnets: []network.Subnet{w.subnet}, Metadata: &w.metadata}
	if w.subnet6.ID != "" {
		v.Subnets = append(v.Subnets, w.subnet6)
	}
	return v
}

func (w *world) port(name, mac, address string) ovn.PortView {
	return ovn.PortView{Chassis: "host-1", Network: w.view(), Port: network.Port{Standard: named(name), NetworkID: w.inner.ID, MAC: mac, AdminStateUp: true,
		PortSecurity: true, SecurityGroups: []string{w.group.ID}, FixedIPs: fixed("sub-a", address), DeviceOwner: "compute:nova"}}
}

func ptr(n int) *int { return &n }

// TestNetwork runs a network through real engines: what guests get, what they
// reach, what they must not reach.
func TestNetwork(t *testing.T) {
	h := startHost(t)
	w := newWorld(h)
	aView, bView := w.port("aaaaaaaa-port", "fa:16:3e:00:01:0a", "10.1.0.10"), w.port("bbbbbbbb-port", "fa:16:3e:00:01:0b", "10.1.0.11")
	c := h.boot(w.port("cccccccc-port", "fa:16:3e:00:01:0c", "10.1.0.12"), nil, "", "")
	a := h.boot(aView, &w.metadata, "10.1.0.10/24", "10.1.0.1")
	b := h.boot(bView, &w.metadata, "10.1.0.11/24", "10.1.0.1")
	b.serve(7001)
	b.serve(7777)

	t.Run("DHCP", func(t *testing.T) {
		await.Nil(t, "an offer", func() error {
			address, options, err := c.lease()
			if err != nil {
				return err
			}
			if address.String() != "10.1.0.12" || fmt.Sprint(options[26]) != "[5 162]" || fmt.Sprint(options[6]) != "[192 0 2 53]" ||
				!strings.Contains(fmt.Sprint(options[121]), "32 169 254 169 254 10 1 0 2") {
				t.Errorf("offer %v with %v", address, options)
			}
			return nil
		})
	})
	t.Run("rules", func(t *testing.T) {
		await.Nil(t, "port that a rule opens", func() error {
			_, err := a.ask("10.1.0.11:7001")
			return err
		})
		if _, err := a.ask("10.1.0.11:7777"); err == nil {
			t.Error("a port that no rule opens answered")
		}
		begun := time.Now()
		h.apply(network.GroupScope(w.group.ID), ovn.RenderGroup(w.group, w.rules[:1]))
		await.Nil(t, "the group to close", func() error {
			if _, err := a.ask("10.1.0.11:7001"); err == nil {
				return fmt.Errorf("still open")
			}
			return nil
		})
		t.Logf("closed within %v, a second of it the probe's own patience", time.Since(begun).Round(time.Millisecond))
		h.apply(network.GroupScope(w.group.ID), ovn.RenderGroup(w.group, w.rules))
		await.Nil(t, "the group to open", func() error { _, err := a.ask("10.1.0.11:7001"); return err })
	})
	t.Run("spoofing", func(t *testing.T) { spoofing(t, h, w, a, b) })
	t.Run("floating address", func(t *testing.T) {
		f := network.FloatingIP{Standard: named("fip-1"), Address: netip.MustParseAddr("172.24.4.77"), PortID: b.port.ID, Fixed: netip.MustParseAddr("10.1.0.11"), RouterID: "router-1"}
		h.apply(network.FloatingScope(f.ID), ovn.RenderFloating(ovn.FloatingView{Floating: f}))
		await.Nil(t, "the floating address from the host", func() error { _, err := ask("172.24.4.77:7001"); return err })
		f.PortID = ""
		h.apply(network.FloatingScope(f.ID), ovn.RenderFloating(ovn.FloatingView{Floating: f}))
		await.Nil(t, "the floating address to go", func() error {
			if _, err := ask("172.24.4.77:7001"); err == nil {
				return fmt.Errorf("still answers")
			}
			return nil
		})
	})
	t.Run("source translation", func(t *testing.T) {
		l, err := net.Listen("tcp4", "172.24.4.1:7100")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		peers := make(chan string, 100)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				peers <- c.RemoteAddr().String()
				_ = c.Close()
			}
		}()
		await.Nil(t, "the host from a guest", func() error { _, err := a.ask("172.24.4.1:7100"); return err })
		if peer := <-peers; !strings.HasPrefix(peer, "172.24.4.10:") {
			t.Errorf("the guest came as %s", peer)
		}
	})
	t.Run("address group", func(t *testing.T) { addressGroup(t, h, w, a) })
	t.Run("port forwarding", func(t *testing.T) { forwarding(t, h) })
	t.Run("limits", func(t *testing.T) { limits(t, h, w, a, b, aView) })
	t.Run("metadata", func(t *testing.T) { metadata(t, h, a, b) })
	t.Run("drift", func(t *testing.T) { drift(t, h) })
	t.Run("removal", func(t *testing.T) { removal(t, h) })
}
