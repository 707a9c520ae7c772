package ovs_test

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/test/await"
)

// probe is a question of a guest, and whether it may be answered.
type probe struct {
	from    *guest
	network string // as package net names it, or "ping"
	to      string
	by      string // the sender's address; empty: the guest's own
	may     bool
}

func (p probe) String() string {
	return fmt.Sprintf("%s from %s (%s) to %s", p.network, p.from.port.ID, p.by, p.to)
}

// probePatience is how long an answer may take: all of them come from the same
// machine, and those that must come are asked for again.
const probePatience = 300 * time.Millisecond

// answered asks.
func (p probe) answered() bool {
	return p.from.in(func() error {
		if p.network == "ping" {
			return exec.Command("/bin/ping", "-n", "-c1", "-W0.3", p.to).Run()
		}
		c, err := p.dial()
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		return exchange(c)
	}) == nil
}

func (p probe) dial() (net.Conn, error) {
	d := net.Dialer{Timeout: probePatience}
	if p.by != "" {
		address := netip.MustParseAddr(p.by).AsSlice()
		if d.LocalAddr = net.Addr(&net.TCPAddr{IP: address}); p.network[:3] == "udp" {
			d.LocalAddr = &net.UDPAddr{IP: address}
		}
	}
	return d.Dial(p.network, p.to)
}

// exchange sends a byte and waits for it to come back.
func exchange(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(probePatience)); err != nil {
		return err
	}
	if _, err := c.Write([]byte{7}); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 1))
	return err
}

// expect waits until all that may be answered is, and nothing else.
func expect(t *testing.T, what string, probes ...probe) {
	t.Helper()
	begun := time.Now()
	await.Nil(t, what, func() error {
		wrong := make([]error, len(probes))
		var all sync.WaitGroup
		for i, p := range probes {
			all.Go(func() {
				if got := p.answered(); got != p.may {
					wrong[i] = fmt.Errorf("%v: answered: %v", p, got)
				}
			})
		}
		all.Wait()
		for _, err := range wrong {
			if err != nil {
				return err
			}
		}
		return nil
	})
	t.Logf("%s: so after %v", what, time.Since(begun).Round(time.Millisecond))
}

// address gives the guest a further address.
func (g *guest) address(prefix string) {
	g.t.Helper()
	if err := g.in(func() error {
		link, err := netlink.LinkByName(g.link)
		if err != nil {
			return err
		}
		a, err := netlink.ParseAddr(prefix)
		if err != nil {
			return err
		}
		a.Flags = unix.IFA_F_NODAD // it asks nobody for leave
		return netlink.AddrAdd(link, a)
	}); err != nil {
		g.t.Fatal(err)
	}
}

// echo sends back what comes to a port, of both IP versions.
func (g *guest) echo(network string, port int) {
	g.t.Helper()
	at := fmt.Sprintf("[::]:%d", port)
	if network == "udp" {
		var c net.PacketConn
		if err := g.in(func() (err error) { c, err = net.ListenPacket(network, at); return err }); err != nil {
			g.t.Fatal(err)
		}
		g.t.Cleanup(func() { _ = c.Close() })
		go func() {
			b := make([]byte, 2048)
			for {
				n, from, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = c.WriteTo(b[:n], from) // lost on the way is lost
			}
		}()
		return
	}
	var l net.Listener
	if err := g.in(func() (err error) { l, err = net.Listen(network, at); return err }); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go echoes(c)
		}
	}()
}

func echoes(c net.Conn) {
	defer func() { _ = c.Close() }()
	b := make([]byte, 2048)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}
