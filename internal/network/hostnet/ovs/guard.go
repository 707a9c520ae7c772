package ovs

import (
	"context"
	"fmt"
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
const guardCookie = "0x6d656b67"

// guardEvery is how often to look whether the flows are there: how long a
// restarted ovn-controller can leave ports without.
const guardEvery = 3 * time.Second

// guard writes the flows of all guarded ports.
func (d *Driver) guard(ctx context.Context) error {
	d.guardMu.Lock()
	defer d.guardMu.Unlock()
	want, err := d.guards()
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "delete cookie=%s/-1\n", guardCookie)
	for _, port := range want {
		for _, what := range guarded {
			fmt.Fprintf(&b, "add cookie=%s,table=0,priority=%d,in_port=%d,%s,actions=drop\n", guardCookie, guardPriority, port, what)
		}
	}
	// Else a first fragment would have no ports to whoever writes flows.
	if _, err := d.openFlow(ctx, d.cfg.Integration(), "", "--no-names", "set-frags", "nx-match"); err != nil {
		return err
	}
	_, err = d.openFlow(ctx, d.cfg.Integration(), b.String(), "--bundle", "add-flows", "-")
	return err
}

// guarded is what no guest may send: advertisements of routers; what says that it
// is shorter than its headers, in which the switch reads neither protocol nor type
// and whoever reads on might; and answers of DHCP, which OVN drops but in fragments.
var guarded = []string{"icmp6,icmp_type=134", "icmp6,icmp_type=0,ip_frag=no", "ipv6,nw_proto=0,ip_frag=no", "udp,tp_src=67,tp_dst=68"}

// guardPriority is above all of OVN's in its first table.
const guardPriority = 30000

// guards are the numbers of guarded ports in the bridge.
func (d *Driver) guards() ([]int, error) {
	rows, err := d.db.interfaces(context.Background(), func(i *ifaceRow) bool {
		return i.External[idPort] != "" && i.External[idOpen] != "true" && i.Ofport != nil && *i.Ofport > 0
	})
	var out []int
	for _, i := range rows {
		out = append(out, *i.Ofport)
	}
	slices.Sort(out)
	return out, err
}

// keepGuard writes the flows again when they are not there.
func (d *Driver) keepGuard(ctx context.Context) {
	for pause(ctx, guardEvery) {
		want, err := d.guards()
		if err != nil || len(want) == 0 {
			continue
		}
		have, err := d.openFlow(ctx, d.cfg.Integration(), "", "--no-names", "dump-flows", "cookie="+guardCookie+"/-1")
		if err == nil && strings.Count(have, "actions=drop") >= len(want)*len(guarded) {
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
