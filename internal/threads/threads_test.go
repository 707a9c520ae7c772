package threads_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/mekcloud/mek/internal/threads"
)

// TestTimes: of all threads, run and waited for; some may end while one looks.
func TestTimes(t *testing.T) {
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
	want := map[int]threads.Time{7: {Ran: 1000, Waited: 200}, 8: {Ran: 30, Waited: 4}}
	if all, err := threads.Times(proc, 7); err != nil || !maps.Equal(all, want) {
		t.Errorf("%v, error %v", all, err)
	}
	if ran, err := threads.Ran(proc, 7); err != nil || ran != 1030 {
		t.Errorf("ran %d, error %v", ran, err)
	}
	if ran, err := threads.Ran(threads.Proc, os.Getpid()); err != nil || ran == 0 {
		t.Errorf("of this process %v, error %v", ran, err)
	}
	if _, err := threads.Times(proc, 8); err == nil {
		t.Error("a process that is gone is known")
	}
}
