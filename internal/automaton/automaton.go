package automaton

import (
	"fmt"
	"maps"
	"slices"
)

// Gone is the state of what is not there: where every life begins and ends.
const Gone = ""

// Automaton declares the life of one kind of object, and where its state is kept.
type Automaton struct {
	Kind          string // of the objects, in the API's words
	Table, Column string
	Moves         map[string][]string
	// Reset are states that an administrator may write by hand, into any state.
	Reset []string
}

// Of makes an automaton of typed states.
func Of[S ~string](kind, table, column string, moves map[S][]S, reset ...string) Automaton {
	a := Automaton{Kind: kind, Table: table, Column: column, Moves: map[string][]string{}, Reset: reset}
	for from, list := range moves {
		for _, to := range list {
			a.Moves[string(from)] = append(a.Moves[string(from)], string(to))
		}
	}
	return a
}

// May tells whether an object may pass from one state to another; reset tells
// that an administrator has written a state by hand.
func (a Automaton) May(from, to string, reset bool) bool {
	if slices.Contains(a.Moves[from], to) {
		return true
	}
	_, known := a.Moves[from]
	byHand := slices.Contains(a.Reset, from) || known
	// What stands in a state that somebody wrote may go on as from any other.
	return reset && (byHand && slices.Contains(a.Reset, to) || slices.Contains(a.Reset, from) && a.enters(to))
}

func (a Automaton) enters(to string) bool {
	for _, list := range a.Moves {
		if slices.Contains(list, to) {
			return true
		}
	}
	return false
}

// States lists every state an object may be seen in.
func (a Automaton) States() []string {
	all := map[string]bool{}
	for from, list := range a.Moves {
		all[from] = true
		for _, to := range list {
			all[to] = true
		}
	}
	for _, s := range a.Reset {
		all[s] = true
	}
	delete(all, Gone)
	return slices.Sorted(maps.Keys(all))
}

// Sound tells what is wrong with the table itself: a state that nothing leads
// to, or from which an object could never be deleted.
func (a Automaton) Sound() error {
	reached := map[string]bool{}
	for next := []string{Gone}; len(next) > 0; {
		s := next[0]
		next = next[1:]
		if reached[s] {
			continue
		}
		reached[s] = true
		next = append(next, a.Moves[s]...)
	}
	for _, s := range a.States() {
		if !reached[s] && !slices.Contains(a.Reset, s) {
			return fmt.Errorf("%s: nothing leads to %q", a.Kind, s)
		}
		if reached[s] && !a.ends(s, map[string]bool{}) {
			return fmt.Errorf("%s: %q never ends", a.Kind, s)
		}
	}
	return nil
}

func (a Automaton) ends(s string, seen map[string]bool) bool {
	if s == Gone {
		return true
	}
	seen[s] = true
	for _, to := range a.Moves[s] {
		if !seen[to] && a.ends(to, seen) {
			return true
		}
	}
	return false
}
