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
		h := hoard{kept: 40 * mb, allocated: 1000 * mb, calm: calmLooks}
		if got := h.excessive(c.held, 1000*mb+c.allocated, c.passed); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}

	h, total := hoard{kept: 40 * mb, calm: calmLooks}, uint64(0)
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
	if allocatedMemory() == 0 || heldMemory() == 0 || liveMemory() == 0 || totalMemory() == 0 {
		t.Error("the runtime tells nothing")
	}
}

// TestCollectionsDuringFloods (I-36): while much is allocated the collector has a
// fixed room, which neither grows with what is alive nor is given back under it;
// a few seconds after it, the heap is as small as before.
func TestCollectionsDuringFloods(t *testing.T) {
	const mb = 1 << 20
	if got := []uint64{roomOf(1 << 30), roomOf(4 << 30), roomOf(256 << 30), roomOf(0)}; !slices.Equal(got, []uint64{16 * mb, 64 * mb, 256 * mb, 0}) {
		t.Errorf("rooms of %v", got)
	}
	h, total := hoard{kept: 40 * mb, room: 256 * mb, calm: calmLooks}, uint64(0)
	type look struct {
		allocated, live, held uint64
		percent               int
		changed, back         bool
	}
	for i, want := range []look{
		{5 * mb, 32 * mb, 45 * mb, 100, true, false},
		{5 * mb, 32 * mb, 45 * mb, 100, false, false},
		{200 * mb, 32 * mb, 90 * mb, 800, true, false}, // the flood begins
		{200 * mb, 34 * mb, 320 * mb, 752, false, false},
		{200 * mb, 64 * mb, 340 * mb, 400, true, false}, // more is alive: the room stays
		{5 * mb, 64 * mb, 340 * mb, 400, false, false},
		{200 * mb, 64 * mb, 340 * mb, 400, false, false}, // it was a pause
		{5 * mb, 64 * mb, 340 * mb, 400, false, false},
		{5 * mb, 64 * mb, 340 * mb, 100, true, true}, // it is over
		{5 * mb, 32 * mb, 45 * mb, 100, false, false},
	} {
		total += want.allocated
		got := want
		got.percent, got.changed = h.roominess(want.live, total, time.Second)
		if got.back = h.excessive(want.held, total, time.Second); got.back && want.held > 100*mb {
			h.kept = 36 * mb
		}
		if got != want {
			t.Errorf("look %d: %+v, want %+v", i, got, want)
		}
	}
	small := hoard{room: 16 * mb}
	if percent, _ := small.roominess(100*mb, 200*mb, time.Second); percent != usual {
		t.Errorf("a machine with little memory collects at %d percent", percent)
	}
}
