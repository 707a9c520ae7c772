package ovs_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/hostnet"
	"github.com/mekcloud/mek/internal/network/hostnet/ovs"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/test/await"
)

// TestCapsOfPorts (I-36, I-31): what a guest sends is held to the host's frames
// and bytes a second, and to its flavor's where that has any, through restarts of
// all that keeps it; what it is sent, to its flavor's.
func TestCapsOfPorts(t *testing.T) {
	h := startHost(t, func(c *ovs.Config) { c.Frames = 500 })
	w := newWorld(h)
	w.rules = append(w.rules, network.Rule{Standard: named("r-udp"), Direction: network.Ingress, EtherType: network.IPv4, Protocol: "udp", PortMin: ptr(7005), PortMax: ptr(7005)})
	h.apply(network.GroupScope(w.group.ID), ovn.RenderGroup(w.group, w.rules))
	a := h.boot(w.port("aaaaaaaa-port", macA, ipA), nil, ipA+"/24", ipR)
	b := h.boot(w.port("bbbbbbbb-port", macB, ipB), nil, ipB+"/24", ipR)
	n := b.counter(7005)
	held := func(what string, least, most int64) { // bytes that arrive of a flood
		t.Helper()
		await.Nil(t, what, func() error {
			n.Store(0)
			a.flood(ipB+":7005", 400*time.Millisecond)
			if got := n.Load(); got < least || got > most {
				return fmt.Errorf("%d bytes arrive, not %d to %d", got, least, most)
			}
			return nil
		})
	}
	limit := func(g *guest, c hostnet.Caps) {
		t.Helper()
		if err := h.drv.Cap(t.Context(), g.port.ID, c); err != nil {
			t.Fatal(err)
		}
	}
	held("the host's frames", 80e3, 330e3) // of 1,000 bytes, 250 are let pass
	own := hostnet.Caps{OutBytes: 50e3, OutBurst: 130e3}
	limit(a, own)
	held("the flavor's bytes", 20e3, 170e3)
	if err := h.set.Stop(t.Context(), "ovn-controller", 3*time.Second); err != nil { // it drops all meters when it comes back
		t.Fatal(err)
	}
	for _, p := range h.procs {
		if _, err := h.set.Ensure(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	held("the flavor's bytes after a restart of ovn-controller", 20e3, 170e3)
	h.drv.Close()
	again, err := ovs.Open(t.Context(), h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.drv = again
	h.boot(w.port("cccccccc-port", macC, ipC), nil, ipC+"/24", ipR) // has all flows written again
	held("the flavor's bytes with another agent", 20e3, 170e3)
	limit(a, hostnet.Caps{})
	held("the host's frames again", 80e3, 330e3)
	limit(b, hostnet.Caps{InBytes: 50e3})
	held("what a guest is sent", 5e3, 70e3)
	limit(b, hostnet.Caps{})
	held("all that is sent", 80e3, 330e3)
}

// TestSwitchIsHastened: the switch's thread is let in at once while an agent looks
// after it, and is an ordinary one again without.
func TestSwitchIsHastened(t *testing.T) {
	h := startHost(t)
	if !h.cfg.Userspace || runtime.NumCPU() < 2 {
		t.Skip("the kernel forwards, or there is one processor")
	}
	pid := 0
	for _, p := range h.procs {
		if p.Name == "ovs-vswitchd" {
			started, err := h.set.Ensure(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			pid = started.PID
		}
	}
	policy := func(want uint32) {
		t.Helper()
		await.Nil(t, "the switch's policy", func() error {
			a, err := unix.SchedGetAttr(pid, 0)
			if err == nil && a.Policy != want {
				err = fmt.Errorf("policy %d, niceness %d", a.Policy, a.Nice)
			}
			return err
		})
	}
	policy(unix.SCHED_RR)
	h.drv.Close()
	policy(unix.SCHED_NORMAL)
}
