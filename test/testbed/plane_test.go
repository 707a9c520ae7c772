package testbed_test

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/test/measured"
	"github.com/mekcloud/mek/test/testbed"
)

// together is how many guests start at once; ports is how many are wired.
const (
	together                       = 20
	ports, portClients, portRounds = 75, 4, 3
)

// BenchmarkDataPlane measures real guests and real ports: 20 servers from the
// first POST until the last is in its user space, beside a loop that starts as
// many QEMUs by hand; and ports from the first binding until the last is wired.
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
	b.Run("guests", func(b *testing.B) { guestsAtOnce(b, bed, m, u) })
}

// sign is what the kernel says when it starts its first program.
var sign = []byte("Run /init as init process")

func guestsAtOnce(b *testing.B, bed *testbed.Bed, m *testbed.Machine, u *testbed.User) {
	var ours, theirs, ratios []float64
	for round := range 2 {
		begun := time.Now()
		var ids []string
		for i := range together {
			ids = append(ids, u.Server(fmt.Sprintf("g%d-%d", round, i), ""))
		}
		bed.Until("all guests are in their user space", 10*time.Minute, func() (bool, string) {
			here := 0
			for _, id := range ids {
				if log, err := os.ReadFile(m.ConsoleLog(id)); err == nil && bytes.Contains(log, sign) {
					here++
				}
			}
			return here == together, fmt.Sprint(here)
		})
		ours = append(ours, time.Since(begun).Seconds())
		for _, id := range ids {
			u.Remove(id, 2*time.Minute)
		}
		theirs = append(theirs, loop(b).Seconds())
		ratios = append(ratios, theirs[round]/ours[round])
	}
	keep(b, measured.Line{Name: "data-plane/guests", Unit: "s", Spread: measured.SpreadOf(ours), Samples: len(ours), Note: "20 servers from the first POST until the last is in its user space"},
		measured.Line{Name: "data-plane/loop", Unit: "s", Spread: measured.SpreadOf(theirs), Samples: len(theirs), Note: "20 QEMUs by hand, started in a loop"},
		measured.Line{Name: "data-plane/guests-of-loop", Unit: "×", Spread: measured.SpreadOf(ratios), Samples: len(ratios)})
}

// loop starts as many guests by hand.
func loop(b *testing.B) time.Duration {
	dir := b.TempDir()
	image := filepath.Join(os.Getenv("MEK_TEST_GUEST"), "guest.qcow2")
	begun := time.Now()
	var all []*exec.Cmd
	for i := range together {
		cmd := exec.Command("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35,accel=tcg", "-cpu", "max", "-m", "512", "-smp", "1",
			"-drive", "file="+image+",format=qcow2,if=virtio,snapshot=on", "-serial", fmt.Sprintf("file:%s/%d", dir, i), "-monitor", "none")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		all = append(all, cmd)
	}
	defer func() {
		for _, cmd := range all {
			_, _ = cmd.Process.Kill(), cmd.Wait() // reports the signal
		}
	}()
	for i := range together {
		for log := filepath.Join(dir, fmt.Sprint(i)); ; {
			if text, err := os.ReadFile(log); err == nil && bytes.Contains(text, sign) {
				break
			}
			if time.Since(begun) > 10*time.Minute {
				b.Fatal("a guest by hand never came to its user space")
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	return time.Since(begun)
}

// portsAtOnce has ports bound and wired, without guests: a port is wired when its
// host has reported it.
func portsAtOnce(b *testing.B, bed *testbed.Bed, u *testbed.User) {
	network := u.Named(u.Network, "networks", "networks", "private")
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
		bed.Until("all ports are wired", 5*time.Minute, func() (bool, string) {
			down, err := u.Network.List(b.Context(), "ports", "ports", url.Values{"network_id": {network}, "binding:host_id": {host}, "status": {"DOWN"}, "fields": {"id", "name"}})
			return err == nil && len(down) == 0, fmt.Sprint(len(down), err)
		})
		rates = append(rates, ports/time.Since(begun).Seconds())
		b.Logf("%d ports: accepted after %v, %.1f/s", ports, accepted, rates[round])
	}
	keep(b, measured.Line{Name: "data-plane/ports", Unit: "ports/s", Spread: measured.SpreadOf(rates), Samples: len(rates),
		Note: fmt.Sprintf("%d ports from the first POST of %d clients until the last is wired; with those of the rounds before, %d at last; accepted after %.1f s", ports, portClients, ports*portRounds, accepted.Seconds())})
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
