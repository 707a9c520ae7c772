package ovs_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/hostnet"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/test/await"
)

const serviceAt = "169.254.169.254"

// twin is a second network with the same addresses as a world's, and its own
// port for metadata.
func (w *world) twin(h *host) (ovn.NetworkView, *network.Port) {
	m := network.Port{Standard: named("55555555-meta"), NetworkID: "44444444-net", MAC: macM, DeviceOwner: network.OwnerMetadata, AdminStateUp: true, FixedIPs: fixed("sub-b", ipM)}
	s := w.subnet
	s.Standard, s.NetworkID = named("sub-b"), m.NetworkID
	v := ovn.NetworkView{Network: network.Network{Standard: named(m.NetworkID), MTU: 1442, NetworkType: network.TypeGeneve, AdminStateUp: true}, Subnets: []network.Subnet{s}, Metadata: &m}
	h.apply(network.NetworkScope(m.NetworkID), ovn.RenderNetwork(v))
	h.apply(network.PortScope(m.ID), ovn.RenderPort(ovn.PortView{Port: m, Network: v}))
	return v, &m
}

// whoAsks answers guests with the port that they are taken for.
func (h *host) whoAsks() {
	h.t.Helper()
	l, err := net.Listen("tcp4", h.cfg.MetadataListen().String())
	if err != nil {
		h.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		port, ok := h.drv.Ingress(netip.MustParseAddrPort(r.RemoteAddr).Addr())
		if !ok {
			port = "nobody"
		}
		_, _ = fmt.Fprint(rw, port) // the asker went away
	})}
	go func() { _ = server.Serve(l) }()
	h.t.Cleanup(func() { _ = server.Close() })
}

// takenFor lists whom the openings of connections at the metadata bridge are of.
func (h *host) takenFor(o *observer) []string {
	var who []string
	for _, f := range o.seen() {
		if len(f) < 54 || binary.BigEndian.Uint16(f[12:]) != 0x0800 || f[23] != 6 || f[47]&0x12 != 2 {
			continue
		}
		from, _ := netip.AddrFromSlice(f[26:30])
		port, ok := h.drv.Ingress(from)
		if !ok {
			port = "nobody: " + from.String()
		}
		who = append(who, port)
	}
	slices.Sort(who)
	return slices.Compact(who)
}

// TestMetadataIsOfThePort (SEC-20): who asks for metadata is known by the port
// that the frames came in by. Neither what a request says of itself, nor a
// borrowed address, MAC or network makes anybody another.
func TestMetadataIsOfThePort(t *testing.T) {
	h := startHost(t)
	w := newWorld(h)
	a := h.boot(w.port("aaaaaaaa-port", macA, ipA), &w.metadata, ipA+"/24", ipR)
	b := h.boot(w.port("bbbbbbbb-port", macB, ipB), &w.metadata, ipB+"/24", ipR)
	c := h.boot(w.port("cccccccc-port", macC, ipC), nil, ipC+"/24", ipR) // without metadata
	twinView, twinMeta := w.twin(h)
	of := func(name, mac, address string) ovn.PortView {
		v := w.port(name, mac, address)
		v.Network, v.Port.NetworkID, v.Port.FixedIPs = twinView, twinView.Network.ID, fixed("sub-b", address)
		return v
	}
	twin := h.boot(of("dddddddd-port", macA, ipA), twinMeta, ipA+"/24", ipR) // A's address and MAC, elsewhere
	h.whoAsks()
	if err := h.drv.Metadata(t.Context(), h.ports); err != nil {
		t.Fatal(err)
	}
	bridge, err := netlink.LinkByName(h.cfg.MetadataBridge())
	if err != nil {
		t.Fatal(err)
	}
	at := observeLink(t, "the way of metadata", bridge)
	await := func(g *guest) {
		t.Helper()
		await.Nil(t, "metadata of "+g.port.ID, func() error {
			said, err := g.get("http://"+serviceAt+"/", "")
			if err == nil && said != g.port.ID {
				t.Errorf("%s was taken for %q", g.port.ID, said)
			}
			return err
		})
	}
	await(a)
	t.Run("headers", func(t *testing.T) { headers(t, a, b.port, twin.port) })
	t.Run("borrowed addresses", func(t *testing.T) {
		borrowed(t, a)
		if who := h.takenFor(at); !slices.Equal(who, []string{a.port.ID}) {
			t.Errorf("connections came in as of %v, all were %s's", who, a.port.ID)
		}
	})
	await(b) // so what is above could have been seen
	await(twin)
	if who := h.takenFor(at); !slices.Equal(who, []string{a.port.ID, b.port.ID, twin.port.ID}) {
		t.Errorf("connections came in as of %v", who)
	}
	t.Run("ways beside", func(t *testing.T) {
		listener := h.cfg.MetadataListen()
		a.route(listener.Addr(), ipM)
		for _, to := range []string{listener.String(), net.JoinHostPort(h.cfg.External.Addr().String(), fmt.Sprint(listener.Port())), serviceAt + ":8775", "[fe80::a9fe:a9fe%eth0]:80"} {
			if err := a.in(func() error {
				conn, err := net.DialTimeout("tcp", to, probePatience)
				if err == nil {
					_ = conn.Close()
				}
				return err
			}); err == nil {
				t.Errorf("%s answers a guest", to)
			}
		}
		if said, err := c.get("http://"+serviceAt+"/", a.port.ID); err == nil {
			t.Errorf("a port without metadata was answered %q", said)
		}
		for _, header := range []string{"", a.port.ID} { // from the host itself
			r, err := http.NewRequest("GET", "http://"+listener.String()+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Instance-ID", header)
			answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			said := make([]byte, 100)
			n, _ := answer.Body.Read(said)
			_ = answer.Body.Close()
			if string(said[:n]) != "nobody" {
				t.Errorf("a process of the host was taken for %q", said[:n])
			}
		}
	})
	t.Run("inherited address", func(t *testing.T) { inherited(t, h, w, a, await) })
}

// headers: a request says that it is of others in every way there is.
func headers(t *testing.T, g *guest, others ...network.Port) {
	names := []string{"X-Forwarded-For", "X-Instance-ID", "X-Instance-Id-Signature", "X-Tenant-ID", "X-Project-Id", "X-Metadata-Provider", "X-Metadata-Provider-Signature",
		"X-OVN-Network-ID", "X-Neutron-Network-Id", "X-Neutron-Router-ID", "X-Real-IP", "X-Client-IP", "True-Client-IP", "Forwarded", "Via", "X-LB-Port", "X-Server-Id"}
	for _, other := range others {
		for _, value := range []string{other.ID, "server-of-" + other.ID, other.FixedIPs[0].Address.String(), other.NetworkID, "for=" + other.FixedIPs[0].Address.String()} {
			said, err := g.getWith("http://"+serviceAt+"/", func(r *http.Request) {
				for _, name := range names {
					r.Header.Set(name, value)
				}
				r.Host = value
			})
			if err != nil || said != g.port.ID {
				t.Errorf("with headers of %q %s was taken for %q: %v", value, g.port.ID, said, err)
			}
		}
	}
}

// borrowed asks with the addresses of others: with frames by hand, and as a
// guest does that gives itself an address.
func borrowed(t *testing.T, a *guest) {
	for _, f := range [][]byte{
		eth(macM, macA, 0x0800, v4{src: ipB, dst: serviceAt, proto: 6}.with(tcpSyn(ipB, serviceAt, 40001, 80))),
		eth(macM, macB, 0x0800, v4{src: ipB, dst: serviceAt, proto: 6}.with(tcpSyn(ipB, serviceAt, 40002, 80))),
		eth(macM, macB, 0x0800, v4{src: ipA, dst: serviceAt, proto: 6}.with(tcpSyn(ipA, serviceAt, 40003, 80))),
		eth(macM, macX, 0x0800, v4{src: ipX, dst: serviceAt, proto: 6}.with(tcpSyn(ipX, serviceAt, 40004, 80))),
		eth(macM, macA, 0x0800, v4{src: "100.64.8.1", dst: serviceAt, proto: 6}.with(tcpSyn("100.64.8.1", serviceAt, 40005, 80))),
		eth(macM, macA, 0x0800, v4{src: "127.0.0.1", dst: serviceAt, proto: 6}.with(tcpSyn("127.0.0.1", serviceAt, 40006, 80))),
		eth(everyone, macB, 0x0800, v4{src: ipB, dst: serviceAt, proto: 6}.with(tcpSyn(ipB, serviceAt, 40007, 80))),
	} {
		if err := a.send(f); err != nil {
			t.Fatal(err)
		}
	}
	a.address(ipB + "/32")
	if (probe{from: a, network: "tcp4", to: serviceAt + ":80", by: ipB}).answered() {
		t.Error("a guest was answered at another's address")
	}
	if said, err := a.get("http://"+serviceAt+"/", ""); err != nil || said != a.port.ID { // comes after all of them
		t.Errorf("at its own address: %q %v", said, err)
	}
}

// inherited: who gets an address, or the MAC, of one that is gone is not it.
func inherited(t *testing.T, h *host, w *world, gone *guest, await func(*guest)) {
	if err := h.drv.Remove(t.Context(), gone.port.ID); err != nil {
		t.Fatal(err)
	}
	h.apply(network.PortScope(gone.port.ID), nil)
	h.ports = slices.DeleteFunc(h.ports, func(p hostnet.Port) bool { return p.ID == gone.port.ID })
	heir := h.boot(w.port("eeeeeeee-port", macA, ipA), &w.metadata, ipA+"/24", ipR)
	if err := h.drv.Metadata(t.Context(), h.ports); err != nil {
		t.Fatal(err)
	}
	await(heir)
}

// route leads the guest to an address.
func (g *guest) route(to netip.Addr, via string) {
	g.t.Helper()
	if err := g.in(func() error {
		link, err := netlink.LinkByName(g.link)
		if err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: &net.IPNet{IP: to.AsSlice(), Mask: net.CIDRMask(to.BitLen(), to.BitLen())}, Gw: net.ParseIP(via)})
	}); err != nil {
		g.t.Fatal(err)
	}
}
