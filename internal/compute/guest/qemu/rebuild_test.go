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
