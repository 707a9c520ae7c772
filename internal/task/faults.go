package task

import (
	"slices"
	"sync/atomic"
)

// Kind is a kind of injected fault (hardening.md §6.1). The intent of a step
// is committed with the result of the step before it (or with the request), so
// K1 and K2 are the same moment seen from both sides of that commit; both exist.
type Kind string

// The kinds.
const (
	K1 Kind = "K1" // the server dies before the step is begun
	K2 Kind = "K2" // dies after the intent, before the effect is sent
	K3 Kind = "K3" // effect done, dies before the result is recorded
	K4 Kind = "K4" // dies right after recording
	K5 Kind = "K5" // the agent dies inside the effect: Faults.AgentDies is called, the reply is lost
	K6 Kind = "K6" // the effect happened and returns an error: unwind
	K7 Kind = "K7" // the effect happened, its reply is lost
	K8 Kind = "K8" // the effect is delivered twice

	K6Before Kind = "K6-before" // an error, and the effect never began
	U1       Kind = "U1"        // the server dies before an undo
	U3       Kind = "U3"        // undo done, the server dies before it is recorded
	U6       Kind = "U6"        // the undo happened and returns an error, once
	U8       Kind = "U8"        // the undo runs twice
)

// Fault is one injected fault: the kind, at a step of an operation, once.
type Fault struct {
	Op, Step string
	Kind     Kind
}

// Faults injects faults into an engine. Nil, or with nothing armed, it costs
// one atomic load per point. Safe for concurrent use.
type Faults struct {
	// AgentDies is called for K5 while the effect runs; may be nil.
	AgentDies func()

	armed atomic.Pointer[[]*armed]
}

type armed struct {
	Fault
	fired atomic.Bool
}

// Arm sets the faults that will happen; each fires once.
func (f *Faults) Arm(faults ...Fault) {
	all := make([]*armed, 0, len(faults))
	for _, x := range faults {
		all = append(all, &armed{Fault: x})
	}
	f.armed.Store(&all)
}

// Fired tells how many of the armed faults happened.
func (f *Faults) Fired() int {
	n := 0
	if all := f.armed.Load(); all != nil {
		for _, a := range *all {
			if a.fired.Load() {
				n++
			}
		}
	}
	return n
}

// waits tells whether a fault is still to happen at a step: it is then run by
// itself, so that there are the moments at which it can.
func (f *Faults) waits(op, step string) bool {
	if f == nil {
		return false
	}
	all := f.armed.Load()
	return all != nil && slices.ContainsFunc(*all, func(a *armed) bool { return a.Op == op && a.Step == step && !a.fired.Load() })
}

func (f *Faults) at(op, step string, kind Kind) bool {
	if f == nil {
		return false
	}
	all := f.armed.Load()
	if all == nil {
		return false
	}
	for _, a := range *all {
		if a.Op == op && a.Step == step && a.Kind == kind && a.fired.CompareAndSwap(false, true) {
			return true
		}
	}
	return false
}
