package ovs

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Router advertisements of guests are dropped where they come in: OVN lets them
// pass in front of all rules that can be written into its northbound, and a
// guest that sends one becomes its neighbours' router. The flows stand in front
// of OVN's own in the bridge that ovn-controller keeps. It takes them for nobody's and lets
// them be, but begins with an empty bridge when it starts, so they are looked
// after.

// guardCookie tells our flows from OVN's.
const guardCookie = 0x6d656b67

// guardEvery is how often to look whether the flows are there: how long a
// restarted ovn-controller can leave ports without.
const guardEvery = 3 * time.Second

// guard writes the flows of ports that changed, and the meters that they lead
// through: of all ports where others are missing.
func (d *Driver) guard(ctx context.Context) error {
	d.guardMu.Lock()
	defer d.guardMu.Unlock()
	want, ports := flows{0: dropped()}, d.guards()
	var meters []meter
	for _, p := range ports {
		want[p.number] = p.flows()
		meters = append(meters, p.meters...)
	}
	there := 0
	err := d.talk(ctx, d.cfg.Integration(), func(b *bridge) (err error) {
		if err = b.setMeters(meters); err == nil {
			there, err = b.countFlows(guardCookie)
		}
		return err
	})
	if err != nil {
		return err
	}
	text, whole := want.since(d.guarded, there, func(number int) string {
		return fmt.Sprintf("delete cookie=%#x/-1,table=0,in_port=%d\n", guardCookie, number)
	})
	if whole {
		text = fmt.Sprintf("delete cookie=%#x/-1\n", guardCookie) + text
	}
	d.guarded = nil
	if text != "" {
		if _, err := d.openFlow(ctx, d.cfg.Integration(), text, "--bundle", "add-flows", "-"); err != nil {
			return err
		}
	}
	d.guarded = want
	return nil
}

// flows are those of a bridge, as text, by the port they are for. None is empty.
type flows map[int]string

// since is what makes these flows out of others that were written, of which so
// many are there: of all, where some are missing.
func (f flows) since(was flows, there int, remove func(port int) string) (text string, whole bool) {
	var b strings.Builder
	if whole = was == nil || there < was.count(); !whole {
		for _, port := range slices.Sorted(maps.Keys(was)) {
			if was[port] != f[port] {
				b.WriteString(remove(port))
			}
		}
	}
	for _, port := range slices.Sorted(maps.Keys(f)) {
		if whole || was[port] != f[port] {
			b.WriteString(f[port])
		}
	}
	return b.String(), whole
}

func (f flows) count() (n int) {
	for _, text := range f {
		n += strings.Count(text, "\n")
	}
	return n
}

// guarded is what no guest may send: advertisements of routers; what says that it
// is shorter than its headers, in which the switch reads neither protocol nor type
// and whoever reads on might; and answers of DHCP, which OVN drops but in fragments.
var guarded = []string{"icmp6,icmp_type=134", "icmp6,icmp_type=0,ip_frag=no", "ipv6,nw_proto=0,ip_frag=no", "udp,tp_src=67,tp_dst=68"}

// The flows of a guarded port say of each frame, in the register that OVN will
// write the number of its logical port into, that it is to be guarded, and then
// begin anew, so that what is dropped is written once for all of them.
const (
	guardPriority = 30000 // above all of OVN's in its first table
	guardMark     = 0x677561
)

// dropped are the flows of what no guarded port may send.
func dropped() string {
	var b strings.Builder
	for _, what := range guarded {
		fmt.Fprintf(&b, "add cookie=%#x,table=0,priority=%d,reg14=%#x,%s,actions=drop\n", guardCookie, guardPriority, guardMark, what)
	}
	return b.String()
}

// guardedPort is a port in the bridge, as it is looked after.
type guardedPort struct {
	number int
	open   bool // it may send what it likes
	meters []meter
}

// flows are what stands in front of OVN's for the port.
func (p guardedPort) flows() string {
	var b strings.Builder
	mark := 0
	if !p.open {
		mark = guardMark
		fmt.Fprintf(&b, "add cookie=%#x,table=0,priority=%d,in_port=%d,reg14=0,actions=load:%#x->NXM_NX_REG14[],resubmit(,0)\n", guardCookie, guardPriority, p.number, mark)
	}
	meterFlows(&b, p.number, mark, p.meters)
	return b.String()
}

// guards are the ports in the bridge.
func (d *Driver) guards() []guardedPort {
	rows := d.db.interfaces(func(i *ifaceRow) bool { return isPort(i) && forwards(*i) })
	out := make([]guardedPort, len(rows))
	for n, i := range rows {
		out[n] = guardedPort{number: *i.Ofport, open: i.External[idOpen] == "true", meters: d.metersOf(i.External[idPort])}
	}
	slices.SortFunc(out, func(a, b guardedPort) int { return cmp.Compare(a.number, b.number) })
	return out
}

// keepGuard writes the flows again when they are not there.
func (d *Driver) keepGuard(ctx context.Context) {
	for pause(ctx, guardEvery) {
		want := d.guards()
		if len(want) == 0 {
			continue
		}
		least, have := len(guarded), 0
		for _, p := range want {
			least += strings.Count(p.flows(), "\n")
		}
		err := d.talk(ctx, d.cfg.Integration(), func(b *bridge) (err error) {
			have, err = b.countFlows(guardCookie)
			return err
		})
		if err == nil && have >= least {
			continue
		}
		if err == nil {
			err = d.guard(ctx)
		}
		if err != nil && ctx.Err() == nil {
			d.cfg.Log.Debug("guards of ports not written; trying again", "error", err) // the switch is away, which others tell
		}
	}
}
