package qemu

import (
	"testing"
	"time"
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
		var at, want time.Duration
		for _, s := range c.shares {
			at += time.Second
			want += time.Duration(s * float64(time.Second))
			modest = a.look(at, want, c.cpus, modest)
			if modest != a.look(at+time.Millisecond, want+time.Millisecond, c.cpus, modest) {
				t.Errorf("%s: a moment is enough to judge by", name)
			}
		}
		if modest != c.want {
			t.Errorf("%s: modest %v", name, modest)
		}
	}
}
