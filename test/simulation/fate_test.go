package simulation

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/hostlink/faulty"
)

// fate is what goes wrong from outside, one thing after another.
type fate struct {
	w      *world
	random *rand.Rand
	work   sync.WaitGroup // faults that last
}

// run lets things go wrong until ctx ends, and then ends all of it.
func (f *fate) run(ctx context.Context) {
	for pause(ctx, time.Duration(f.random.Int64N(int64(5*time.Second)))) {
		last := time.Second + time.Duration(f.random.Int64N(int64(20*time.Second)))
		h := f.w.hosts[f.random.IntN(len(f.w.hosts))]
		switch f.random.IntN(9) {
		case 0:
			f.killServer(ctx, last/3)
		case 1:
			f.lasting(ctx, last/2, "agent of "+h.name+" dead", "agent killed", h.die, func() { h.start(f.w.t) })
		case 2, 3:
			f.partition(ctx, h, last*2)
		case 4, 5:
			f.storm(ctx, h, last)
		case 6:
			f.lasting(ctx, last/3, "the database's disk fails", "", func() { f.set(&f.w.disk, 0.3) }, func() { f.set(&f.w.disk, 0) })
		case 7:
			f.lasting(ctx, last, h.name+" is flaky", "", func() { h.set(0.4) }, func() { h.set(0) })
		case 8:
			f.lasting(ctx, last, "users' network is bad", "", func() { f.set(&f.w.calls, 0.2) }, func() { f.set(&f.w.calls, 0) })
			f.crash(h)
		}
	}
	f.work.Wait()
}

// pause waits, and tells whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

func (f *fate) set(p *float64, v float64) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	*p = v
}

func (h *host) set(p float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.flaky = p
}

// lasting is a fault that begins, lasts and ends beside others.
func (f *fate) lasting(ctx context.Context, d time.Duration, what, kind string, begin, end func()) {
	f.w.note("FAULT %s for %.1f s", what, d.Seconds())
	if kind != "" {
		f.w.count(kind, 1)
	}
	begin()
	f.work.Go(func() {
		pause(ctx, d)
		end()
		f.w.note("fault over: %s", what)
	})
}

// killServer kills the server and starts it again, before anything else goes wrong.
func (f *fate) killServer(ctx context.Context, d time.Duration) {
	w := f.w
	w.note("FAULT server dead for %.1f s", d.Seconds())
	w.count("server killed", 1)
	w.restart(func() { pause(ctx, d) })
	w.note("fault over: server dead")
}

// restart kills the server, if it lives, and starts it again after a pause.
func (w *world) restart(pause func()) {
	w.restarting <- struct{}{}
	defer func() { <-w.restarting }()
	w.mu.Lock()
	s := w.srv
	w.srv = nil
	w.mu.Unlock()
	s.die(w.t)
	pause()
	next := startServer(w.t, w.dir, w.log, clock.Real{}, w.diskFails)
	w.mu.Lock()
	w.srv = next
	w.mu.Unlock()
}

// supervise starts a server again that ended by itself, as "mek up" does.
func (w *world) supervise(ctx context.Context) {
	for {
		w.restarting <- struct{}{} // not while it is dead
		s := w.server()
		<-w.restarting
		select {
		case <-ctx.Done():
			return
		case <-s.done:
		}
		if s.dead.Load() {
			continue
		}
		w.note("the server ended with: %v", s.err)
		w.count("server ended by itself", 1)
		w.restart(func() { pause(ctx, time.Second) })
	}
}

func (f *fate) partition(ctx context.Context, h *host, d time.Duration) {
	way := f.random.IntN(3)
	words := []string{"cut off", "cut off, towards the agent", "cut off, towards the server"}
	set := func(lost float64) {
		h.down.Change(func(p *faulty.Plan) {
			p.Silent, p.Lose, p.LoseBack = lost > 0, lost, 0
			if way == 2 {
				p.Lose, p.LoseBack = 0, lost
			}
		})
		h.up.Change(func(p *faulty.Plan) {
			p.Silent, p.Lose, p.LoseBack = lost > 0, lost, 0
			if way == 1 {
				p.Lose, p.LoseBack = 0, lost
			}
		})
	}
	f.lasting(ctx, d, h.name+" "+words[way], "partition", func() { set(1) }, func() { set(0) })
}

func (f *fate) storm(ctx context.Context, h *host, d time.Duration) {
	delay := time.Duration(f.random.Int64N(int64(3 * time.Second)))
	silent := f.random.IntN(2) == 0
	set := func(p *faulty.Plan, rate float64) {
		p.Change(func(p *faulty.Plan) {
			p.Lose, p.LoseBack, p.Repeat, p.Late, p.Delay, p.Silent = rate, rate, rate, rate, 0, silent && rate > 0
			if rate > 0 {
				p.Delay = delay
			}
		})
	}
	f.lasting(ctx, d, h.name+" hears badly", "", func() { set(h.down, 0.25); set(h.up, 0.25) }, func() { set(h.down, 0); set(h.up, 0) })
}

// crash ends a guest, as a process ends on a bad day.
func (f *fate) crash(h *host) {
	h.mu.Lock()
	driver, alive := h.driver, h.stop != nil
	h.mu.Unlock()
	list, err := driver.List(context.Background())
	if err != nil || len(list) == 0 || !alive {
		return
	}
	id := list[f.random.IntN(len(list))].ID
	if driver.Crash(id) == nil {
		f.w.note("FAULT guest %s on %s crashed", id, h.name)
		f.w.count("guest crashed", 1)
	}
}
