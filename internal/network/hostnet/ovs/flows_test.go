package ovs

import (
	"slices"
	"testing"
)

// TestFlowsThatChanged: only what differs is written, and everything where
// something that was written is not there any more.
func TestFlowsThatChanged(t *testing.T) {
	t.Parallel()
	was := flows{1: {"a"}, 2: {"b", "c"}, 3: {"d"}}
	now := flows{1: {"a"}, 2: {"b", "x"}, 4: {"e"}}
	for _, c := range []struct {
		was   flows
		there int
		gone  []int
		add   []string
		whole bool
	}{
		{was, 4, []int{2, 3}, []string{"b", "x", "e"}, false},
		{was, 9, []int{2, 3}, []string{"b", "x", "e"}, false}, // of ports that are gone some may stay for a while
		{was, 3, nil, []string{"a", "b", "x", "e"}, true},
		{nil, 0, nil, []string{"a", "b", "x", "e"}, true},
		{now, 4, nil, nil, false},
	} {
		if gone, add, whole := now.since(c.was, c.there); !slices.Equal(gone, c.gone) || !slices.Equal(add, c.add) || whole != c.whole {
			t.Errorf("after %v with %d there: %v, %q, whole %v", c.was, c.there, gone, add, whole)
		}
	}
}
