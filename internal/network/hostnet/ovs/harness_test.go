package ovs_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/engine"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/engines"
	"github.com/mekcloud/mek/internal/network/hostnet"
	"github.com/mekcloud/mek/internal/network/hostnet/ovs"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/test/await"
)

const inside = "MEK_TEST_IN_NAMESPACE"

// TestMain runs the tests in a network namespace of their own, so that nothing
// they do reaches the machine.
func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "these tests need root:", err)
		os.Exit(1)
	}
}

type noLedger struct{}

func (noLedger) Record(context.Context, ...hostnet.Change) error { return nil }
func (noLedger) Forget(context.Context, string, ...string) error { return nil }

// host is a whole cloud's network on one host: engines, northbound, driver.
type host struct {
	t     *testing.T
	set   *engine.Set
	procs []engine.Process
	nb    *ovn.Northbound
	drv   *ovs.Driver
	cfg   ovs.Config

	northbound string
	applied    map[string][]ovn.Row
	ports      []hostnet.Port

	mu sync.Mutex
	up map[string]bool
}

func startHost(t *testing.T, settings ...func(*ovs.Config)) *host {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "mekovs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	loopback(t)
	ctx := t.Context()
	set, err := engine.NewSet(filepath.Join(dir, "engines"), clock.Real{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	kernel, why := engines.KernelDatapath(ctx)
	t.Logf("kernel datapath: %v (%s)", kernel, why)
	central := engines.Central{Data: dir + "/c", Run: dir + "/cr", Logs: dir + "/log"}
	switches := engines.Host{Data: dir + "/h", Run: dir + "/hr", Logs: dir + "/log", Userspace: !kernel}
	h := &host{t: t, set: set, up: map[string]bool{}, applied: map[string][]ovn.Row{}, northbound: central.Northbound()}
	h.cfg = ovs.Config{Hash: "5ca1ab1e", Endpoint: switches.Database(), Run: switches.Run, Chassis: "host-1", Southbound: central.Southbound(),
		Encap: netip.MustParseAddr("127.0.0.1"), Userspace: !kernel, External: netip.MustParsePrefix("172.24.4.1/24"), Physical: "public", Masquerade: true,
		MetadataRange: netip.MustParsePrefix("100.64.8.0/22"), MetadataPort: 8775, Ledger: noLedger{}, Log: slog.New(slog.DiscardHandler)}
	for _, set := range settings {
		set(&h.cfg)
	}
	switches.Identity = h.cfg.Identity()
	begun := time.Now()
	for _, e := range []interface {
		Prepare(context.Context) error
		Processes() ([]engine.Process, error)
	}{central, switches} {
		if err := e.Prepare(ctx); err != nil {
			t.Fatal(err)
		}
		procs, err := e.Processes()
		if err != nil {
			t.Fatal(err)
		}
		h.procs = append(h.procs, procs...)
	}
	t.Cleanup(h.stop)
	for _, p := range h.procs {
		if _, err := set.Ensure(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	if h.drv, err = ovs.Open(ctx, h.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.drv.Close() }) // which may be another by then
	t.Cleanup(h.clear)
	if h.nb, err = ovn.Open(ctx, central.Northbound(), h.onUp); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.nb.Close)
	t.Logf("nothing to ready: %v", time.Since(begun).Round(time.Millisecond))
	return h
}

// clear leaves no tap of this host to the next test.
func (h *host) clear() {
	for _, p := range h.ports {
		if err := h.drv.Remove(context.Background(), p.ID); err != nil {
			h.t.Error(err)
		}
	}
}

func (h *host) stop() {
	for i := len(h.procs) - 1; i >= 0; i-- {
		if err := h.set.Stop(context.Background(), h.procs[i].Name, 3*time.Second); err != nil {
			h.t.Errorf("stop %s: %v", h.procs[i].Name, err)
		}
	}
}

func (h *host) onUp(port string, up bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.up[port] = up
}

func (h *host) isUp(port string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.up[port]
}

func (h *host) apply(scope string, rows []ovn.Row) {
	h.t.Helper()
	if err := h.nb.Apply(h.t.Context(), scope, rows); err != nil {
		h.t.Fatal(err)
	}
	h.applied[scope] = rows
}

// guest is the far end of a port: a namespace with a network stack of its own,
// whose link's frames pass through the descriptor that a guest's process would get.
type guest struct {
	t    *testing.T
	ns   netns.NsHandle
	port network.Port
	link string
}

// boot gives a port to this host and puts a guest on it. Without address the
// guest has to ask for one.
func (h *host) boot(v ovn.PortView, metadata *network.Port, address, gateway string) *guest {
	h.t.Helper()
	return newGuest(h.t, v.Port, h.wire(v, metadata), v.Network.Network.MTU, address, gateway)
}

// wire gives a port to this host and opens what a guest's process would get.
func (h *host) wire(v ovn.PortView, metadata *network.Port) *os.File {
	h.t.Helper()
	ctx := h.t.Context()
	p := hostnet.Port{ID: v.Port.ID, MAC: v.Port.MAC, MTU: v.Network.Network.MTU, NetworkID: v.Port.NetworkID, ServerID: "server-of-" + v.Port.Name}
	for _, ip := range v.Port.FixedIPs {
		p.Addresses = append(p.Addresses, ip.Address)
	}
	if metadata != nil {
		p.MetadataID, p.MetadataMAC = metadata.ID, metadata.MAC
	}
	h.apply(network.PortScope(v.Port.ID), ovn.RenderPort(v))
	h.ports = append(h.ports, p)
	begun := time.Now()
	if err := h.drv.Ensure(ctx, []hostnet.Port{p})[p.ID]; err != nil {
		h.t.Fatal(err)
	}
	await.Nil(h.t, "port wired", func() error {
		states, err := h.drv.Inventory(ctx)
		for _, s := range states {
			if s.ID == p.ID && s.Wired {
				return nil
			}
		}
		return errors.Join(err, errors.New("not wired"))
	})
	await.Nil(h.t, "port up in the northbound", func() error {
		if !h.isUp(p.ID) {
			return errors.New("down")
		}
		return nil
	})
	h.t.Logf("port %s ready on the host after %v", v.Port.Name, time.Since(begun).Round(time.Millisecond))
	f, err := h.drv.OpenTap(ctx, p.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return f
}

func newGuest(t *testing.T, port network.Port, hostEnd *os.File, mtu int, address, gateway string) *guest {
	t.Helper()
	g := &guest{t: t, port: port, link: "eth0"}
	var guestEnd int
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	if g.ns, err = netns.New(); err != nil {
		t.Fatal(err)
	}
	guestEnd, err = guestTap(g.link)
	if err == nil {
		err = configure(g.link, port.MAC, mtu, address, gateway)
	}
	if back := netns.Set(home); back != nil {
		t.Fatal(back)
	}
	runtime.UnlockOSThread()
	_ = home.Close()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	hostFD := int(hostEnd.Fd())
	wg.Go(func() { pump(hostFD, guestEnd, stop) })
	wg.Go(func() { pump(guestEnd, hostFD, stop) })
	t.Cleanup(func() {
		close(stop)
		wg.Wait()
		_ = unix.Close(guestEnd)
		_ = hostEnd.Close()
		_ = g.ns.Close()
	})
	return g
}

func guestTap(name string) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	return fd, unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
}

func configure(name, mac string, mtu int, address, gateway string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	hw, err := net.ParseMAC(mac)
	if err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := errors.Join(netlink.LinkSetHardwareAddr(link, hw), netlink.LinkSetMTU(link, mtu), netlink.LinkSetUp(link), netlink.LinkSetUp(lo)); err != nil {
		return err
	}
	if address == "" {
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}})
	}
	a, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, a); err != nil || gateway == "" {
		return err
	}
	// What option 121 tells a guest that asks by DHCP.
	metadata := &net.IPNet{IP: net.IPv4(169, 254, 169, 254), Mask: net.CIDRMask(32, 32)}
	return errors.Join(netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(gateway)}),
		netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: metadata, Gw: net.IPv4(10, 1, 0, 2)}))
}

// pump passes frames until stop is closed.
func pump(from, to int, stop <-chan struct{}) {
	frame := make([]byte, 65536)
	for {
		select {
		case <-stop:
			return
		default:
		}
		fds := []unix.PollFd{{Fd: int32(from), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 50); n == 0 || err != nil {
			continue
		}
		if n, err := unix.Read(from, frame); err == nil {
			_, _ = unix.Write(to, frame[:n]) // a full queue loses the frame, as a wire does
		}
	}
}

// in runs f with the calling thread inside the guest.
func (g *guest) in(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := netns.Set(g.ns); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// serve answers TCP connections in the guest with its name.
func (g *guest) serve(port int) {
	g.t.Helper()
	var l net.Listener
	err := g.in(func() (err error) {
		l, err = net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", port))
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, g.port.Name)
			_ = c.Close()
		}
	}()
}

// ask connects from the guest and answers what the other side said.
func (g *guest) ask(address string) (said string, err error) {
	err = g.in(func() error {
		said, err = ask(address)
		return err
	})
	return said, err
}

func ask(address string) (string, error) {
	c, err := net.DialTimeout("tcp4", address, time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	b, err := io.ReadAll(c)
	return string(b), err
}

func loopback(t *testing.T) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// lease asks for an address like a client without one, and answers the offer.
func (g *guest) lease() (address netip.Addr, options map[byte][]byte, err error) {
	err = g.in(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
		if err := errors.Join(unix.BindToDevice(fd, g.link), unix.Bind(fd, &unix.SockaddrInet4{Port: 68}),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1})); err != nil {
			return err
		}
		if err := unix.Sendto(fd, discover(g.port.MAC), 0, &unix.SockaddrInet4{Port: 67, Addr: [4]byte{255, 255, 255, 255}}); err != nil {
			return err
		}
		b := make([]byte, 2048)
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			return err
		}
		address, options = parseOffer(b[:n])
		return nil
	})
	return address, options, err
}

func discover(mac string) []byte {
	b := make([]byte, 240)
	hw, _ := net.ParseMAC(mac) // a test's own constant
	b[0], b[1], b[2] = 1, 1, 6
	binary.BigEndian.PutUint32(b[4:], 0x6d656b21)
	binary.BigEndian.PutUint16(b[10:], 0x8000) // answer by broadcast
	copy(b[28:], hw)
	copy(b[236:], []byte{99, 130, 83, 99})
	return append(b, 53, 1, 1, 55, 5, 1, 3, 6, 26, 121, 255)
}

func parseOffer(b []byte) (netip.Addr, map[byte][]byte) {
	options := map[byte][]byte{}
	for o := b[240:]; len(o) > 2 && o[0] != 255; o = o[2+int(o[1]):] {
		options[o[0]] = o[2 : 2+int(o[1])]
	}
	return netip.AddrFrom4([4]byte(b[16:20])), options
}
