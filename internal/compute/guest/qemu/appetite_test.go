package qemu

import (
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/threads"
)

// TestModestGuestsGoFirst: a guest that left its processors alone for a while is
// a modest one; one second of all it can get and it no longer is.
func TestModestGuestsGoFirst(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cpus   int
		shares []float64 // of a processor that it wants, second by second
		want   bool
	}{
		"new":                         {1, []float64{0.1}, false},
		"calm":                        {1, []float64{0.1, 0.5, 0, 0, 0, 0.6, 0, 0}, true},
		"almost":                      {1, []float64{0, 0, 0, 0, 0, 0, 0}, false},
		"busy":                        {1, []float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, false},
		"two of two":                  {2, []float64{2, 2, 2, 2, 2, 2, 2, 2, 2, 2}, false},
		"one of two":                  {2, []float64{1, 1, 1, 1, 1, 1, 1, 1}, true},
		"in between changes nothing":  {1, []float64{0, 0, 0, 0, 0, 0, 0, 0, 0.75, 0.75}, true},
		"in between earns nothing":    {1, []float64{0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75}, false},
		"lost at once":                {1, []float64{0, 0, 0, 0, 0, 0, 0, 0, 0, 0.9}, false},
		"and not earned back at once": {1, []float64{0, 0, 0, 0, 0, 0, 0, 0, 0, 0.9, 0, 0, 0, 0, 0, 0, 0}, false},
		"on and off":                  {1, []float64{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0}, false},
	} {
		a, modest := appetite{pid: 1}, false
		var at time.Duration
		now := threads.Time{}
		for _, s := range c.shares {
			at += time.Second
			now.Ran += time.Duration(s * float64(time.Second) / float64(c.cpus))
			all := map[int]threads.Time{}
			for vcpu := range c.cpus {
				all[vcpu] = now
			}
			modest = a.look(at, all, c.cpus, modest)
			if modest != a.look(at+time.Millisecond, nil, c.cpus, modest) {
				t.Errorf("%s: a moment is enough to judge by", name)
			}
		}
		if modest != c.want {
			t.Errorf("%s: modest %v", name, modest)
		}
	}
}

// TestWaitingIsNotWanting: a guest that waits for its turn beside one that never
// stops is as modest as it is alone, whichever of its threads wait; one that gets
// little because others like it take the rest is not.
func TestWaitingIsNotWanting(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		cpus int
		each map[int]threads.Time // second by second
		want bool
	}{
		"waits long for little":         {1, map[int]threads.Time{1: {Ran: 100 * ms, Waited: 750 * ms}}, true},
		"all of its threads wait":       {1, map[int]threads.Time{1: {Ran: 100 * ms, Waited: 500 * ms}, 2: {Ran: 20 * ms, Waited: 400 * ms}, 3: {Ran: 5 * ms, Waited: 300 * ms}}, true},
		"gets a third of what it wants": {1, map[int]threads.Time{1: {Ran: 333 * ms, Waited: 667 * ms}}, false},
		"gets hardly anything":          {1, map[int]threads.Time{1: {Ran: 10 * ms, Waited: 990 * ms}}, false},
		"its processors are never idle": {2, map[int]threads.Time{1: {Ran: 400 * ms, Waited: 600 * ms}, 2: {Ran: 700 * ms, Waited: 300 * ms}}, false},
		"one of two is":                 {2, map[int]threads.Time{1: {Ran: 400 * ms, Waited: 600 * ms}, 2: {Ran: 10 * ms, Waited: 300 * ms}}, true},
		"waits of before are counted":   {1, map[int]threads.Time{1: {Ran: 5 * ms, Waited: 1100 * ms}}, false},
		"stands still":                  {1, map[int]threads.Time{1: {Waited: 1000 * ms}}, true},
	} {
		a, modest := appetite{pid: 1}, false
		sum := map[int]threads.Time{}
		for second := range time.Duration(modestAfter) {
			next := map[int]threads.Time{}
			for tid, t := range c.each {
				next[tid] = threads.Time{Ran: sum[tid].Ran + t.Ran, Waited: sum[tid].Waited + t.Waited}
			}
			sum = next
			modest = a.look((second+1)*time.Second, sum, c.cpus, modest)
		}
		if modest != c.want {
			t.Errorf("%s: modest %v", name, modest)
		}
	}
}
