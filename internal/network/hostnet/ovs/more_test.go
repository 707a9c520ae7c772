package ovs_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/test/await"
)

// frame is an Ethernet frame with a UDP datagram in it.
func frame(srcMAC, dstMAC string, src, dst netip.Addr, port int) []byte {
	s, _ := net.ParseMAC(srcMAC) // a test's own constants
	d, _ := net.ParseMAC(dstMAC)
	udp := []byte{0x30, 0x39, byte(port >> 8), byte(port), 0, 12, 0, 0, 's', 'p', 'o', 'f'}
	ip := []byte{0x45, 0, 0, byte(20 + len(udp)), 0, 1, 0, 0, 64, 17, 0, 0}
	ip = append(append(ip, src.AsSlice()...), dst.AsSlice()...)
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(ip[i])<<8 | uint32(ip[i+1])
	}
	sum = sum&0xffff + sum>>16
	sum = ^(sum&0xffff + sum>>16)
	ip[10], ip[11] = byte(sum>>8), byte(sum)
	return append(append(append(append([]byte{}, d...), s...), 8, 0), append(ip, udp...)...)
}

// send puts raw frames on the guest's link.
func (g *guest) send(frames ...[]byte) error {
	return g.in(func() error {
		link, err := netlink.LinkByName(g.link)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		for _, f := range frames {
			err = errors.Join(err, unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index}))
		}
		return err
	})
}

// listenUDP collects the senders of datagrams to a port of the guest.
func (g *guest) listenUDP(port int) <-chan string {
	g.t.Helper()
	var c net.PacketConn
	if err := g.in(func() (err error) {
		c, err = net.ListenPacket("udp4", fmt.Sprintf("0.0.0.0:%d", port))
		return err
	}); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = c.Close() })
	senders := make(chan string, 100)
	go func() {
		b := make([]byte, 2048)
		for {
			_, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			senders <- from.(*net.UDPAddr).IP.String()
		}
	}()
	return senders
}

// spoofing sends what a port must not send, then one honest datagram: when
// that has arrived, nothing else may have.
func spoofing(t *testing.T, h *host, w *world, a, b *guest) {
	rules := append([]network.Rule{{Standard: named("r-udp"), Direction: network.Ingress, EtherType: network.IPv4, Protocol: "udp"}}, w.rules...)
	h.apply(network.GroupScope(w.group.ID), ovn.RenderGroup(w.group, rules))
	defer h.apply(network.GroupScope(w.group.ID), ovn.RenderGroup(w.group, w.rules))
	got := b.listenUDP(7050)
	own, other, victim := netip.MustParseAddr("10.1.0.10"), netip.MustParseAddr("10.1.0.66"), netip.MustParseAddr("10.1.0.11")
	honest := frame(a.port.MAC, b.port.MAC, own, victim, 7050)
	await.Nil(t, "an honest datagram", func() error {
		if err := a.send(honest); err != nil {
			return err
		}
		select {
		case <-got:
			return nil
		case <-time.After(50 * time.Millisecond):
			return errors.New("none")
		}
	})
	for len(got) > 0 {
		<-got
	}
	forged := [][]byte{
		frame(a.port.MAC, b.port.MAC, other, victim, 7050),                             // somebody else's address
		frame("fa:16:3e:66:66:66", b.port.MAC, own, victim, 7050),                      // somebody else's MAC
		frame("fa:16:3e:66:66:66", b.port.MAC, other, victim, 7050),                    // both
		frame(a.port.MAC, "ff:ff:ff:ff:ff:ff", other, victim, 7050),                    // by broadcast
		frame(a.port.MAC, b.port.MAC, netip.MustParseAddr("172.24.4.1"), victim, 7050), // from outside
		arpReply(a.port.MAC, other, b.port.MAC),                                        // claims an address
	}
	if err := a.send(append(forged, honest)...); err != nil {
		t.Fatal(err)
	}
	if sender := <-got; sender != own.String() || len(got) > 0 {
		t.Errorf("a forged frame arrived, from %s", sender)
	}
	if err := b.in(func() error {
		neighbours, err := netlink.NeighList(0, netlink.FAMILY_V4)
		for _, n := range neighbours {
			if n.IP.String() == other.String() {
				return fmt.Errorf("a forged ARP answer was believed: %v", n)
			}
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

func arpReply(mac string, claimed netip.Addr, to string) []byte {
	s, _ := net.ParseMAC(mac) // a test's own constants
	d, _ := net.ParseMAC(to)
	b := append(append(append([]byte{}, d...), s...), 8, 6, 0, 1, 8, 0, 6, 4, 0, 2)
	b = append(append(b, s...), claimed.AsSlice()...)
	return append(append(b, d...), 10, 1, 0, 11)
}

// metadata asks from two guests; the answer must name the asking port, whatever
// a request says of itself.
func metadata(t *testing.T, h *host, guests ...*guest) {
	ctx := t.Context()
	l, err := net.Listen("tcp4", h.cfg.MetadataListen().String())
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			t.Error(err)
		}
		port, _ := h.drv.Ingress(peer.Addr())
		_, _ = fmt.Fprint(rw, port)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	if err := h.drv.Metadata(ctx, h.ports); err != nil {
		t.Fatal(err)
	}
	for _, g := range guests {
		await.Nil(t, "metadata", func() error {
			said, err := g.get("http://169.254.169.254/", h.ports[0].ID)
			if err == nil && said != g.port.ID {
				t.Errorf("%s was taken for %s", g.port.ID, said)
			}
			return err
		})
		if _, err := g.ask("169.254.169.254:8775"); err == nil {
			t.Error("a guest reached another port of the host through the metadata way")
		}
	}
	for _, p := range h.procs {
		if p.Name != "ovs-vswitchd" {
			continue
		}
		if err := h.set.Stop(ctx, p.Name, time.Second); err != nil {
			t.Fatal(err)
		}
		if _, err := h.set.Ensure(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	await.Nil(t, "metadata after the switch was restarted", func() error { _, err := guests[0].get("http://169.254.169.254/", ""); return err })
	t.Logf("metadata again %v after the switch was back", time.Since(begun).Round(time.Millisecond))
}

func (g *guest) get(url, forged string) (body string, err error) {
	return g.getWith(url, func(r *http.Request) {
		r.Header.Set("X-Instance-ID", forged)
		r.Header.Set("X-Forwarded-For", "10.1.0.99")
	})
}

func (g *guest) getWith(url string, change func(*http.Request)) (body string, err error) {
	dial := func(_ context.Context, _, address string) (c net.Conn, err error) {
		err = g.in(func() error {
			c, err = net.DialTimeout("tcp4", address, time.Second)
			return err
		})
		return c, err
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	change(req)
	res, err := (&http.Client{Transport: transport, Timeout: 3 * time.Second}).Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	b := make([]byte, 200)
	n, _ := res.Body.Read(b)
	return string(b[:n]), nil
}

// drift checks that a full pass finds nothing to do on what was applied, and
// repairs what somebody broke.
func drift(t *testing.T, h *host) {
	ctx := t.Context()
	if n, err := h.nb.Resync(ctx, h.applied); err != nil || n != 0 {
		t.Errorf("a pass over what was applied repaired %d scopes: %v", n, err)
	}
	other, err := ovn.Open(ctx, h.northbound, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Apply(ctx, network.GroupScope("group-1"), nil); err != nil {
		t.Fatal(err)
	}
	if n, err := h.nb.Resync(ctx, h.applied); err != nil || n == 0 {
		t.Errorf("a pass after damage repaired %d scopes: %v", n, err)
	}
	if n, err := h.nb.Resync(ctx, h.applied); err != nil || n != 0 {
		t.Errorf("the pass after it repaired %d scopes: %v", n, err)
	}
}

// removal takes everything off the host again.
func removal(t *testing.T, h *host) {
	ctx := t.Context()
	for _, p := range h.ports {
		if err := errors.Join(h.drv.Remove(ctx, p.ID), h.drv.Remove(ctx, p.ID)); err != nil {
			t.Error(err)
		}
	}
	gone := h.ports[0].ID
	h.ports = nil
	states, err := h.drv.Inventory(ctx)
	if err != nil || len(states) > 0 {
		t.Errorf("left on the host: %v (%v)", states, err)
	}
	if _, err := h.drv.OpenTap(ctx, gone); err == nil {
		t.Error("the tap of a removed port opens")
	}
	if err := h.set.Stop(ctx, "ovn-controller", time.Second); err != nil { // it would make its bridge again
		t.Error(err)
	}
	if err := h.drv.TearDown(ctx); err != nil {
		t.Error(err)
	}
	var left []string
	links, err := netlink.LinkList()
	for _, l := range links {
		if l.Attrs().Name != "lo" && l.Attrs().Name != "ovs-netdev" {
			left = append(left, l.Attrs().Name)
		}
	}
	if err != nil || len(left) > 0 {
		t.Errorf("links left: %v (%v)", left, err)
	}
}
