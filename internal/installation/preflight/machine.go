package preflight

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/config"
)

const (
	gib           = 1 << 30
	leastMemory   = 1 * gib
	plentyMemory  = 4 * gib
	leastDisk     = 4 * gib
	plentyDisk    = 20 * gib
	simulatedDisk = gib / 2
)

// virtualisation looks for KVM. The agent boots something to be sure: a device
// node that exists proves nothing.
func virtualisation() Result {
	const name = "virtualisation"
	if _, err := os.Stat("/dev/kvm"); err != nil {
		return limited(name, "no /dev/kvm: guests are emulated, which is slower", "enable nested virtualisation, or load the module kvm")
	}
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return limited(name, "/dev/kvm cannot be opened: guests are emulated, which is slower", "check the permissions of /dev/kvm")
	}
	_ = f.Close() // nothing was written
	return ok(name, "/dev/kvm is there; the agent will boot a guest with it to be sure")
}

func memoryAndDisk(c config.Config) Result {
	const name = "memory, disk"
	memory, err := memoryTotal()
	if err != nil {
		return limited(name, "cannot tell: "+err.Error(), "check /proc/meminfo")
	}
	disk, err := diskFree(c.DataDir)
	if err != nil {
		return blocked(name, "cannot tell: "+err.Error(), "choose another --data-dir")
	}
	found := fmt.Sprintf("%.1f GiB memory, %.1f GiB of disk free", float64(memory)/gib, float64(disk)/gib)
	need := uint64(leastDisk)
	if !c.HostHere() {
		need = simulatedDisk
	}
	switch {
	case memory < leastMemory || disk < need:
		return blocked(name, found, "at least 1 GiB of memory and 4 GiB of disk are needed")
	case c.HostHere() && (memory < plentyMemory || disk < plentyDisk):
		return limited(name, found, "4 GiB of memory and 20 GiB of disk leave room for more than a few servers")
	}
	return ok(name, "%s", found)
}

func memoryTotal() (uint64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == "MemTotal:" {
			kib, err := strconv.ParseUint(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no MemTotal in /proc/meminfo")
}

// diskFree looks at the nearest folder that exists.
func diskFree(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(existing(dir), &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}

func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == "/" || dir == "." {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

func fileSystem(dir string) Result {
	const name = "file system"
	at := existing(dir)
	if err := unix.Access(at, unix.W_OK|unix.X_OK); err != nil {
		return blocked(name, fmt.Sprintf("%s cannot be written: %v", at, err), "choose another --data-dir, or run with sudo")
	}
	if len(dir) > 200 {
		return blocked(name, "the path of the data directory is too long", "choose a shorter --data-dir")
	}
	return ok(name, "%s can be written", at)
}

// reachable checks that the service user can enter the data directory.
func reachable(dir string) Result {
	const name = "data directory"
	if os.Geteuid() != 0 {
		return ok(name, "%s", dir)
	}
	for at := filepath.Dir(dir); at != "/"; at = filepath.Dir(at) {
		fi, err := os.Stat(at)
		if err != nil {
			continue // will be made, and entered by everybody
		}
		if fi.Mode().Perm()&0o001 == 0 {
			return blocked(name, fmt.Sprintf("%s cannot be entered by others, so not by the user the server runs as", at),
				"choose another --data-dir, or: chmod o+x "+at)
		}
	}
	return ok(name, "%s", dir)
}

func clockSync(_ context.Context) Result {
	const name = "clock"
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	if err != nil {
		return limited(name, "cannot tell whether the clock is kept right", "install chrony or systemd-timesyncd")
	}
	const timeError = 5 // TIME_ERROR: not synchronised
	if state == timeError || tx.Status&unix.STA_UNSYNC != 0 {
		return limited(name, "the clock is not synchronised", "install chrony or systemd-timesyncd; tokens and certificates need the right time")
	}
	return ok(name, "synchronised")
}

func hostName(name string) Result {
	if addrs, err := net.LookupHost(name); err == nil && len(addrs) > 0 {
		return ok("host name", "%s", name)
	}
	return limited("host name", name+" does not resolve: addresses are used instead", "add it to /etc/hosts")
}

// forwarding looks for a firewall that drops what we forward.
func forwarding(ctx context.Context) Result {
	const name = "firewall"
	for _, program := range []string{"iptables-nft", "iptables"} {
		path, err := exec.LookPath(program)
		if err != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, path, "-S", "FORWARD").Output()
		if err == nil && strings.Contains(string(out), "-P FORWARD DROP") {
			return limited(name, "forwarded traffic is dropped by default (Docker does this): guests reach this host, but not further",
				"accept it: iptables -I FORWARD -s 172.24.4.0/24 -j ACCEPT, and the same with -d")
		}
		break
	}
	return ok(name, "nothing drops forwarded traffic")
}

// others reports software that does similar things; it is left alone.
func others() Result {
	var found []string
	for name, path := range map[string]string{
		"libvirt": "/run/libvirt", "Incus": "/run/incus", "LXD": "/var/snap/lxd", "k3s": "/run/k3s", "Docker": "/run/docker.sock",
		"Open vSwitch": "/run/openvswitch/db.sock",
	} {
		if _, err := os.Stat(path); err == nil {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return ok("other clouds", "none")
	}
	return ok("other clouds", "%s: left alone", strings.Join(found, ", "))
}
