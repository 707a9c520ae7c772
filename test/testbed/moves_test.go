package testbed_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/test/report"
)

// TestMovesBetweenHosts drains a host whose guest has a volume, and resizes a
// guest to the other host, back, and there again. What guests wrote stays.
func TestMovesBetweenHosts(t *testing.T) {
	soak(t)
	r := report.Start(t, "F4", report.Seed(t))
	p := newPair(t, 2, 1)
	p.guests()
	volume := p.demo.MakeVolume("data")
	p.demo.Attach(p.far, volume)
	p.home.Guest(p.farIP, "echo on the volume | sudo dd of=/dev/vdb bs=512 count=1 conv=sync,fsync 2>/dev/null; echo kept > note; sync")
	loose := p.demo.MakeVolume("loose")

	clk := clock.Real{}
	begun := clk.Now()
	p.home.Mek("admin", "hosts", "drain", p.other.Name)
	r.Measured("drain of a guest with a volume, s", clk.Now().Sub(begun).Seconds())
	if host := p.hostOf(p.far); host != p.home.Name {
		t.Errorf("after the drain the server is on %s", host)
	}
	if host := p.admin.VolumeHost(loose); host == p.other.Name {
		t.Errorf("after the drain a volume is on %s", host)
	}
	p.home.AwaitSSH(p.farIP)
	if got := p.home.Guest(p.farIP, "cat note; sudo head -c 13 /dev/vdb"); got != "kept\non the volume" {
		t.Errorf("after the drain the guest reads %q", got)
	}
	p.home.Mek("admin", "hosts", "enable", p.other.Name)
	p.home.Mek("admin", "hosts", "drain", p.other.Name) // empty: nothing to do
	p.home.Mek("admin", "hosts", "enable", p.other.Name)

	// The home host takes nothing, so a resize goes to the other one.
	service := p.admin.ServiceOf(p.home.Name)
	p.admin.Disable(service, true)
	bigger := p.admin.Flavor("bigger", 2, 512, 1)
	p.home.Guest(p.nearIP, "echo near > note; sync")
	resize := func() {
		t.Helper()
		p.demo.Act(p.near, "resize", map[string]any{"flavorRef": bigger})
		p.demo.Await(p.near, "VERIFY_RESIZE", 3*time.Minute)
		if host := p.hostOf(p.near); host != p.other.Name {
			t.Errorf("resized on %s", host)
		}
	}
	check := func(when, cpus string) {
		t.Helper()
		p.home.AwaitSSH(p.nearIP)
		if got := p.home.Guest(p.nearIP, "cat note; grep -c ^processor /proc/cpuinfo"); got != "near\n"+cpus {
			t.Errorf("%s the guest says %q", when, got)
		}
		p.onePerServer(r, when)
	}
	resize()
	check("resized", "2")
	p.demo.Act(p.near, "revertResize", nil)
	p.demo.Await(p.near, "ACTIVE", 2*time.Minute)
	check("reverted", "1")
	resize()
	p.demo.Act(p.near, "confirmResize", nil)
	p.demo.Await(p.near, "ACTIVE", time.Minute)
	check("confirmed", "2")
	p.admin.Disable(service, false)
	r.Operations(8)
	p.Until("mek doctor finds nothing", time.Minute, func() (bool, string) {
		out, err := p.home.Try("doctor", "--json")
		return err == nil, fmt.Sprint(out, err)
	})
	if out, err := p.other.Try("doctor", "--json"); err != nil {
		t.Errorf("mek doctor on the host: %v\n%s", err, out)
	}
}
