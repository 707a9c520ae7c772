package ovs

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
	"github.com/vishvananda/netlink"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network/hostnet"
)

// Each change of the switch makes it look at all its ports again, and the
// packet filter and the flows are written by programs that have to be started:
// so ports are made together, at most this many, that the first need not wait
// for the last of thousands.
const together = 128

// tap is the link of a port.
type tap struct {
	port  hostnet.Port
	name  string
	index int
}

// Ensure makes the taps of ports and joins them to the integration bridge.
func (d *Driver) Ensure(ctx context.Context, ports []hostnet.Port) map[string]error {
	failed := map[string]error{}
	for some := range slices.Chunk(d.lacking(ports), together) {
		if ctx.Err() != nil {
			break // nobody wants to know
		}
		err := d.ensure(ctx, some, failed)
		if err == nil {
			continue
		}
		for _, p := range some { // one that is wrong shall not keep the others out
			alone := err
			if len(some) > 1 && ctx.Err() == nil && !fault.Is(err, fault.Unavailable) {
				alone = d.ensure(ctx, []hostnet.Port{p}, failed)
			}
			if alone != nil {
				failed[p.ID] = alone
			}
		}
	}
	return failed
}

// lacking are the ports of which something is not there, or not as it should be: a
// host with many shall not go through all of them for each that comes.
func (d *Driver) lacking(ports []hostnet.Port) []hostnet.Port {
	list, err := netlink.LinkList()
	if err != nil {
		return ports // each is looked at by itself
	}
	links := make(map[string]*netlink.LinkAttrs, len(list))
	for _, l := range list {
		links[l.Attrs().Name] = l.Attrs()
	}
	have := d.byName()
	d.sealMu.Lock()
	defer d.sealMu.Unlock()
	return slices.DeleteFunc(slices.Clone(ports), func(p hostnet.Port) bool {
		name := d.tap(p.ID)
		link, row := links[name], have[name]
		return link != nil && link.Flags&net.FlagUp != 0 && (p.MTU <= 0 || link.MTU == p.MTU) && (!d.cfg.Userspace || d.sealed[name] == link.Index) &&
			(tap{port: p, name: name, index: link.Index}).is(row) && forwards(row)
	})
}

// ensureLimit is how long ports that are made together may take.
const ensureLimit = time.Minute

// ensure notes in failed what concerns one port alone; its error concerns all. A
// newer document does not cut it short: it would find taps that are joined to
// nothing, and one after the other none would ever be finished.
func (d *Driver) ensure(ctx context.Context, ports []hostnet.Port, failed map[string]error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ensureLimit)
	defer cancel()
	changes := make([]hostnet.Change, len(ports))
	for i, p := range ports {
		changes[i] = hostnet.Change{Kind: "link", Name: d.tap(p.ID)}
	}
	if err := d.cfg.Ledger.Record(ctx, changes...); err != nil {
		return err
	}
	var laid []tap
	for _, p := range ports {
		t := tap{port: p, name: d.tap(p.ID)}
		var err error
		if t.index, err = layTap(t.name, !d.cfg.Userspace); err != nil {
			failed[p.ID] = err
			continue
		}
		laid = append(laid, t)
	}
	if err := d.seal(ctx, laid); err != nil { // before anything can come in
		return err
	}
	up, err := raiseTaps(laid, failed)
	if err != nil {
		return err
	}
	return d.join(ctx, up)
}

// raiseTaps lets frames in by taps, and answers those where that worked.
func raiseTaps(taps []tap, failed map[string]error) (up []tap, err error) {
	list := make([]linkChange, len(taps))
	for i, t := range taps {
		list[i] = linkChange{index: t.index, mtu: t.port.MTU, up: true}
	}
	problems, err := changeLinks(list)
	if err != nil {
		return nil, err
	}
	for _, t := range taps {
		if why := problems[t.index]; why != nil {
			failed[t.port.ID] = fmt.Errorf("raise tap %s: %w", t.name, why)
			continue
		}
		up = append(up, t)
	}
	return up, nil
}

// join puts taps into the integration bridge that are not there as they should be.
func (d *Driver) join(ctx context.Context, taps []tap) error {
	have, err := d.settled(ctx, taps)
	if err != nil {
		return err
	}
	var drop, add []ovsdb.Operation
	for _, t := range taps {
		row, joined := have[t.name]
		if joined && t.is(row) && forwards(row) {
			continue
		}
		if joined { // a tap made anew under its old row is silently cut off: join it anew
			drop = append(drop, d.db.dropPort(t.name)...)
		}
		number, err := d.numberOf(t.port.ID)
		if err != nil {
			return err
		}
		add = append(add, addPort(d.cfg.Integration(), t.name, "", nil, t.external(number))...)
	}
	if len(add) == 0 {
		return nil
	}
	if err := d.db.commit(ctx, drop...); err != nil {
		return err
	}
	if err := d.db.commit(ctx, add...); err != nil {
		return err
	}
	for _, t := range taps {
		if err := d.keepCaps(ctx, t.port.ID); err != nil {
			return err
		}
	}
	return d.guard(ctx)
}

// settled are the switch's interfaces by name. When a tap was joined and has no
// number yet, the switch is given the time to do what it was told: an earlier
// call may not have waited for it.
func (d *Driver) settled(ctx context.Context, taps []tap) (map[string]ifaceRow, error) {
	have := d.byName()
	if !slices.ContainsFunc(taps, func(t tap) bool { row, joined := have[t.name]; return joined && t.is(row) && !forwards(row) }) {
		return have, nil
	}
	if err := d.db.commit(ctx, look()); err != nil {
		return nil, err
	}
	return d.byName(), nil
}

func (d *Driver) byName() map[string]ifaceRow {
	rows := d.db.interfaces(isPort)
	out := make(map[string]ifaceRow, len(rows))
	for _, row := range rows {
		out[row.Name] = row
	}
	return out
}

func isPort(i *ifaceRow) bool { return i.External[idPort] != "" }

func forwards(i ifaceRow) bool { return i.Ofport != nil && *i.Ofport > 0 }

// wired tells whether all of OVN's flows of a port are in the switch.
func wired(i ifaceRow) bool { return i.External[idWired] == "true" && forwards(i) }

// is tells whether a row of the switch says what it should of the tap.
func (t tap) is(row ifaceRow) bool {
	x := row.External
	return x[idPort] == t.port.ID && x[idIface] == t.port.ID && x[idIndex] == strconv.Itoa(t.index) && (x[idOpen] == "true") == t.port.Unguarded
}

func (t tap) external(number uint32) map[string]string {
	return map[string]string{idIface: t.port.ID, idPort: t.port.ID, idIndex: strconv.Itoa(t.index), idMeta: strconv.Itoa(int(number)), "attached-mac": t.port.MAC,
		idOpen: strconv.FormatBool(t.port.Unguarded)}
}

// Remove takes ports off the switch and deletes their taps.
func (d *Driver) Remove(ctx context.Context, portIDs ...string) error {
	names := make([]string, len(portIDs))
	var drop []ovsdb.Operation
	for i, id := range portIDs {
		names[i] = d.tap(id)
		drop = append(drop, d.db.dropPort(names[i])...)
	}
	if err := d.db.commit(ctx, drop...); err != nil {
		return err
	}
	for _, id := range portIDs {
		d.forget(id)
	}
	if err := removeLinks(d.cfg.group(), names...); err != nil {
		return err
	}
	if err := d.unseal(names...); err != nil {
		return err
	}
	return d.cfg.Ledger.Forget(ctx, "link", names...)
}
