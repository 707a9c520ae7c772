package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/mekcloud/mek/internal/compute/guest"
)

// What a rebuild leaves of a guest's own disks: blank ones, if it is asked to.
func TestRebuildKeepsBlankDisks(t *testing.T) {
	for keep, want := range map[bool]string{false: "[]", true: "[ephemeral0 swap]"} {
		m := &machine{dir: t.TempDir()}
		if err := os.Mkdir(filepath.Join(m.dir, disksDir), 0o700); err != nil {
			t.Fatal(err)
		}
		spec := guest.Spec{KeepBlank: keep, Disks: []guest.Disk{{ID: "root", Kind: guest.DiskImage}, {ID: "ephemeral0", Kind: guest.DiskBlank},
			{ID: "swap", Kind: guest.DiskBlank}}}
		for _, name := range []string{"root", "ephemeral0", "swap", "gone"} {
			if err := os.WriteFile(filepath.Join(m.dir, disksDir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.removeDisks(keptDisks(spec)); err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadDir(filepath.Join(m.dir, disksDir))
		names := []string{}
		for _, e := range left {
			names = append(names, e.Name())
		}
		if err != nil || fmt.Sprint(names) != want {
			t.Errorf("keep %v: left %v, error %v", keep, names, err)
		}
	}
}

func TestTimesOfAThread(t *testing.T) {
	const stat = "10441 (CPU 0) K) S 1 2 3 4 -1 4194560 31859 10 2 1988 9 12 26430 7573 20 0 1 0"
	if got, err := parseTimes(stat); err != nil || got != 21*int64(userTick) {
		t.Errorf("%d, error %v", got, err)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) S", "1 (x) S 1 2 3 4 5 6 7 8 9 10 x 12 13"} {
		if got, err := parseTimes(bad); err == nil {
			t.Errorf("%q has %d", bad, got)
		}
	}
}
