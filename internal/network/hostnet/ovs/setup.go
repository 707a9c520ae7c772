package ovs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"

	"github.com/mekcloud/mek/internal/network/hostnet"
)

// setUp makes the host ready for ports. Every part is idempotent.
func (d *Driver) setUp(ctx context.Context) error {
	for _, bridge := range []string{d.cfg.Integration(), d.cfg.ExternalBridge(), d.cfg.MetadataBridge()} {
		if err := d.cfg.Ledger.Record(ctx, hostnet.Change{Kind: "bridge", Name: bridge}); err != nil {
			return err
		}
	}
	if err := d.identify(ctx); err != nil {
		return fmt.Errorf("switch identity: %w", err)
	}
	for bridge, failMode := range map[string]string{d.cfg.Integration(): "secure", d.cfg.ExternalBridge(): "standalone", d.cfg.MetadataBridge(): "secure"} {
		err := d.ensureBridge(ctx, bridge, failMode)
		if err != nil {
			err = d.ensureBridge(ctx, bridge, failMode) // ovn-controller may have made it meanwhile
		}
		if err != nil {
			return fmt.Errorf("bridge %s: %w", bridge, err)
		}
		if err := noIPv6(bridge); err != nil {
			return err
		}
	}
	if err := d.metadataLink(); err != nil {
		return fmt.Errorf("metadata link: %w", err)
	}
	if err := d.ensureTunnels(ctx); err != nil {
		return fmt.Errorf("way of tunnels: %w", err)
	}
	if err := d.external(ctx); err != nil {
		return err
	}
	return d.translate(ctx)
}

// Identity is what ovn-controller must know of the host and cloud.
func (c Config) Identity() map[string]string {
	ids := map[string]string{
		"system-id": c.Chassis, "hostname": c.Chassis, "ovn-remote": c.Southbound, "ovn-encap-type": "geneve",
		"ovn-encap-ip": c.Encap.String(), "ovn-bridge": c.Integration(), "ovn-bridge-datapath-type": c.datapath(), "ovn-monitor-all": "true",
	}
	if c.Physical != "" {
		ids["ovn-bridge-mappings"] = c.Physical + ":" + c.ExternalBridge()
	}
	return ids
}

// identify writes who the host is, where ovn-controller reads it.
func (d *Driver) identify(ctx context.Context) error {
	// One thread of each kind serves a small host; the default is one per CPU.
	row := ovsdb.Row{"external_ids": ovsMap(d.cfg.Identity()), "other_config": ovsMap(map[string]string{"n-handler-threads": "1", "n-revalidator-threads": "1"})}
	if _, ok := d.db.root(); ok {
		return d.db.commit(ctx, ovsdb.Operation{Op: ovsdb.OperationUpdate, Table: "Open_vSwitch", Where: theRoot(), Row: row})
	}
	return d.db.commit(ctx, ovsdb.Operation{Op: ovsdb.OperationInsert, Table: "Open_vSwitch", UUIDName: "root", Row: row})
}

func (d *Driver) ensureBridge(ctx context.Context, name, failMode string) error {
	var have []bridgeRow
	if err := d.db.client.WhereCache(func(b *bridgeRow) bool { return b.Name == name }).List(ctx, &have); err != nil {
		return err
	}
	settings := ovsdb.Row{"datapath_type": d.cfg.datapath(), "fail_mode": failMode,
		"other_config": ovsMap(map[string]string{"hwaddr": hardwareAddress(name), "disable-in-band": "true"})}
	if len(have) > 0 {
		return d.db.commit(ctx, ovsdb.Operation{Op: ovsdb.OperationUpdate, Table: "Bridge", Row: settings,
			Where: []ovsdb.Condition{{Column: "name", Function: ovsdb.ConditionEqual, Value: name}}})
	}
	settings["name"], settings["ports"] = name, ovsdb.UUID{GoUUID: "p"}
	return d.db.commit(ctx,
		ovsdb.Operation{Op: ovsdb.OperationInsert, Table: "Interface", UUIDName: "i", Row: ovsdb.Row{"name": name, "type": "internal"}},
		ovsdb.Operation{Op: ovsdb.OperationInsert, Table: "Port", UUIDName: "p", Row: ovsdb.Row{"name": name, "interfaces": ovsdb.UUID{GoUUID: "i"}}},
		ovsdb.Operation{Op: ovsdb.OperationInsert, Table: "Bridge", UUIDName: "b", Row: settings},
		ovsdb.Operation{Op: ovsdb.OperationMutate, Table: "Open_vSwitch", Where: theRoot(), Mutations: []ovsdb.Mutation{
			{Column: "bridges", Mutator: ovsdb.MutateOperationInsert, Value: ovsdb.OvsSet{GoSet: []any{ovsdb.UUID{GoUUID: "b"}}}}}})
}

// metadataLink gives the metadata bridge's link the listener's address and a
// way to all addresses that stand for ports. Nobody answers ARP there.
func (d *Driver) metadataLink() error {
	link, err := raise(d.cfg.MetadataBridge())
	if err != nil {
		return err
	}
	listen := d.cfg.MetadataListen().Addr()
	if err := ensureAddress(link, netip.PrefixFrom(listen, 32)); err != nil {
		return err
	}
	mac, err := net.ParseMAC(guestSideMAC)
	if err != nil {
		return err
	}
	hop := net.IP(d.cfg.metadataHop().AsSlice())
	err1 := netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT, IP: hop, HardwareAddr: mac})
	err2 := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(netip.PrefixFrom(d.cfg.metadataHop(), 32)), Scope: netlink.SCOPE_LINK})
	err3 := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(d.cfg.MetadataRange.Masked()), Gw: hop,
		Src: net.IP(listen.AsSlice()), Flags: int(netlink.FLAG_ONLINK)})
	return errors.Join(err1, err2, err3)
}

// guestSideMAC is where the host sends what goes to guests; flows rewrite it.
const guestSideMAC = "fe:00:00:00:00:01"

// external gives the host its address on the external network, and leads
// guests further out if asked to.
func (d *Driver) external(ctx context.Context) error {
	link, err := raise(d.cfg.ExternalBridge())
	if err != nil || !d.cfg.External.IsValid() {
		return err
	}
	if err := ensureAddress(link, d.cfg.External); err != nil {
		return err
	}
	if !d.cfg.Masquerade {
		return nil
	}
	return d.forwarding(ctx)
}

// forwarding turns on routing of IPv4 in the host's network namespace.
func (d *Driver) forwarding(ctx context.Context) error {
	const path = "/proc/sys/net/ipv4/ip_forward"
	before, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read ip_forward: %w", err)
	}
	was := strings.TrimSpace(string(before))
	if was == "1" {
		return nil
	}
	if err := d.cfg.Ledger.Record(ctx, hostnet.Change{Kind: "sysctl", Name: "net.ipv4.ip_forward", Before: was}); err != nil {
		return err
	}
	return os.WriteFile(path, []byte("1"), 0)
}

// translate writes the whole packet filter table of this cloud at once.
func (d *Driver) translate(ctx context.Context) error {
	outward := d.cfg.Masquerade && d.cfg.External.IsValid()
	if !outward && !d.cfg.tunnels() {
		return nil
	}
	table := d.cfg.prefix()
	if err := d.cfg.Ledger.Record(ctx, hostnet.Change{Kind: "nft-table", Name: "ip " + table}); err != nil {
		return err
	}
	nft, err := knftables.New(knftables.IPv4Family, table)
	if err != nil {
		return fmt.Errorf("packet filter: %w", err)
	}
	tx := nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Add(&knftables.Chain{Name: "out", Type: knftables.PtrTo(knftables.NATType), Hook: knftables.PtrTo(knftables.PostroutingHook),
		Priority: knftables.PtrTo(knftables.SNATPriority)})
	tx.Add(&knftables.Chain{Name: "in", Type: knftables.PtrTo(knftables.NATType), Hook: knftables.PtrTo(knftables.PreroutingHook),
		Priority: knftables.PtrTo(knftables.DNATPriority)})
	tx.Flush(&knftables.Chain{Name: "out"})
	tx.Flush(&knftables.Chain{Name: "in"})
	if outward {
		tx.Add(&knftables.Rule{Chain: "out", Rule: knftables.Concat("ip saddr", d.cfg.External.Masked().String(), "oifname !=", d.cfg.ExternalBridge(), "masquerade")})
	}
	if d.cfg.tunnels() {
		own, _ := d.cfg.tunnelEnds()
		tx.Add(&knftables.Rule{Chain: "in", Rule: knftables.Concat("ip daddr", d.cfg.Encap.String(), "udp dport", genevePort, "dnat to", own.String())})
		tx.Add(&knftables.Rule{Chain: "out", Rule: knftables.Concat("ip saddr", own.String(), "udp dport", genevePort, "snat to", d.cfg.Encap.String())})
	}
	if err := nft.Run(ctx, tx); err != nil {
		return fmt.Errorf("packet filter: %w", err)
	}
	return nil
}

// TearDown undoes what the driver made on the host outside of the switch:
// taps, bridges, packet filter. ovn-controller must have been stopped: it makes
// its bridge again. What the ledger restores is left to it.
func (d *Driver) TearDown(ctx context.Context) error {
	states, err := d.Inventory(ctx)
	if err != nil {
		return err
	}
	ids := make([]string, len(states))
	for i, s := range states {
		ids[i] = s.ID
	}
	failed := []error{d.Remove(ctx, ids...)}
	for _, family := range []knftables.Family{knftables.IPv4Family, knftables.NetDevFamily} {
		nft, err := knftables.New(family, d.cfg.prefix())
		if err == nil {
			tx := nft.NewTransaction()
			tx.Add(&knftables.Table{}) // so that deleting it cannot fail
			tx.Delete(&knftables.Table{})
			failed = append(failed, nft.Run(ctx, tx))
		}
	}
	none := ovsdb.Operation{Op: ovsdb.OperationUpdate, Table: "Open_vSwitch", Where: theRoot(), Row: ovsdb.Row{"bridges": ovsdb.OvsSet{GoSet: []any{}}}}
	return errors.Join(append(failed, d.db.commit(ctx, none))...)
}

// raise waits for a bridge's link, which the switch makes, and sets it up.
func raise(name string) (netlink.Link, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("link %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("raise %s: %w", name, err)
	}
	return link, nil
}

func ensureAddress(link netlink.Link, p netip.Prefix) error {
	address := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
	if err := netlink.AddrReplace(link, address); err != nil {
		return fmt.Errorf("address %s on %s: %w", p, link.Attrs().Name, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
