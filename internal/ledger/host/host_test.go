package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netns"

	"github.com/mekcloud/mek/internal/ledger"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("changes of the host need root")
	}
}

func must(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v %s", program, args, err, out)
	}
	return string(out)
}

// takeBack checks that a change is there, goes, and may be undone again.
func takeBack(t *testing.T, c ledger.Change) {
	t.Helper()
	for i, there := range []bool{true, false} {
		got, err := Host{}.Exists(t.Context(), c)
		if err != nil || got != there {
			t.Fatalf("%s %s: exists %v, want %v, %v", c.Kind, c.Name, got, there, err)
		}
		if err := (Host{}).Undo(t.Context(), c); err != nil {
			t.Fatalf("undo %d of %s: %v", i+1, c.Kind, err)
		}
	}
}

func TestNetworkChangesAreTakenBack(t *testing.T) {
	needRoot(t)
	ns := fmt.Sprintf("mkh%d", os.Getpid())
	must(t, "ip", "netns", "add", ns)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
	in := map[string]string{"netns": ns}
	must(t, "ip", "-n", ns, "link", "add", "name", "br9", "type", "bridge")
	must(t, "ip", "-n", ns, "tuntap", "add", "name", "tap9", "mode", "tap")
	must(t, "ip", "-n", ns, "link", "set", "lo", "up")
	must(t, "ip", "-n", ns, "route", "add", "198.51.100.0/24", "dev", "lo")
	takeBack(t, ledger.Change{Kind: ledger.Route, Name: "198.51.100.0/24", Detail: map[string]string{"netns": ns, "dev": "lo"}})
	takeBack(t, ledger.Change{Kind: ledger.Bridge, Name: "br9", Detail: in})
	takeBack(t, ledger.Change{Kind: ledger.Link, Name: "tap9", Detail: in})
	takeBack(t, ledger.Change{Kind: ledger.Namespace, Name: ns})
	if err := (Host{}).Undo(t.Context(), ledger.Change{Kind: ledger.Link, Name: "x", Detail: in}); err != nil {
		t.Fatalf("a link in a namespace that is gone: %v", err)
	}
}

func TestPacketFilterTables(t *testing.T) {
	needRoot(t)
	ns := fmt.Sprintf("mkn%d", os.Getpid())
	must(t, "ip", "netns", "add", ns)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
	inside(t, ns, func() {
		must(t, "nft", "add", "table", "inet", "mine")
		must(t, "nft", "add", "table", "ip", "mine2")
		must(t, "nft", "add", "table", "ip", "theirs")
		takeBack(t, ledger.Change{Kind: ledger.Table, Name: "inet mine"})
		takeBack(t, ledger.Change{Kind: ledger.Table, Name: "mine2"})
		if left := must(t, "nft", "list", "tables"); strings.TrimSpace(left) != "table ip theirs" {
			t.Fatalf("left: %s", left)
		}
	})
}

// inside runs fn with the calling thread in a network namespace.
func inside(t *testing.T, name string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		ns, err := netns.GetFromName(name)
		if err == nil {
			err = netns.Set(ns)
		}
		if err != nil {
			t.Error(err)
			return
		}
		fn()
	}()
	<-done
}

func TestFilesAndFolders(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("new", "ours")
	takeBack(t, ledger.Change{Kind: ledger.File, Name: path("new")})

	write("conf.before", "theirs")
	write("conf", "ours")
	changed := ledger.Change{Kind: ledger.File, Name: path("conf"), Old: path("conf.before")}
	for range 2 {
		if err := (Host{}).Undo(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(path("conf")); err != nil || string(b) != "theirs" {
		t.Fatalf("%q %v", b, err)
	}

	for _, d := range []string{"whole/sub", "shared"} {
		if err := os.MkdirAll(path(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	takeBack(t, ledger.Change{Kind: ledger.Dir, Name: path("whole")})
	write("shared/theirs", "")
	if err := (Host{}).Undo(t.Context(), ledger.Change{Kind: ledger.Dir, Name: path("shared"), Detail: map[string]string{"keep": "others"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path("shared/theirs")); err != nil {
		t.Fatal("removed what is not ours")
	}
}

func TestMountsAndUsers(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	must(t, "mount", "-t", "tmpfs", "none", dir)
	takeBack(t, ledger.Change{Kind: ledger.Mount, Name: dir})
	name := fmt.Sprintf("mkh%d", os.Getpid())
	must(t, "useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name)
	takeBack(t, ledger.Change{Kind: ledger.User, Name: name})
	if err := (Host{}).Undo(t.Context(), ledger.Change{Kind: ledger.Group, Name: name}); err != nil { // went with the user
		t.Fatal(err)
	}
}

func TestSysctlReturnsToItsOldValue(t *testing.T) {
	needRoot(t)
	const key = "net.ipv4.conf.lo.log_martians"
	old := strings.TrimSpace(must(t, "cat", sysctlPath(key)))
	c := ledger.Change{Kind: ledger.Sysctl, Name: key, Old: old}
	t.Cleanup(func() { _ = os.WriteFile(sysctlPath(key), []byte(old), 0) })
	other := map[string]string{"0": "1", "1": "0"}[old]
	if err := os.WriteFile(sysctlPath(key), []byte(other), 0); err != nil {
		t.Fatal(err)
	}
	if err := (Host{}).Undo(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if now := strings.TrimSpace(must(t, "cat", sysctlPath(key))); now != old {
		t.Fatalf("is %s, was %s", now, old)
	}
}

func TestPackagesStay(t *testing.T) {
	if err := (Host{}).Undo(t.Context(), ledger.Change{Kind: ledger.Package, Name: "qemu-utils"}); err == nil {
		t.Fatal("packages must not be removed by themselves")
	}
}
