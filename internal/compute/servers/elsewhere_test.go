package servers

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/sim"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/task"
	"github.com/mekcloud/mek/test/await"
)

// die makes the first host fall silent and count as down; what it has stays.
func (w *surroundings) die() {
	w.dead.Store(true)
	leave := w.leave
	w.leave = nil
	go leave() // which waits for what it is called from
	for w.hub.Alive("host-a") {
		runtime.Gosched()
	}
}

// A server whose host dies while it is made is made on another host, unless
// the dead one may run it and nobody vouches that it does not.
func TestCreateGoesElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		leave, fenced bool // given before the host died
		host          string
		status        compute.Status
	}{
		"before it asked":                   {host: "host-b", status: "ACTIVE"},
		"after it had leave":                {leave: true, status: "ERROR"},
		"after it had leave, and is fenced": {leave: true, fenced: true, host: "host-b", status: "ACTIVE"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSurroundings(t)
			w.addHost()
			w.fenced = c.fenced
			w.fail = func(call, _ string) sim.Fault {
				if call == "ensure" && !w.dead.Load() && !c.leave {
					w.die()
				}
				return sim.Fault{}
			}
			w.asked = func(host string) {
				if host == "host-a" && c.leave {
					w.die()
				}
			}
			w.prepare(t, create)
			one := w.only(t)
			if one.Host != c.host || one.Status != c.status || one.Task != "" || one.Defined != (c.host != "") {
				t.Fatalf("%s on %q (%s): %+v", one.Status, one.Host, one.Task, one.Fault)
			}
			if c.host == "" {
				w.check(t, 1, 1, 0, 1, 0, false)
				if !strings.Contains(one.Fault.Message, "went down while") {
					t.Errorf("it says %q", one.Fault.Message)
				}
			} else {
				w.check(t, 1, 2, 1, 2, 2, true)
				held, err := w.place.AllocationsOf(t.Context(), nil, one.ID)
				if err != nil || len(held) != 1 || len(held[hostB]) == 0 {
					t.Errorf("it holds %v, %v", held, err)
				}
				if err := w.servers.Told(t.Context(), "host-a", hostlink.Message{Object: one.ID, Verb: hostlink.VerbStart}); !fault.Is(err, fault.NotFound) {
					t.Errorf("the first host asks again: %v", err)
				}
			}
			for _, f := range w.guestsOfFirst() {
				if !c.leave && f.Power != guest.Stopped {
					t.Errorf("the first host has a guest that is %s", f.Power)
				}
			}
			w.dead.Store(false)
			w.rejoin()
			await.That(t, "the first host lets go", func() bool { return len(w.guestsOfFirst()) == 0 })
		})
	}
}

// A host that cannot ask does not run what is new to it, and asks again.
func TestGuestsWaitForLeave(t *testing.T) {
	w := newSurroundings(t)
	e := w.open(task.Options{DB: w.db, Clock: clock.Real{}, Owner: "test"})
	refused := make(chan struct{}, 100)
	w.hub.OnTell(hostlink.Guests, func(context.Context, string, hostlink.Message) error {
		select {
		case refused <- struct{}{}:
		default: // often enough
		}
		if len(refused) < 2 {
			return fault.Unavailablef("not now")
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	defer func() { cancel(); <-done }()
	if err := bare(w); err != nil {
		t.Fatal(err)
	}
	<-refused
	for _, f := range w.guests() {
		if f.Power == guest.Running {
			t.Error("it runs without leave")
		}
	}
	refused <- struct{}{}
	if err := e.Idle(ctx); err != nil {
		t.Fatal(err)
	}
	if one := w.only(t); one.Status != "ACTIVE" {
		t.Errorf("%s %+v", one.Status, one.Fault)
	}
}

// A server that has gone off by itself stays off when it is moved.
func TestMovedServersStayOff(t *testing.T) {
	for name, before := range map[string]func(w *surroundings) error{"paused": power("pause"), "running": nil} {
		t.Run(name, func(t *testing.T) {
			w := newSurroundings(t)
			w.addHost()
			w.prepare(t, bare)
			if before != nil {
				w.prepare(t, before)
			}
			w.prepare(t, func(w *surroundings) error {
				if err := w.driver.Crash(w.only(t).ID); err != nil {
					return err
				}
				await.That(t, "it is off", func() bool { return w.only(t).VM == compute.VMStopped })
				return migrate(w)
			})
			one := w.only(t)
			if one.Status != "VERIFY_RESIZE" || one.Host != "host-b" || one.Power != compute.PowerShutdown {
				t.Fatalf("%s on %s, power %v: %+v", one.Status, one.Host, one.Power, one.Fault)
			}
			for _, f := range w.guestsOfSecond() {
				if f.Power != guest.Stopped {
					t.Errorf("the guest is %s", f.Power)
				}
			}
		})
	}
}
