package testbed_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/test/report"
	"github.com/mekcloud/mek/test/testbed"
)

// sample is one request of the measuring client.
type sample struct {
	at   time.Time
	took time.Duration
	ok   bool // at the first try
	then bool // at the second, if the first failed
}

// prober asks the API for its servers again and again, as a user does, and
// once more when that fails.
type prober struct {
	mu      sync.Mutex
	samples []sample
	stop    func()
}

const (
	probeEvery   = 100 * time.Millisecond
	probeTimeout = 2 * time.Second
)

func probe(t *testing.T, user *testbed.User) *prober {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &prober{}
	var work sync.WaitGroup
	p.stop = func() { cancel(); work.Wait() }
	t.Cleanup(p.stop)
	clk := clock.Real{}
	ask := func() bool {
		one, done := context.WithTimeout(ctx, probeTimeout)
		defer done()
		var out map[string][]apiclient.Object
		return user.Compute.Get(one, "servers?limit=1", &out) == nil
	}
	work.Go(func() {
		for ctx.Err() == nil {
			s := sample{at: clk.Now()}
			s.ok = ask()
			s.took = clk.Now().Sub(s.at)
			if !s.ok {
				s.then = ask()
			}
			if ctx.Err() == nil {
				p.mu.Lock()
				p.samples = append(p.samples, s)
				p.mu.Unlock()
			}
			select {
			case <-ctx.Done():
			case <-clk.After(probeEvery):
			}
		}
	})
	return p
}

func median(list []time.Duration) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return float64(list[len(list)/2].Microseconds()) / 1000
}

// outage sums up what the client saw of a fault that began at a time.
func (p *prober) outage(name string, fault time.Time) report.Outage {
	p.stop()
	o := report.Outage{Case: name}
	var before, under []time.Duration
	var first, last time.Time
	for _, s := range p.samples {
		switch {
		case s.at.Before(fault):
			before = append(before, s.took)
			continue
		case s.ok:
			under = append(under, s.took)
		default:
			o.Failed++
			if !s.then {
				o.Retried++
			}
			if first.IsZero() {
				first = s.at
			}
			last = s.at.Add(s.took)
		}
	}
	o.Before, o.Under = median(before), median(under)
	if !first.IsZero() {
		o.Errors = last.Sub(first).Milliseconds()
	}
	usual, run := 3*o.Before, 0
	for _, s := range p.samples { // ten good ones in a row, as fast as before
		if s.at.Before(fault) {
			continue
		}
		if s.ok && float64(s.took.Microseconds())/1000 <= usual && !s.at.Before(last) {
			if run++; run == 10 {
				o.Recovered = s.at.Sub(fault).Milliseconds()
				break
			}
			continue
		}
		run = 0
	}
	return o
}

// steady lets the client see what is usual.
func steady() { <-(clock.Real{}).After(5 * time.Second) }

// TestOutageOfAHostsLink cuts a host off the server's management network.
func TestOutageOfAHostsLink(t *testing.T) {
	soak(t)
	r := report.Start(t, "F14", report.Seed(t))
	p := newPair(t, 3, 1)
	user := p.Machines[2].UserOf(p.home, "demo")
	c := probe(t, user)
	steady()
	losses := p.losses(p.other)
	fault := clock.Real{}.Now()
	p.Cut(p.home, p.other)
	r.Fault("management link of a host cut", 1)
	<-(clock.Real{}).After(30 * time.Second)
	p.Heal()
	p.seen(r, "management link cut", p.other, losses)
	r.Measured("host's lease back, s", p.untilLeased(p.other, true, time.Minute).Seconds())
	steady()
	o := c.outage("management link of a host cut for 30 s", fault)
	r.Outage(o)
	r.Unavailable(time.Duration(o.Errors) * time.Millisecond)
	if o.Failed > 0 {
		r.Violation("%d requests failed, though only a host was cut off", o.Failed)
	}
}

// TestOutageOfAHost takes a host's power, and gives it back.
func TestOutageOfAHost(t *testing.T) {
	soak(t)
	r := report.Start(t, "F14", report.Seed(t))
	p := newPair(t, 3, 1)
	user := p.Machines[2].UserOf(p.home, "demo")
	id := p.admin.Server("there", p.other.Name)
	p.admin.Await(id, "ACTIVE", 2*time.Minute)
	c := probe(t, user)
	steady()
	clk := clock.Real{}
	fault := clk.Now()
	p.other.PowerOff()
	r.Fault("host killed", 1)
	r.Measured("lease lost after, s", p.untilLeased(p.other, false, 15*time.Second).Seconds())
	elsewhere := p.admin.Server("elsewhere", "")
	p.admin.Await(elsewhere, "ACTIVE", 2*time.Minute)
	p.other.PowerOn()
	on := clk.Now()
	p.untilLeased(p.other, true, time.Minute)
	r.Measured("host back after power, s", clk.Now().Sub(on).Seconds())
	p.admin.Await(id, "ACTIVE", time.Minute)
	p.Until("its guest runs again", time.Minute, func() (bool, string) { return slices.Contains(p.other.Guests(), id), "" })
	r.Measured("its guests back after power, s", clk.Now().Sub(on).Seconds())
	steady()
	o := c.outage("host killed", fault)
	r.Outage(o)
	r.Unavailable(time.Duration(o.Errors) * time.Millisecond)
	if o.Retried > 0 {
		r.Violation("%d requests failed twice, though only a host died", o.Retried)
	}
}

// TestOutageOfTheServer takes the power of the one machine with a server, and
// gives it back: nothing but its init starts anything.
func TestOutageOfTheServer(t *testing.T) {
	soak(t)
	r := report.Start(t, "F14", report.Seed(t))
	p := newPair(t, 2, 1)
	id := p.admin.Server("there", p.other.Name)
	p.admin.Await(id, "ACTIVE", 2*time.Minute)
	c := probe(t, p.other.UserOf(p.home, "demo"))
	steady()
	clk := clock.Real{}
	fault := clk.Now()
	p.home.PowerOff()
	r.Fault("server rebooted", 1)
	p.home.PowerOn()
	on := clk.Now()
	p.Until("the API answers", time.Minute, func() (bool, string) { _, err := p.admin.Show(id); return err == nil, "" })
	r.Measured("API back after power, s", clk.Now().Sub(on).Seconds())
	p.untilLeased(p.other, true, time.Minute)
	r.Measured("hosts back after power, s", clk.Now().Sub(on).Seconds())
	if !slices.Contains(p.other.Guests(), id) {
		r.Violation("I-33: a guest on another host ended with the server's machine")
	}
	steady()
	o := c.outage("machine of the server rebooted", fault)
	r.Outage(o)
	r.Unavailable(time.Duration(o.Errors) * time.Millisecond)
}

// TestOutageOfTheServersProcess kills the one server of a cloud as a bug would:
// whoever looks after it starts it again.
func TestOutageOfTheServersProcess(t *testing.T) {
	soak(t)
	r := report.Start(t, "F14", report.Seed(t))
	p := newPair(t, 2, 1)
	id := p.admin.Server("there", p.other.Name)
	p.admin.Await(id, "ACTIVE", 2*time.Minute)
	guests := p.processes()
	c := probe(t, p.other.UserOf(p.home, "demo"))
	steady()
	clk := clock.Real{}
	fault := clk.Now()
	p.home.Kill("server")
	r.Fault("the one server killed", 1)
	p.Until("the API answers", time.Minute, func() (bool, string) { _, err := p.admin.Show(id); return err == nil, "" })
	r.Measured("API back after kill -9, s", clk.Now().Sub(fault).Seconds())
	p.untilLeased(p.other, true, time.Minute)
	r.Measured("hosts back after kill -9, s", clk.Now().Sub(fault).Seconds())
	if after := p.processes(); after[id] != guests[id] || guests[id] == 0 {
		r.Violation("I-33: a guest is another process after the server was killed")
	}
	steady()
	o := c.outage("the one server killed", fault)
	r.Outage(o)
	r.Unavailable(time.Duration(o.Errors) * time.Millisecond)
	if o.Retried > 0 {
		r.Violation("%d requests failed twice, though the server came back", o.Retried)
	}
}
