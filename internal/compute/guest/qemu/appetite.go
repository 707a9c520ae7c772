package qemu

import (
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/threads"
)

// Weights of control groups share a processor evenly even in the few milliseconds
// that a guest needs to answer a packet or a click, so that beside one that never
// stops its answers take twice as long. So guests that have left their processors
// alone for a while go before those that have not: who takes all there is loses
// nothing by it over a second. To be modest is earned slowly and lost at once, or
// else a guest that goes on and off would be at an advantage.
const (
	lookEvery    = time.Second            // how often guests are looked at,
	lookPerGuest = 10 * time.Millisecond  // and for each of them at least so long
	shortLook    = 200 * time.Millisecond // too little to judge by

	greedyFrom  = 0.8 // of its processors' time that a guest would take if nobody else were there
	modestBelow = 0.7
	modestAfter = 8 // looks

	modestWeight = 8 // times as much as others of its size
)

// appetite is how much a guest wants of its processors.
type appetite struct {
	pid  int // 0: not looked at
	at   time.Duration
	seen map[int]threads.Time // of its threads, at that time
	calm int                  // looks in a row at which it was modest
}

// duty is the part of the time that a thread would run if it never had to wait:
// of the time in which it did not wait. One that would take little, but waits for
// another guest that takes all, wants no more for that; one that takes all it can
// get, and gets little beside others like it, wants all.
func duty(before, now threads.Time, passed time.Duration) float64 {
	ran := now.Ran - before.Ran
	free := passed - (now.Waited - before.Waited) // the kernel adds a wait when it ends: it may have begun earlier
	if ran <= 0 {
		return 0
	}
	return float64(ran) / float64(max(free, ran))
}

// look takes note of the times of a guest's threads at a moment, and tells
// whether it is a modest one now.
func (a *appetite) look(at time.Duration, now map[int]threads.Time, cpus int, was bool) bool {
	passed := at - a.at
	if passed < shortLook {
		return was
	}
	share := 0.0
	for tid, t := range now {
		share += duty(a.seen[tid], t, passed)
	}
	share /= float64(max(cpus, 1))
	a.at, a.seen = at, now
	switch {
	case share >= greedyFrom:
		a.calm = 0
	case share < modestBelow:
		a.calm++
	}
	return a.calm >= modestAfter || was && a.calm > 0
}

// balance weighs guests anew, for as long as the driver works.
func (d *Driver) balance() {
	known := map[*machine]*appetite{}
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-d.cfg.Clock.After(max(lookEvery, time.Duration(len(known))*lookPerGuest)):
		}
		all := map[*machine]*appetite{}
		for _, m := range d.all() {
			a := known[m]
			if a == nil {
				a = &appetite{}
			}
			all[m] = a
			m.taste(a)
		}
		known = all
	}
}

// taste looks at one guest, and gives it its weight.
func (m *machine) taste(a *appetite) {
	m.mu.Lock()
	proc, halted := m.proc, m.halted
	var cpus int
	if m.rec.Process != nil {
		cpus = m.rec.Process.Spec.CPUs
	}
	m.mu.Unlock()
	if proc == nil || halted {
		a.pid = 0 // who stands still proves nothing
		return
	}
	now, err := threads.Times(threads.Proc, proc.pid) // zero where the kernel does not count: then all guests weigh the same
	if err != nil {
		return // it ended
	}
	at := clock.Elapsed(m.d.cfg.Clock)
	first := a.pid != proc.pid // its weight may be one that an earlier driver gave it
	if first {
		*a = appetite{pid: proc.pid, at: at, seen: now}
	}
	modest := !first && a.look(at, now, cpus, m.modest.Load())
	if m.modest.Swap(modest) == modest && !first {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc == proc && m.rec.Process != nil {
		if err := m.d.groups.weight(m.id, m.limits(*m.rec.Process)); err != nil {
			m.d.cfg.Log.Debug("a guest keeps its weight", "guest", m.id, "error", err) // it ended meanwhile, or there are no groups
		}
	}
}
