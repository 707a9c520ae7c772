package testbed_test

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/test/report"
	"github.com/mekcloud/mek/test/testbed"
)

// pair is a cloud of machines with a guest on each of the first two.
type pair struct {
	*testbed.Bed
	t             *testing.T
	home, other   *testbed.Machine
	demo, admin   *testbed.User
	near, far     string // servers, on home and on other
	nearIP, farIP string // their floating addresses
	farFixed      string
}

// newPair makes a cloud of n machines, and its two guests unless bare.
func newPair(t *testing.T, n int, seed uint64) *pair {
	t.Helper()
	p := &pair{Bed: testbed.New(t, n, seed), t: t}
	p.home, p.other = p.Machines[0], p.Machines[1]
	p.home.Up()
	for _, m := range p.Machines[1:] {
		m.Join(p.home)
	}
	p.demo, p.admin = p.home.User("demo"), p.home.User("admin")
	return p
}

// guests makes a server on each of the first two machines, reached by ssh.
func (p *pair) guests() {
	p.t.Helper()
	on := map[string]string{}
	for i := 0; len(on) < 2; i++ {
		if i == 4 {
			p.t.Fatalf("servers do not spread: %v", on)
		}
		id := p.demo.Server(fmt.Sprintf("g%d", i), "")
		p.demo.Await(id, "ACTIVE", time.Minute)
		host := p.hostOf(id)
		if on[host] != "" || host != p.home.Name && host != p.other.Name {
			p.demo.Remove(id, time.Minute)
			continue
		}
		on[host] = id
	}
	p.near, p.far = on[p.home.Name], on[p.other.Name]
	p.nearIP, p.farIP = p.demo.Float(p.near), p.demo.Float(p.far)
	s, err := p.demo.Show(p.far)
	if err != nil {
		p.t.Fatal(err)
	}
	p.farFixed = p.demo.AddressOf(s)
	p.home.AwaitSSH(p.nearIP)
	p.home.AwaitSSH(p.farIP)
}

func (p *pair) hostOf(id string) string {
	p.t.Helper()
	s, err := p.admin.Show(id)
	if err != nil {
		p.t.Fatal(err)
	}
	return s.Text("OS-EXT-SRV-ATTR:host")
}

// served checks what a guest needs of its network: its neighbour on the other
// host, metadata, and a renewed lease.
func (p *pair) served(when string) {
	p.t.Helper()
	for what, command := range map[string]string{
		"ping":     "ping -c 3 -W 3 " + p.farFixed + " | grep -o '[0-9]* packets received'",
		"metadata": "curl -s -m 10 http://169.254.169.254/latest/meta-data/instance-id",
		"lease":    "sudo udhcpc -n -q -f -t 5 -i eth0 2>&1 | grep -o 'lease of [0-9.]* obtained'",
	} {
		out, err := p.home.SSH(p.nearIP, command)
		if err != nil || out == "" || what == "ping" && out != "3 packets received" {
			p.t.Errorf("%s, %s: %q %v", when, what, out, err)
		}
	}
}

func (p *pair) untilHost(m *testbed.Machine, state string, limit time.Duration) time.Duration {
	p.t.Helper()
	return p.Until("host "+m.Name+" is "+state, limit, func() (bool, string) {
		seen := p.admin.Hosts()
		return seen[m.Name] == state, fmt.Sprint(seen)
	})
}

func hostFilter(m *testbed.Machine) url.Values { return url.Values{"host": {m.Name}} }

// untilLeased waits until the server has, or has lost, a host's lease.
func (p *pair) untilLeased(m *testbed.Machine, alive bool, limit time.Duration) time.Duration {
	p.t.Helper()
	return p.Until(fmt.Sprintf("the lease of %s is %v", m.Name, alive), limit, func() (bool, string) {
		agents, err := p.admin.Network.List(p.t.Context(), "agents", "agents", hostFilter(m))
		return err == nil && len(agents) > 0 && agents[0]["alive"] == alive, fmt.Sprint(agents, err)
	})
}

// losses is how often the server has noticed that a host fell silent.
func (p *pair) losses(m *testbed.Machine) float64 {
	return p.home.Metric("mek_host_losses_total", `host="`+m.Name+`"`)
}

// seen checks that a host's loss shows where operators look.
func (p *pair) seen(r *report.Run, what string, m *testbed.Machine, before float64) {
	p.t.Helper()
	var now float64
	for clk, begun := (clock.Real{}), (clock.Real{}).Now(); clk.Now().Sub(begun) < 5*time.Second; <-clk.After(100 * time.Millisecond) {
		if now = p.losses(m); now > before {
			return // it is counted right after the lease is over
		}
	}
	r.Violation("I-42, %s: losses of %s are %v and were %v", what, m.Name, now, before)
}

// TestTwoHosts: guests on two machines talk, move from one to the other, and
// go on without the server; a machine dies and comes back; it is drained and removed.
func TestTwoHosts(t *testing.T) {
	if testing.Short() {
		t.Skip("boots guests on two machines")
	}
	r := report.Start(t, "F4", report.Seed(t))
	p := newPair(t, 2, 1)
	p.guests()
	p.served("at first")

	// Without the server: supervisor first, so that it does not come back.
	p.home.Kill("supervise")
	p.home.Kill("server")
	r.Fault("server killed", 1)
	p.served("while the server is down")
	p.home.Boot()
	p.untilHost(p.other, "up", 30*time.Second)

	// A guest moves to the other machine with what it wrote.
	p.home.Guest(p.farIP, "echo kept > note; sync")
	p.admin.Act(p.far, "migrate", nil)
	p.demo.Await(p.far, "VERIFY_RESIZE", 2*time.Minute)
	p.demo.Act(p.far, "confirmResize", nil)
	p.demo.Await(p.far, "ACTIVE", time.Minute)
	if host := p.hostOf(p.far); host != p.home.Name {
		t.Errorf("migrated to %s", host)
	}
	p.home.AwaitSSH(p.farIP)
	if got := p.home.Guest(p.farIP, "cat note"); got != "kept" {
		t.Errorf("after the move the guest reads %q", got)
	}

	// A machine dies with a guest: others work, its guest can be deleted, and it finds that out.
	lost := p.admin.Server("lost", p.other.Name)
	p.admin.Await(lost, "ACTIVE", time.Minute)
	if got := p.other.Guests(); !slices.Equal(got, []string{lost}) {
		t.Errorf("%s runs %v, not only %s", p.other.Name, got, lost)
	}
	losses := p.losses(p.other)
	p.other.PowerOff()
	r.Fault("host lost its power", 1)
	p.untilLeased(p.other, false, 15*time.Second)
	p.seen(r, "a host lost its power", p.other, losses)
	elsewhere := p.admin.Server("elsewhere", "")
	p.admin.Await(elsewhere, "ACTIVE", time.Minute)
	if host := p.hostOf(elsewhere); host != p.home.Name {
		t.Errorf("a server went to %s, which is dead", host)
	}
	r.Measured("delete on a dead host, s", p.admin.Remove(lost, 2*time.Minute).Seconds())
	p.other.PowerOn()
	r.Measured("host back after power, s", p.untilLeased(p.other, true, time.Minute).Seconds())
	p.Until("ghosts are gone", 30*time.Second, func() (bool, string) { n := p.other.Guests(); return len(n) == 0, fmt.Sprint(n) })
	p.leave(r)
}

// leave drains the other machine and removes it; its certificate opens nothing then.
func (p *pair) leave(r *report.Run) {
	p.t.Helper()
	p.home.Mek("admin", "hosts", "drain", p.other.Name)
	p.home.Mek("admin", "hosts", "remove", p.other.Name)
	if _, there := p.admin.Hosts()[p.other.Name]; there {
		p.t.Errorf("host %s is still listed", p.other.Name)
	}
	p.Until("the host is cut off", 10*time.Second, func() (bool, string) {
		out, err := p.home.Run(10*time.Second, "ss", "-Htn", "state", "established", "src", p.home.Address, "dst", p.other.Address)
		return err == nil && strings.TrimSpace(out) == "", fmt.Sprint(out, err)
	})
	providers, err := p.admin.Compute.List(p.t.Context(), "os-hypervisors", "hypervisors", url.Values{})
	if err != nil || len(providers) != 1 {
		p.t.Errorf("%d hypervisors are left: %v", len(providers), err)
	}
	p.Until("OVN has no chassis of it", time.Minute, func() (bool, string) {
		out := ""
		for _, table := range []string{"Chassis", "Chassis_Private", "Encap"} {
			column := map[bool]string{true: "chassis_name", false: "name"}[table == "Encap"]
			text, err := p.home.Run(10*time.Second, "ovn-sbctl", "--db=unix:"+filepath.Join(p.home.Config().RunDir(), "ovn", "sb.sock"), "--bare", "--columns", column, "list", table)
			if err != nil {
				return false, err.Error()
			}
			out += text
		}
		return !strings.Contains(out, p.other.Name), out
	})
	p.other.Join(p.home) // anew, with a token and a key of its own
	p.untilHost(p.other, "up", 30*time.Second)
	r.Operations(1)
}
