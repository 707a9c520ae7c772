package ovs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network/hostnet"
)

// A switch in userspace sends its tunnels through a bridge of its own only, and
// would want the machine's network card and address in it. Those are not ours
// to take. So the bridge has an address that nobody outside sees, a pair of
// links leads from it into the machine's own routing, and the packet filter
// puts the machine's address in its place on the way out, and back on the way
// in. Seen from other hosts it is an ordinary tunnel between machines.

// genevePort is where tunnels arrive.
const genevePort = 6081

// TunnelBridge is the name of the bridge, and of its link, that tunnels go through.
func (c Config) TunnelBridge() string { return c.prefix() + "tun" }

// tunnels tells whether this host has to lead its tunnels itself: the kernel's
// datapath does that alone, and a cloud of one machine has none.
func (c Config) tunnels() bool { return c.Userspace && c.Encap.IsValid() && !c.Encap.IsLoopback() }

// tunnelEnds are the bridge's own address and the machine's next to it.
func (c Config) tunnelEnds() (own, machine netip.Addr) {
	return previous(c.MetadataRange, 6), previous(c.MetadataRange, 5)
}

// tunnelLinks are the pair that leads out of the bridge: in the switch, in the machine.
func (c Config) tunnelLinks() (inner, outer string) { return c.prefix() + "tun0", c.prefix() + "tun1" }

// ensureTunnels makes the way of tunnels through the machine.
func (d *Driver) ensureTunnels(ctx context.Context) error {
	if !d.cfg.tunnels() {
		return nil
	}
	inner, outer := d.cfg.tunnelLinks()
	for _, c := range []hostnet.Change{{Kind: "link", Name: outer}, {Kind: "bridge", Name: d.cfg.TunnelBridge()}} {
		if err := d.cfg.Ledger.Record(ctx, c); err != nil {
			return err
		}
	}
	if err := d.ensureBridge(ctx, d.cfg.TunnelBridge(), "standalone"); err != nil {
		return err
	}
	if err := ensurePair(outer, inner); err != nil {
		return err
	}
	if have, joined := d.db.iface(inner); !joined || have.Ofport == nil || *have.Ofport <= 0 {
		var ops []ovsdb.Operation
		if joined { // the pair was made anew, after a reboot
			ops = d.db.dropPort(inner)
			if err := d.db.commit(ctx, ops...); err != nil {
				return err
			}
		}
		if err := d.db.commit(ctx, addPort(d.cfg.TunnelBridge(), inner, "", nil, map[string]string{})...); err != nil {
			return err
		}
	}
	if err := d.tunnelAddresses(outer); err != nil {
		return err
	}
	if err := d.forwarding(ctx); err != nil {
		return err
	}
	return d.routeTunnels(ctx)
}

// ensurePair makes a pair of links and raises both ends.
func ensurePair(outer, inner string) error {
	if !linkExists(outer) || !linkExists(inner) {
		if err := errors.Join(removeLink(outer), removeLink(inner)); err != nil {
			return err
		}
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: outer}, PeerName: inner}
		if err := netlink.LinkAdd(pair); err != nil {
			return fmt.Errorf("make links %s and %s: %w", outer, inner, err)
		}
	}
	for _, name := range []string{outer, inner} {
		if err := noIPv6(name); err != nil {
			return err
		}
		if _, err := raise(name); err != nil {
			return err
		}
	}
	return nil
}

// tunnelAddresses gives the bridge an address that the switch knows and the
// machine does not take for its own: it is forwarded to, through the pair.
func (d *Driver) tunnelAddresses(outer string) error {
	bridge, err := raise(d.cfg.TunnelBridge())
	if err != nil {
		return err
	}
	out, err := netlink.LinkByName(outer)
	if err != nil {
		return fmt.Errorf("link %s: %w", outer, err)
	}
	own, machine := d.cfg.tunnelEnds()
	// What comes back through the pair has the bridge's address as its source.
	if err := os.WriteFile(filepath.Join("/proc/sys/net/ipv4/conf", outer, "accept_local"), []byte("1"), 0); err != nil {
		return fmt.Errorf("settings of %s: %w", outer, err)
	}
	if err := ensureAddress(out, netip.PrefixFrom(machine, 32)); err != nil {
		return err
	}
	// The range of both is how the switch finds its own beside the next hop.
	address := &netlink.Addr{IPNet: &net.IPNet{IP: own.AsSlice(), Mask: net.CIDRMask(30, 32)}, Flags: unix.IFA_F_NOPREFIXROUTE}
	if err := netlink.AddrReplace(bridge, address); err != nil {
		return fmt.Errorf("address %s on %s: %w", own, d.cfg.TunnelBridge(), err)
	}
	local := &netlink.Route{LinkIndex: bridge.Attrs().Index, Dst: ipNet(netip.PrefixFrom(own, 32)), Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST}
	if err := netlink.RouteDel(local); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("address %s: %w", own, err)
	}
	err1 := netlink.RouteReplace(&netlink.Route{LinkIndex: out.Attrs().Index, Dst: ipNet(netip.PrefixFrom(own, 32)), Scope: netlink.SCOPE_LINK, Src: machine.AsSlice()})
	err2 := netlink.NeighSet(&netlink.Neigh{LinkIndex: out.Attrs().Index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT, IP: own.AsSlice(),
		HardwareAddr: bridge.Attrs().HardwareAddr})
	return errors.Join(err1, err2)
}

// routeTunnels has the switch send all tunnels through the bridge. It forgets
// that with its process.
func (d *Driver) routeTunnels(ctx context.Context) error {
	if !d.cfg.tunnels() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, machine := d.cfg.tunnelEnds()
	for {
		cmd := exec.CommandContext(ctx, "/usr/bin/ovs-appctl", "-t", filepath.Join(d.cfg.Run, "vswitchd.ctl"), "ovs/route/add", "0.0.0.0/0",
			d.cfg.TunnelBridge(), machine.String())
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		if err == nil {
			return nil
		}
		if !pause(ctx, redialEvery) { // the switch has not noticed the bridge's address yet
			return fault.Unavailablef("the switch takes no route for tunnels").Because(fmt.Errorf("%w: %s", err, out.String()))
		}
	}
}
