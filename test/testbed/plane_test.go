package testbed_test

import (
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/test/measured"
	"github.com/mekcloud/mek/test/testbed"
)

// How much is measured: guests one by one, guests at once, ports at once.
const (
	pairs                          = 10
	together, crowdRounds          = 20, 2
	ports, portClients, portRounds = 100, 4, 3
)

// BenchmarkDataPlane measures real guests and real ports: single servers from the
// POST until they are in user space, and 20 from the first POST until the last is,
// beside as many QEMUs by hand; and ports from the first POST until the last is wired.
// It leaves lines of package test/measured.
//
//	MEK_BINARY=$PWD/bin/mek MEK_TEST_GUEST=$PWD/out/guest go test -run - -bench DataPlane -benchtime 1x ./test/testbed
func BenchmarkDataPlane(b *testing.B) {
	bed := testbed.New(b, 1, 1)
	m := bed.Machines[0]
	m.UpWith("quotas: {instances: -1, cores: -1, ram: -1, port: -1}\ncompute: {cpu_allocation_ratio: 100, ram_allocation_ratio: 10}\n")
	u := m.User("admin")
	u.KeepConnections()
	b.Run("ports", func(b *testing.B) { portsAtOnce(b, bed, u) })
	b.Run("pairs", func(b *testing.B) { guestPairs(b, bed, m, u) })
	b.Run("guests", func(b *testing.B) { guestsAtOnce(b, bed, m, u) })
}

// guestPairs measures single guests from the POST until they are in user space,
// each beside the same QEMU by hand.
func guestPairs(b *testing.B, bed *testbed.Bed, m *testbed.Machine, u *testbed.User) {
	var ours, theirs, late []float64
	var h *hand
	for i := range pairs + 1 {
		begun := time.Now()
		id := u.Server(fmt.Sprint("pair-", i), "")
		awaitSign(b, m.ConsoleLog(id), begun)
		took := time.Since(begun)
		if h == nil { // the first also brought the image to the host
			h = learn(b, m)
		}
		u.Remove(id, 2*time.Minute)
		by := h.together(1)
		if i > 0 {
			ours, theirs, late = append(ours, ms(took)), append(theirs, ms(by)), append(late, ms(took-by))
		}
	}
	keep(b, measured.Line{Name: "data-plane/guest", Unit: "ms", Spread: measured.SpreadOf(ours), Samples: len(ours), Note: "from the POST until the guest is in its user space"},
		measured.Line{Name: "data-plane/by-hand", Unit: "ms", Spread: measured.SpreadOf(theirs), Samples: len(theirs), Note: "the same QEMU by hand, its disk made first"},
		measured.Line{Name: "data-plane/guest-late", Unit: "ms", Spread: measured.SpreadOf(late), Samples: len(late), Note: "by pairs, one after the other"})
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func guestsAtOnce(b *testing.B, bed *testbed.Bed, m *testbed.Machine, u *testbed.User) {
	var ours, theirs, ratios []float64
	for round := range crowdRounds {
		begun := time.Now()
		ids := make([]string, together)
		for i := range ids {
			ids[i] = u.Server(fmt.Sprintf("g%d-%d", round, i), "")
		}
		for _, id := range ids {
			awaitSign(b, m.ConsoleLog(id), begun)
		}
		ours = append(ours, time.Since(begun).Seconds())
		h := learn(b, m)
		for _, id := range ids {
			u.Remove(id, 2*time.Minute)
		}
		theirs = append(theirs, h.together(together).Seconds())
		ratios = append(ratios, theirs[round]/ours[round])
	}
	keep(b, measured.Line{Name: "data-plane/guests", Unit: "s", Spread: measured.SpreadOf(ours), Samples: len(ours), Note: "20 servers from the first POST until the last is in its user space"},
		measured.Line{Name: "data-plane/loop", Unit: "s", Spread: measured.SpreadOf(theirs), Samples: len(theirs), Note: "20 QEMUs by hand, started in a loop"},
		measured.Line{Name: "data-plane/guests-of-loop", Unit: "×", Spread: measured.SpreadOf(ratios), Samples: len(ratios)})
}

// portsAtOnce has ports bound and wired, without guests: a port is wired when its
// host has reported it.
func portsAtOnce(b *testing.B, bed *testbed.Bed, u *testbed.User) {
	network := u.MakeNetwork("wide", "10.99.0.0/16")
	host := ""
	for name := range u.Hosts() {
		host = name
	}
	var rates []float64
	var accepted time.Duration
	for round := range portRounds {
		begun := time.Now()
		var clients sync.WaitGroup
		for k := range portClients {
			clients.Go(func() {
				for i := k; i < ports; i += portClients {
					u.Port(network, host, fmt.Sprintf("wired-%d-%d", round, i))
				}
			})
		}
		clients.Wait()
		accepted = time.Since(begun)
		for { // looked at often: it is part of what is measured
			down, err := u.Network.List(b.Context(), "ports", "ports", url.Values{"network_id": {network}, "binding:host_id": {host}, "status": {"DOWN"}, "fields": {"id", "name"}})
			if err == nil && len(down) == 0 {
				break
			}
			if time.Since(begun) > 5*time.Minute {
				b.Fatalf("%d ports were never wired: %v", len(down), err)
			}
			<-time.After(20 * time.Millisecond)
		}
		rates = append(rates, ports/time.Since(begun).Seconds())
		u.RemovePorts(network, host)
		b.Logf("%d ports: accepted after %v, %.1f/s", ports, accepted, rates[round])
	}
	keep(b, measured.Line{Name: "data-plane/ports", Unit: "ports/s", Spread: measured.SpreadOf(rates), Samples: len(rates),
		Note: fmt.Sprintf("%d ports from the first POST of %d clients until the last is wired; accepted after %.1f s", ports, portClients, accepted.Seconds())})
}

func keep(b *testing.B, lines ...measured.Line) {
	b.Helper()
	for _, l := range lines {
		b.Logf("%s: %.2f %s (%.2f–%.2f)", l.Name, l.Value, l.Unit, l.Least, l.Most)
	}
	if err := measured.Append(lines...); err != nil {
		b.Error(err)
	}
}
