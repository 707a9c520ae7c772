package qemu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/compute/guest/guesttest"
)

// TestProcessesSeeLittle: a process that a guest has taken over reads no file
// of the host that QEMU does not need, even if everybody may.
func TestProcessesSeeLittle(t *testing.T) {
	t.Parallel()
	if !landlocked() {
		t.Error("the kernel has no Landlock")
		return
	}
	d := open(t, guesttest.NewSite(t))
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o666); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(secret); dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.groups.create("spawned", limits{shares: 1024, periodUS: 100_000, pids: 8}); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for path, allowed := range map[string]bool{"/etc/passwd": false, secret: false, "/usr/bin/env": true, "/proc/self/status": true} {
		p, err := d.groups.spawn(launch{binary: "/usr/bin/head", args: []string{"-c1", path}, log: log, group: "spawned", uid: firstID})
		if err != nil {
			t.Fatal(err)
		}
		p.await()
		p.letGo()
		said, err := os.ReadFile(log.Name())
		if err != nil || strings.Contains(string(said), "Permission denied") == allowed {
			t.Errorf("%s: said %q, error %v", path, said, err)
		}
		if err := log.Truncate(0); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.groups.empty(t.Context(), d.cfg.Clock, "spawned"); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
