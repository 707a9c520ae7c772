package testbed_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/test/report"
	"github.com/mekcloud/mek/test/testbed"
)

// TestThreeHosts takes one host's power while another one is cut off. The
// guests of the third do not notice, it takes new ones, servers of both others
// can be deleted; and when power and link are back all agree, by themselves.
func TestThreeHosts(t *testing.T) {
	soak(t)
	r := report.Start(t, "F4", report.Seed(t))
	p := newPair(t, 3, 1)
	dead, away := p.other, p.Machines[2]
	ids := map[string]string{}
	for name, on := range map[string]string{"near": p.home.Name, "dead": dead.Name, "dead, deleted": dead.Name, "away": away.Name, "away, deleted": away.Name} {
		ids[name] = p.admin.Server(strings.ReplaceAll(name, ", ", "-"), on)
	}
	for _, id := range ids {
		p.admin.Await(id, "ACTIVE", 3*time.Minute)
	}
	before := p.processes()
	p.nearIP = p.floatOfAdmin(ids["near"])
	seen := p.attend()
	c := probe(t, p.home.User("demo"))
	steady()

	clk := clock.Real{}
	fault := clk.Now()
	losses := map[*testbed.Machine]float64{dead: p.losses(dead), away: p.losses(away)}
	dead.PowerOff()
	p.Isolate(away)
	r.Fault("host lost its power", 1)
	r.Fault("host cut off", 1)
	p.untilLeased(dead, false, 20*time.Second)
	p.untilLeased(away, false, 20*time.Second)
	for m, before := range losses {
		p.seen(r, "one dead, one cut off", m, before)
	}
	fresh := p.admin.Server("fresh", "")
	p.admin.Await(fresh, "ACTIVE", 2*time.Minute)
	if host := p.hostOf(fresh); host != p.home.Name {
		r.Violation("a new server went to %s", host)
	}
	r.Measured("delete on a dead host, s", p.admin.Remove(ids["dead, deleted"], 2*time.Minute).Seconds())
	r.Measured("delete on a host that is cut off, s", p.admin.Remove(ids["away, deleted"], 2*time.Minute).Seconds())
	p.onePerServer(r, "one dead, one cut off")
	if !slices.Contains(away.Guests(), ids["away"]) {
		r.Violation("I-33: a guest ended with its host's link")
	}

	healed := clk.Now()
	p.Heal()
	dead.PowerOn()
	p.converge(r, ids, healed)
	steady()
	p.Until("mek doctor finds nothing", time.Minute, func() (bool, string) {
		out, err := p.home.Try("doctor", "--json")
		return err == nil, fmt.Sprint(out, err)
	})
	r.Measured("doctor finds nothing after, s", clk.Now().Sub(healed).Seconds())
	after := p.processes()
	for _, name := range []string{"near", "away"} {
		if before[ids[name]] != after[ids[name]] {
			r.Violation("I-33: the guest %s is another process", name)
		}
	}
	tries, failed := seen()
	r.Measured("answers of the undisturbed guest", tries)
	if failed != "" {
		r.Violation("I-33: the guest of the undisturbed host did not answer: %s", failed)
	}
	o := c.outage("one host killed and another cut off", fault)
	r.Outage(o)
	r.Operations(8)
	if o.Retried > 0 {
		r.Violation("%d requests failed twice, though only hosts were away", o.Retried)
	}
}

// converge waits for both hosts that were away, and for what they are to have.
func (p *pair) converge(r *report.Run, ids map[string]string, healed time.Time) {
	p.t.Helper()
	dead, away := p.other, p.Machines[2]
	clk := clock.Real{}
	p.untilLeased(away, true, time.Minute)
	took := clk.Now().Sub(healed)
	r.Measured("host that was cut off is back, s", took.Seconds())
	if took > healBound {
		r.Violation("I-35: the host that was cut off is back %v after its link", took)
	}
	p.Until("guests are where they belong", time.Minute, func() (bool, string) {
		here, there := dead.Guests(), away.Guests()
		return slices.Equal(here, []string{ids["dead"]}) && slices.Equal(there, []string{ids["away"]}), fmt.Sprint(here, there)
	})
	p.admin.Await(ids["dead"], "ACTIVE", time.Minute)
	r.Measured("all guests are where they belong after, s", clk.Now().Sub(healed).Seconds())
	p.onePerServer(r, "after the faults")
}

// processes are the processes of guests, by server.
func (p *pair) processes() map[string]int {
	out := map[string]int{}
	for _, m := range p.Machines {
		for pid, words := range m.Processes() {
			if at := slices.Index(words, "-uuid"); at >= 0 && at+1 < len(words) && strings.Contains(words[0], "qemu-system") {
				out[words[at+1]] = pid
			}
		}
	}
	return out
}

// floatOfAdmin gives a server of the administrator an address that is reached
// from the first machine, and waits until it answers pings.
func (p *pair) floatOfAdmin(id string) string {
	p.t.Helper()
	address := p.admin.Float(id)
	p.admin.LetPingIn(id)
	p.Until("the guest answers", 3*time.Minute, func() (bool, string) {
		out, err := p.home.Run(5*time.Second, "ping", "-c", "1", "-W", "1", address)
		return err == nil, fmt.Sprint(out, err)
	})
	return address
}

// attend pings the near guest again and again, until it is asked how often it
// answered and when it did not.
func (p *pair) attend() func() (tries int, failed string) {
	ctx, cancel := context.WithCancel(p.t.Context())
	var work sync.WaitGroup
	n, last := 0, ""
	work.Go(func() {
		for clk := (clock.Real{}); ctx.Err() == nil; n++ {
			if _, err := p.home.Run(15*time.Second, "ping", "-c", "1", "-w", "5", p.nearIP); err != nil && ctx.Err() == nil {
				last = clk.Now().Format(time.TimeOnly)
			}
			select {
			case <-ctx.Done():
			case <-clk.After(500 * time.Millisecond):
			}
		}
	})
	stop := func() { cancel(); work.Wait() }
	p.t.Cleanup(stop)
	return func() (int, string) { stop(); return n, last }
}
