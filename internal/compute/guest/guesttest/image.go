package guesttest

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// GuestFolder is a folder with the built-in guest (guest.qcow2, vmlinuz,
// initrd.img, ...): the one that MEK_TEST_GUEST names, else one that is built
// once by guest/build and kept in the user's cache.
func GuestFolder(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("MEK_TEST_GUEST"); dir != "" {
		if filepath.Ext(dir) == ".qcow2" {
			dir = filepath.Dir(dir)
		}
		return dir
	}
	_, here, _, _ := runtime.Caller(0)
	source := filepath.Join(filepath.Dir(here), "../../../../guest")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "mek", "guest-"+sumOf(t, source))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	unlock := lock(t, dir+".lock") // several packages' tests run side by side
	defer unlock()
	if _, err := os.Stat(filepath.Join(dir, "guest.qcow2")); err == nil {
		return dir
	}
	t.Logf("building the guest into %s", dir)
	if out, err := exec.Command(filepath.Join(source, "build"), dir+".part").CombinedOutput(); err != nil {
		t.Fatalf("build the guest: %v\n%s", err, out)
	}
	if err := os.Rename(dir+".part", dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// sumOf names the content of a folder.
func sumOf(t testing.TB, dir string) string {
	t.Helper()
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		sum.Write([]byte(path[len(dir):] + "\x00"))
		sum.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

func lock(t testing.TB, path string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() { _ = f.Close() } // closing unlocks, and nothing was written
}
