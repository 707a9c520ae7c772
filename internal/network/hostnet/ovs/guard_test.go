package ovs

import (
	"fmt"
	"testing"
)

// TestFlowsThatChanged: only what differs is written, and everything where
// something that was written is not there any more.
func TestFlowsThatChanged(t *testing.T) {
	remove := func(port int) string { return fmt.Sprintf("delete %d\n", port) }
	was := flows{1: "add a\n", 2: "add b\nadd c\n", 3: "add d\n"}
	now := flows{1: "add a\n", 2: "add b\nadd x\n", 4: "add e\n"}
	for _, c := range []struct {
		was   flows
		there int
		text  string
		whole bool
	}{
		{was, 4, "delete 2\ndelete 3\nadd b\nadd x\nadd e\n", false},
		{was, 9, "delete 2\ndelete 3\nadd b\nadd x\nadd e\n", false}, // of ports that are gone some may stay for a while
		{was, 3, "add a\nadd b\nadd x\nadd e\n", true},
		{nil, 0, "add a\nadd b\nadd x\nadd e\n", true},
		{now, 4, "", false},
	} {
		if text, whole := now.since(c.was, c.there, remove); text != c.text || whole != c.whole {
			t.Errorf("after %v with %d there: %q, whole %v", c.was, c.there, text, whole)
		}
	}
}
