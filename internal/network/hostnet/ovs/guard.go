package ovs

import (
	"cmp"
	"context"
	"slices"
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
	err := d.talk(ctx, d.cfg.Integration(), func(b *bridge) error {
		if err := b.setMeters(meters); err != nil {
			return err
		}
		return b.renew(d.guarded, want, guardCookie, func(port int) flow {
			return flow{cookie: guardCookie, match: fields{}.inPort(uint32(port))}
		})
	})
	if d.guarded = want; err != nil {
		d.guarded = nil
	}
	return err
}

// guarded is what no guest may send: advertisements of routers; what says that it
// is shorter than its headers, in which the switch reads neither protocol nor type
// and whoever reads on might; and answers of DHCP, which OVN drops but in fragments.
var guarded = []fields{
	fields{}.ethernet(etherIPv6).icmp6(134),
	fields{}.ethernet(etherIPv6).whole().icmp6(0),
	fields{}.ethernet(etherIPv6).whole().protocol(0),
	fields{}.ethernet(etherIPv4).protocol(protoUDP).udp(67, 68),
}

// The flows of a guarded port say of each frame, in the register that OVN will
// write the number of its logical port into, that it is to be guarded, and then
// begin anew, so that what is dropped is written once for all of them.
const (
	guardPriority = 30000 // above all of OVN's in its first table
	guardMark     = 0x677561
)

// dropped are the flows of what no guarded port may send.
func dropped() (list []string) {
	for _, what := range guarded {
		f := flow{cookie: guardCookie, priority: guardPriority, match: append(fields{}.register14(guardMark), what...)}
		list = append(list, f.added())
	}
	return list
}

// guardedPort is a port in the bridge, as it is looked after.
type guardedPort struct {
	number int
	open   bool // it may send what it likes
	meters []meter
}

// flows are what stands in front of OVN's for the port.
func (p guardedPort) flows() (list []string) {
	mark := uint32(0)
	if !p.open {
		mark = guardMark
		list = append(list, flow{cookie: guardCookie, priority: guardPriority, match: fields{}.inPort(uint32(p.number)).register14(0),
			do: actions{}.set(fields{}.register14(mark)).again()}.added())
	}
	return append(list, meterFlows(uint32(p.number), mark, p.meters)...)
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
			least += len(p.flows())
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
