// Package smalldisk gives tests a disk that fills up, for real.
package smalldisk

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Dir is an empty folder on a file system of its own with room for so many bytes,
// until the test ends. Without the right to mount the test is skipped.
func Dir(t testing.TB, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := Mount(t, dir, size); err != nil {
		t.Skipf("no small file system: %v", err)
	}
	return dir
}

// Mount puts a file system of so many bytes ("16m") on a folder, until the test ends.
func Mount(t testing.TB, dir, size string) error {
	if os.Geteuid() != 0 {
		t.Skip("only root mounts a small file system")
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		return err
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return nil
}
