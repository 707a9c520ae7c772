package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/agent"
	"github.com/mekcloud/mek/internal/agent/guests"
	"github.com/mekcloud/mek/internal/agent/ports"
	"github.com/mekcloud/mek/internal/agent/volumes"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	disksim "github.com/mekcloud/mek/internal/blockstorage/disk/sim"
	"github.com/mekcloud/mek/internal/clock"
	guestsim "github.com/mekcloud/mek/internal/compute/guest/sim"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/faulty"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/id"
	netsim "github.com/mekcloud/mek/internal/network/hostnet/sim"
)

// host is a machine: what is on it lasts, its agent may die and start again.
type host struct {
	w        *world
	name     string
	dir      string // of the agent's journal
	guests   *guestsim.State
	ports    *netsim.Driver
	volumes  *disksim.Driver
	down, up *faulty.Plan // the ways to the agent and to the server
	log      *slog.Logger

	mu     sync.Mutex
	flaky  float64 // of what the host is told to do, so much fails for now
	driver *guestsim.Driver
	stop   func() // ends the agent and waits; nil: it is dead
}

func newHost(w *world, n int) *host {
	h := &host{w: w, name: fmt.Sprintf("sim-%d", n+1), guests: guestsim.NewState(), ports: netsim.New(), log: w.log,
		down: faulty.NewPlan(w.seed ^ uint64(2*n+1)<<32), up: faulty.NewPlan(w.seed ^ uint64(2*n+2)<<32)}
	h.dir = filepath.Join(w.dir, h.name)
	h.volumes = disksim.New(disksim.Config{Slow: time.Second, Fail: func(disk.Spec) error {
		if h.fails("volume") {
			return fault.Unavailablef("the disk does not answer")
		}
		return nil
	}})
	return h
}

func (h *host) fails(kind string) bool {
	h.mu.Lock()
	p := h.flaky
	h.mu.Unlock()
	if !h.w.chance(p) {
		return false
	}
	h.w.count("host: "+kind, 1)
	return true
}

// start starts the agent, on what its predecessor left.
func (h *host) start(t testing.TB) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stop != nil {
		return // two deaths overlapped
	}
	journal, err := agent.OpenJournal(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	driver := guestsim.New(guestsim.Config{Clock: clock.Real{}, State: h.guests, Delay: 300 * time.Millisecond, Fault: func(call, _ string) (f guestsim.Fault) {
		if h.fails(call) {
			switch {
			case h.w.chance(0.4):
				f.Lost = true
			case h.w.chance(0.5):
				f.Err = fault.Unavailablef("the host is busy")
			default:
				f.Delay = 5 * time.Second
			}
		}
		return f
	}})
	relay := &hostlink.Relay{}
	onGuests := guests.New(driver, clock.Real{}, h.log)
	onGuests.Ask(relay)
	onVolumes := volumes.New(h.volumes, clock.Real{}, h.log)
	facts := hostlink.Facts{Host: h.name, ID: id.Named(h.name), Arch: "x86_64", CPUs: 16, MemoryMiB: 16 << 10, DiskGiB: 500, Address: "127.0.0.1", Driver: "sim",
		DriverVer: 1_000_000, Traits: []string{"COMPUTE_VOLUME_EXTEND", "COMPUTE_NET_ATTACH_INTERFACE", "COMPUTE_IMAGE_TYPE_RAW"},
		More: map[string]string{"accel": "tcg", "live_migration": "yes", "boot_time": "2000-01-01T00:00:00Z"}}
	a := agent.New(agent.Config{Facts: facts, Journal: journal, Relay: relay, Log: h.log, Appliers: map[hostlink.Section]hostlink.Applier{
		hostlink.Guests: onGuests, hostlink.Ports: ports.New(h.ports, h.log), hostlink.Volumes: onVolumes}})
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := a.Run(ctx); err != nil {
			t.Errorf("%s: %v", h.name, err)
		}
	})
	work.Go(func() { h.connect(ctx, a) })
	h.driver = driver
	h.stop = func() {
		cancel()
		onGuests.Close()
		onVolumes.Close()
		work.Wait()
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
		if err := journal.Close(); err != nil {
			t.Error(err)
		}
	}
}

// die ends the agent; what it had begun stays as it is.
func (h *host) die() {
	h.mu.Lock()
	stop := h.stop
	h.stop = nil
	h.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// connect keeps the agent connected as package remote does: hello, then beats.
func (h *host) connect(ctx context.Context, a *agent.Agent) {
	for pause := time.Duration(0); ctx.Err() == nil; pause = 500 * time.Millisecond {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if s := h.w.server(); s != nil {
			h.session(ctx, s, a)
		}
	}
}

func (h *host) session(ctx context.Context, s *server, a *agent.Agent) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	say := func(f func(ctx context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return h.up.Pass(ctx, func() error { return f(ctx) })
	}
	var link *hub.Link
	err := say(func(ctx context.Context) (err error) {
		link, err = s.hub.Up(ctx, h.name, a.Hello(), faulty.Endpoint(a, h.down), false)
		return err
	})
	if err != nil {
		return
	}
	up := faulty.Uplink(&uplink{s: s, link: link, host: h.name, connected: ctx}, h.up)
	a.Bind(up)
	defer a.Unbind(up)
	for missed := 0; missed <= 2; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
		known := true
		if err := say(func(context.Context) error { known = link.Beat(a.Held()); return nil }); err != nil {
			missed++
			continue
		}
		if missed = 0; !known {
			return
		}
	}
}

// uplink is the server of a session, as package remote offers it.
type uplink struct {
	s         *server
	link      *hub.Link
	host      string
	connected context.Context
}

func (u *uplink) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	stop := context.AfterFunc(u.connected, cancel)
	return ctx, func() { stop(); cancel() }
}

func (u *uplink) Deltas() bool { return true }

func (u *uplink) Report(ctx context.Context, r hostlink.Report) error {
	ctx, cancel := u.bound(ctx)
	defer cancel()
	if u.s.dead.Load() {
		return fault.Unavailablef("no answer")
	}
	return u.link.Report(ctx, r)
}

func (u *uplink) Open(ctx context.Context, kind string, params any) (io.ReadWriteCloser, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	return u.s.hub.Serve(ctx, u.host, kind, raw)
}

func (u *uplink) Tell(ctx context.Context, section hostlink.Section, object, verb string, params any) error {
	ctx, cancel := u.bound(ctx)
	defer cancel()
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	return u.link.Tell(ctx, hostlink.Message{Section: section, Object: object, Verb: verb, Params: raw})
}
