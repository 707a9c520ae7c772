package threads_test

import (
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
	if ran, waited, err := threads.Times(proc, 7); err != nil || ran != 1030 || waited != 204 {
		t.Errorf("ran %d, waited %d, error %v", ran, waited, err)
	}
	if ran, _, err := threads.Times(threads.Proc, os.Getpid()); err != nil || ran == 0 {
		t.Errorf("of this process %v, error %v", ran, err)
	}
	if _, _, err := threads.Times(proc, 8); err == nil {
		t.Error("a process that is gone is known")
	}
}
