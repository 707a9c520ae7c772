package qemu

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/guest/guesttest"
	"github.com/mekcloud/mek/internal/fault"
)

// TestImagesAheadLeaveRoom: an image that no guest needs yet does not take the last
// of a host's disk, a guest's own does; and one fetched ahead goes after a day.
func TestImagesAheadLeaveRoom(t *testing.T) {
	t.Parallel()
	site, clk := guesttest.NewSite(t), clock.NewFake(time.Now())
	file := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	image := site.AddImage(file, "raw")
	c := &cache{dir: t.TempDir(), source: site, clock: clk, turns: map[string]chan struct{}{}}
	kept := func() int {
		entries, err := os.ReadDir(c.dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if _, _, err := c.ensure(t.Context(), image, "raw", 1<<60); !fault.Is(err, fault.TooLarge) || kept() != 0 {
		t.Errorf("more room than there is: %v, %d files", err, kept())
	}
	for i, want := range []bool{true, false} {
		f, fetched, err := c.ensure(t.Context(), image, "raw", 1)
		if err != nil || fetched != want {
			t.Fatalf("time %d: fetched %v, %v", i, fetched, err)
		}
		f.Close()
	}
	for _, left := range []int{1, 0} {
		if err := c.prune(nil); err != nil || kept() != left {
			t.Errorf("%d files, want %d, %v", kept(), left, err)
		}
		clk.Advance(keepUnused + time.Minute)
	}
}
