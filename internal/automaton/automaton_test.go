package automaton_test

import (
	"slices"
	"testing"

	"github.com/mekcloud/mek/internal/automaton"
)

type state string

func door() automaton.Automaton {
	return automaton.Of("door", "doors", "state", map[state][]state{"": {"open"}, "open": {"shut"}, "shut": {"open", ""}}, "jammed", "shut")
}

func TestMoves(t *testing.T) {
	a := door()
	for _, c := range []struct {
		from, to    string
		reset, want bool
	}{
		{"", "open", false, true}, {"open", "shut", false, true}, {"", "shut", false, false}, {"open", "", false, false}, {"open", "jammed", false, false},
		{"open", "jammed", true, true}, {"jammed", "open", true, true}, {"jammed", "open", false, false}, {"open", "flying", true, false}, {"flying", "jammed", true, false},
	} {
		if got := a.May(c.from, c.to, c.reset); got != c.want {
			t.Errorf("%q to %q, reset %v: %v", c.from, c.to, c.reset, got)
		}
	}
	if got := a.States(); !slices.Equal(got, []string{"jammed", "open", "shut"}) {
		t.Error(got)
	}
}

func TestSoundTables(t *testing.T) {
	a := door()
	if err := a.Sound(); err != nil {
		t.Error(err)
	}
	a.Moves["lost"] = []string{"open"}
	if a.Sound() == nil {
		t.Error("a state that nothing leads to")
	}
	a = door()
	a.Moves["open"] = append(a.Moves["open"], "stuck")
	if a.Sound() == nil {
		t.Error("a state without an end")
	}
}
