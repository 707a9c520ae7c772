package qemu

import (
	"os"
	"path/filepath"
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

// TestWantedOfThreads: the time of all threads, run and waited for; some may end
// while one looks.
func TestWantedOfThreads(t *testing.T) {
	t.Parallel()
	proc := t.TempDir()
	for tid, text := range map[string]string{"7": "1000 200 5\n", "8": "30 4 1\n", "9": ""} {
		dir := filepath.Join(proc, "7", "task", tid)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if tid == "9" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "schedstat"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := wanted(proc, 7); err != nil || got != 1234 {
		t.Errorf("%d, error %v", got, err)
	}
	if got, err := wanted("/proc", os.Getpid()); err != nil || got == 0 {
		t.Errorf("of this process %v, error %v", got, err)
	}
	if _, err := wanted(proc, 8); err == nil {
		t.Error("a process that is gone is known")
	}
}
