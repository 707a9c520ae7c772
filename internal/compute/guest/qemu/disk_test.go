package qemu

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/compute/guest"
)

// TestWritesBypassTheCache: what a guest writes goes past the host's cache where
// the file system can; the files that guests share are read through it. Trying
// leaves the descriptor as it was.
func TestWritesBypassTheCache(t *testing.T) {
	dir, err := os.MkdirTemp("/var/tmp", "mek-direct-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	top, err1 := os.Create(filepath.Join(dir, "top"))
	base, err2 := os.Create(filepath.Join(dir, "base"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(top.Close(), base.Close()) })
	can := true
	if f, err := os.OpenFile(filepath.Join(dir, "top"), os.O_RDWR|unix.O_DIRECT, 0); err != nil {
		can = false
	} else if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	d := disk{slot: "s", layers: []layer{{file: top, format: "qcow2"}, {file: base, format: "raw", readOnly: true}}}
	d.bypass()
	for _, n := range d.nodes([]int{1, 2}, guest.Limits{}) {
		_, direct := n["cache"]
		if want := can && n["node-name"] == "sf0"; direct != want {
			t.Errorf("%v goes past the cache: %v, want %v", n["node-name"], direct, want)
		}
	}
	if flags, err := unix.FcntlInt(top.Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_DIRECT != 0 {
		t.Errorf("flags %o of the file after it, %v", flags, err)
	}
}
