package app

import (
	"slices"
	"testing"
	"time"
)

func TestMemoryIsGivenBack(t *testing.T) {
	const mb = 1 << 20
	for name, c := range map[string]struct {
		held, allocated uint64 // since the last look
		passed          time.Duration
		want            bool
	}{
		"at work, little idle":     {50 * mb, 40 * mb, time.Second, false},
		"at work, much idle":       {63 * mb, 40 * mb, time.Second, true},
		"quiet, little idle":       {42 * mb, mb / 2, time.Second, false},
		"quiet, some idle":         {44 * mb, mb / 2, time.Second, true},
		"quiet for a longer while": {44 * mb, 2 * mb, 3 * time.Second, true},
		"less than was kept":       {30 * mb, mb / 2, time.Second, false},
	} {
		h := hoard{kept: 40 * mb, allocated: 1000 * mb}
		if got := h.excessive(c.held, 1000*mb+c.allocated, c.passed); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}

	h, total := hoard{kept: 40 * mb}, uint64(0)
	var given []int // at which looks
	for look := range 20 {
		if look == 0 || look == 10 { // some work
			total += 5 * mb
		}
		if h.excessive(40*mb, total, time.Second) {
			given = append(given, look)
		}
	}
	if !slices.Equal(given, []int{5, 15}) {
		t.Errorf("after work memory was given back at the looks %v", given)
	}
	if allocatedMemory() == 0 || heldMemory() == 0 {
		t.Error("the runtime tells nothing")
	}
}
