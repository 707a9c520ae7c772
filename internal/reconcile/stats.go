package reconcile

import (
	"cmp"
	"slices"
)

// Stat is how a reconciler fares, since its loop was made.
type Stat struct {
	Name           string
	Runs, Failures int64
	Last           error // of the last run
}

// Stats are those of all reconcilers, by name.
func (l *Loop) Stats() []Stat {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Stat
	for _, w := range l.all {
		out = append(out, Stat{w.Name, w.runs, w.failures, w.last})
	}
	slices.SortFunc(out, func(a, b Stat) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// All lists the reconcilers, by name: a registry of what is kept true.
func (l *Loop) All() []Reconciler {
	var out []Reconciler
	for _, w := range l.all {
		out = append(out, w.Reconciler)
	}
	slices.SortFunc(out, func(a, b Reconciler) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
