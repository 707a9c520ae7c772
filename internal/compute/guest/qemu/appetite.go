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

	greedyFrom  = 0.8 // of its processors' time that a guest's threads run or want to
	modestBelow = 0.7
	modestAfter = 8 // looks

	modestWeight = 8 // times as much as others of its size
)

// appetite is how much a guest wants of its processors.
type appetite struct {
	pid  int // 0: not looked at
	at   time.Duration
	want time.Duration // that its threads have run or waited to run, in all
	calm int           // looks in a row at which it was modest
}

// look takes note of what threads wanted up to a time, and tells whether the
// guest is a modest one now.
func (a *appetite) look(at, want time.Duration, cpus int, was bool) bool {
	passed := at - a.at
	if passed < shortLook {
		return was
	}
	share := float64(want-a.want) / float64(passed) / float64(max(cpus, 1))
	a.at, a.want = at, want
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
	ran, waited, err := threads.Times(threads.Proc, proc.pid)
	if err != nil {
		return // it ended
	}
	want := ran + waited // nothing where the kernel does not count: then all guests weigh the same
	at := clock.Elapsed(m.d.cfg.Clock)
	first := a.pid != proc.pid // its weight may be one that an earlier driver gave it
	if first {
		*a = appetite{pid: proc.pid, at: at, want: want}
	}
	modest := !first && a.look(at, want, cpus, m.modest.Load())
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
