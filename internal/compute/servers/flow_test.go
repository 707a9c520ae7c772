package servers

import (
	"context"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/sim"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/test/await"
)

// A delete that comes while a server is being made, by a host that cannot make
// it, ends both.
func TestDeleteWhileCreating(t *testing.T) {
	f := newFront(t)
	f.fail = func(call, _ string) sim.Fault {
		if call == "ensure" {
			return sim.Fault{Err: fault.Unavailablef("not yet")}
		}
		return sim.Fault{}
	}
	out := f.want(202, "member", "2.90", "POST", "/servers", plainBody)
	id := at(out, "server.id").(string)
	await.That(t, "spawning", func() bool {
		one, err := f.servers.Get(context.Background(), id)
		return err == nil && one.Task == compute.Spawning
	})
	if s := f.want(200, "member", "2.1", "GET", "/servers/"+id, ""); at(s, "server.status") != "BUILD" || at(s, "server.OS-EXT-STS:task_state") != "spawning" {
		t.Errorf("%v", s)
	}
	f.want(204, "member", "2.1", "DELETE", "/servers/"+id, "")
	f.idle()
	f.check(t, 0, 0, 0, 1, 0, false)
}

// A server on a host that is gone can be deleted; the host finds out when it is back.
func TestDeleteWithTheHostGone(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	f.leave()
	await.That(t, "host gone", func() bool { return !f.hub.Alive("host-a") })
	f.want(204, "member", "2.1", "DELETE", "/servers/"+id, "")
	f.idle()
	f.want(404, "member", "2.1", "GET", "/servers/"+id, "")
	if n := len(f.guests()); n != 1 {
		t.Errorf("%d guests are still on the host", n)
	}
	f.rejoin()
	await.That(t, "the host removed it", func() bool { return len(f.guests()) == 0 })
}

// A host starts a guest while it connects its ports, but the server is ACTIVE only
// when they forward (I-21).
func TestGuestIsMadeWhileItsPortsAreConnected(t *testing.T) {
	f := newFront(t)
	f.net.held = make(chan struct{})
	out := f.want(202, "member", "2.90", "POST", "/servers", plainBody)
	id := at(out, "server.id").(string)
	await.That(t, "the guest runs", func() bool { return len(f.guests()) == 1 && f.guests()[0].Power == guest.Running })
	if s := f.want(200, "member", "2.1", "GET", "/servers/"+id, ""); at(s, "server.status") != "BUILD" || at(s, "server.OS-EXT-STS:task_state") != "spawning" {
		t.Errorf("without ports: %v", s)
	}
	close(f.net.held)
	f.idle()
	if s := f.want(200, "member", "2.1", "GET", "/servers/"+id, ""); at(s, "server.status") != "ACTIVE" {
		t.Errorf("with ports: %v", s)
	}
}

func TestAHostThatCannotMakeTheGuest(t *testing.T) {
	f := newFront(t)
	f.fail = func(call, _ string) sim.Fault {
		if call == "ensure" {
			return sim.Fault{Err: fault.Invalidf("this machine type is unknown")}
		}
		return sim.Fault{}
	}
	id := f.boot(plainBody)
	s := f.want(200, "member", "2.1", "GET", "/servers/"+id, "")
	if at(s, "server.status") != "ERROR" || at(s, "server.fault.message") != "this machine type is unknown" {
		t.Errorf("%v", s)
	}
	f.check(t, 1, 0, 0, 1, 0, false)
	log := f.want(200, "member", "2.62", "GET", "/servers/"+id+"/os-instance-actions", "")
	if at(log, "instanceActions.message") != "Error" {
		t.Errorf("%v", log)
	}
	f.want(204, "member", "2.1", "DELETE", "/servers/"+id, "")
	f.idle()
	f.check(t, 0, 0, 0, 1, 0, false)
}

// What a guest does by itself shows, and only what its own host says of it.
func TestObserved(t *testing.T) {
	base := Server{Server: compute.Server{Host: "h", VM: compute.Active, Power: compute.PowerRunning, PowerSerial: 3}, Defined: true}
	for name, c := range map[string]struct {
		change func(s *Server)
		host   string
		facts  guest.Facts
		vm     compute.VMState
		power  compute.PowerState
	}{
		"went off":      {nil, "h", guest.Facts{Power: guest.Stopped, PowerSerial: 3}, compute.VMStopped, compute.PowerShutdown},
		"crashed":       {nil, "h", guest.Facts{Power: guest.Crashed, PowerSerial: 3}, compute.VMStopped, compute.PowerCrashed},
		"paused":        {nil, "h", guest.Facts{Power: guest.Paused, PowerSerial: 3}, compute.VMPaused, compute.PowerPaused},
		"stands still":  {nil, "h", guest.Facts{Power: guest.Paused, Stalled: true, PowerSerial: 3}, compute.Active, compute.PowerPaused},
		"suspended":     {nil, "h", guest.Facts{Power: guest.Suspended, PowerSerial: 3}, compute.VMSuspended, compute.PowerShutdown},
		"still runs":    {nil, "h", guest.Facts{Power: guest.Running, PowerSerial: 3}, compute.Active, compute.PowerRunning},
		"runs again":    {func(s *Server) { s.VM = compute.VMStopped }, "h", guest.Facts{Power: guest.Running, PowerSerial: 3}, compute.Active, compute.PowerRunning},
		"other host":    {nil, "x", guest.Facts{Power: guest.Stopped, PowerSerial: 3}, compute.Active, compute.PowerRunning},
		"old serial":    {nil, "h", guest.Facts{Power: guest.Stopped, PowerSerial: 2}, compute.Active, compute.PowerRunning},
		"has a task":    {func(s *Server) { s.Task = compute.Rebooting }, "h", guest.Facts{Power: guest.Stopped, PowerSerial: 3}, compute.Active, compute.PowerRunning},
		"not defined":   {func(s *Server) { s.Defined = false }, "h", guest.Facts{Power: guest.Stopped, PowerSerial: 3}, compute.Active, compute.PowerRunning},
		"error is kept": {func(s *Server) { s.VM = compute.VMError }, "h", guest.Facts{Power: guest.Running, PowerSerial: 3}, compute.VMError, compute.PowerRunning},
	} {
		one := base
		if c.change != nil {
			c.change(&one)
		}
		vm, power, changed := observed(&one, c.host, c.facts)
		if vm != c.vm || power != c.power || changed != (vm != one.VM || power != one.Power) {
			t.Errorf("%s: %s %d %v", name, vm, power, changed)
		}
	}
}

func TestReportsReachServers(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	report := hostlink.Report{Host: "host-a", Section: hostlink.Guests, Objects: []hostlink.ObjectReport{
		{ID: id, Facts: mustJSON(guest.Facts{ID: id, Power: guest.Stopped, PowerSerial: 1})},
		{ID: "nobody", Facts: mustJSON(guest.Facts{Power: guest.Running})}, {ID: "silent"}}}
	if err := f.servers.Observe(context.Background(), report); err != nil {
		t.Fatal(err)
	}
	s := f.want(200, "member", "2.1", "GET", "/servers/"+id, "")
	if at(s, "server.status") != "SHUTOFF" || at(s, "server.OS-EXT-STS:power_state") != 4.0 {
		t.Errorf("%v", s)
	}
	report.Objects[0].Facts = []byte("{")
	if err := f.servers.Observe(context.Background(), report); err == nil {
		t.Error("facts that cannot be read are accepted")
	}
	// the guest does run: what was wrongly told is repaired
	if err := f.servers.syncPower(context.Background()); err != nil {
		t.Fatal(err)
	}
	if s := f.want(200, "member", "2.1", "GET", "/servers/"+id, ""); at(s, "server.status") != "ACTIVE" {
		t.Errorf("%v", s)
	}
}

func TestLostTasksAreEnded(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	row, err := serverRows.Get(context.Background(), f.db, id)
	if err != nil {
		t.Fatal(err)
	}
	one := row.server()
	one.Task, one.UpdatedAt = compute.Deleting, 1
	f.store(t, one)
	if err := f.servers.endLostTasks(context.Background()); err != nil {
		t.Fatal(err)
	}
	s := f.want(200, "member", "2.1", "GET", "/servers/"+id, "")
	if at(s, "server.status") != "ERROR" || at(s, "server.OS-EXT-STS:task_state") != nil || !strings.Contains(at(s, "server.fault.message").(string), "lost") {
		t.Errorf("%v", s)
	}
}

// Whatever the body of a create is, it is refused or understood.
func FuzzCreateBody(f *testing.F) {
	for _, s := range []string{plainBody, `{"server":{"name":"x","flavorRef":1,"networks":[{"port":"x"}],"block_device_mapping_v2":[{"source_type":"blank","volume_size":"x","boot_index":-1}]}}`,
		`{"server":{"name":"x","flavorRef":"a","block_device_mapping":[{"volume_id":1}],"config_drive":{}},"os:scheduler_hints":{"group":[1],"same_host":"x"}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m mapping
		var size, index any = string(raw), float64(len(raw))
		m.Source, m.UUID.V, m.UUID.Set = "volume", string(raw), true
		m.Size.V, m.BootIndex.V = size, index
		if d, err := m.disk(); err == nil && (d.UUID == "" || d.SizeGiB < 0) {
			t.Fatalf("%+v", d)
		}
		if h := hostnameOf(string(raw), "id"); h == "" || len(h) > 63 || strings.ContainsAny(h, " \n./_") {
			t.Fatalf("host name %q", h)
		}
		if tags := strings.Split(string(raw), "\n"); checkTags(tags) == nil {
			for _, tag := range tags {
				if tag == "" || strings.ContainsAny(tag, "/,") {
					t.Fatalf("tag %q", tag)
				}
			}
		}
	})
}
