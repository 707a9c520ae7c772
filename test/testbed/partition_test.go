package testbed_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/test/report"
	"github.com/mekcloud/mek/test/testbed"
)

// soak skips what "make test" has no time for.
func soak(t *testing.T) {
	t.Helper()
	if os.Getenv("MEK_SOAK") == "" {
		t.Skip("a part of make soak")
	}
}

// healBound is how soon after the end of a fault everything is as it must be.
const healBound = 10 * time.Second

// onePerServer checks that no server runs twice, and that each runs where the
// API says (I-01, I-02).
func (p *pair) onePerServer(r *report.Run, when string) {
	p.t.Helper()
	places := map[string][]string{}
	for _, m := range p.Machines {
		for _, id := range m.Guests() {
			places[id] = append(places[id], m.Name)
		}
	}
	for id, on := range places {
		if len(on) > 1 {
			r.Violation("I-02, %s: server %s runs on %s", when, id, strings.Join(on, " and "))
		}
	}
}

// TestPartitions cuts a host off its server in every way of F4. Meanwhile its
// guests go on, the server takes work for it, and afterwards both agree again
// within ten seconds.
func TestPartitions(t *testing.T) {
	soak(t)
	seed := report.Seed(t)
	r := report.Start(t, "F4", seed)
	long := min(10*time.Minute, report.Length(t, time.Minute))
	p := newPair(t, 2, seed)
	p.guests()
	for _, c := range []struct {
		name   string
		last   time.Duration
		inject func()
		flap   bool
		joined bool // traffic between the hosts goes on
	}{
		{"cut both ways, 5 s", 5 * time.Second, func() { p.Cut(p.home, p.other) }, false, false},
		{"cut towards the host, 20 s", 20 * time.Second, func() { p.CutOneWay(p.home, p.other) }, false, false},
		{"cut from the host, 20 s", 20 * time.Second, func() { p.CutOneWay(p.other, p.home) }, false, false},
		{"30 % lost, 30 s", 30 * time.Second, func() { p.Loss(p.home, p.other, 0.3) }, false, true},
		{"2 s late, 30 s", 30 * time.Second, func() { p.Delay(p.home, p.other, 2*time.Second) }, false, true},
		{"flapping each 5 s, 40 s", 40 * time.Second, func() { p.Cut(p.home, p.other) }, true, false},
		{"cut both ways, " + long.String(), long, func() { p.Cut(p.home, p.other) }, false, false},
	} {
		p.partition(r, c.name, c.last, c.inject, c.flap, c.joined)
	}
}

func (p *pair) partition(r *report.Run, name string, last time.Duration, inject func(), flap, joined bool) {
	p.t.Helper()
	clk := clock.Real{}
	victim := p.admin.Server("victim", p.other.Name)
	p.admin.Await(victim, "ACTIVE", 2*time.Minute)
	r.Fault(name, 1)
	begun, losses := clk.Now(), p.losses(p.other)
	inject()
	removed := p.admin.Remove(victim, 2*time.Minute) // its host cannot be asked: the delete must not wait for it
	r.Operations(2)
	if out, err := p.home.SSH(p.nearIP, "curl -s -m 10 http://169.254.169.254/latest/meta-data/instance-id"); err != nil || out == "" {
		r.Violation("I-33, %s: metadata near the server: %q %v", name, out, err)
	}
	for cut := true; clk.Now().Sub(begun) < last; {
		<-clk.After(min(5*time.Second, last-clk.Now().Sub(begun)))
		if flap {
			if cut = !cut; cut {
				inject()
			} else {
				p.Heal()
			}
		}
		p.onePerServer(r, name)
	}
	if n := len(p.other.Guests()); n == 0 {
		r.Violation("I-33, %s: the guests on the far host ended", name)
	}
	p.Heal()
	healed := clk.Now()
	within := func(what string, check func() (bool, string)) {
		p.t.Helper()
		p.Until(what, time.Minute, check)
		if took := clk.Now().Sub(healed); took > healBound {
			r.Violation("I-35, %s: %s %v after the fault ended", name, what, took.Round(100*time.Millisecond))
		} else {
			p.t.Logf("%s: %s after %v", name, what, took.Round(10*time.Millisecond))
		}
	}
	within("the lease is back", func() (bool, string) { return p.leased(p.other) })
	if !joined {
		p.seen(r, name, p.other, losses)
	}
	within("the deleted guest is gone", func() (bool, string) {
		guests := fmt.Sprint(p.other.Guests())
		return !strings.Contains(guests, victim), guests
	})
	within("the far guest answers", func() (bool, string) {
		out, err := p.home.SSH(p.farIP, "echo up")
		return out == "up", fmt.Sprint(out, err)
	})
	took := clk.Now().Sub(healed)
	p.onePerServer(r, "after "+name)
	r.Measured(name+": healed after, s", took.Seconds())
	r.Measured(name+": delete took, s", removed.Seconds())
}

func (p *pair) leased(m *testbed.Machine) (bool, string) {
	agents, err := p.admin.Network.List(p.t.Context(), "agents", "agents", hostFilter(m))
	return err == nil && len(agents) > 0 && agents[0]["alive"] == true, fmt.Sprint(agents, err)
}
