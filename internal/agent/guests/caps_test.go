package guests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/compute/guest"
)

// TestCapsOfBothVersions reads the same caps from both kinds of control groups,
// and none where there are none.
func TestCapsOfBothVersions(t *testing.T) {
	const id = "11111111-2222-4333-8444-555555555555"
	want := guest.Caps{Own: true, MemoryBytes: 1 << 30, Processes: 520, CPUQuotaUS: 150_000, CPUPeriodUS: 100_000, Disks: true}
	for name, c := range map[string]struct {
		mounts, groups string
		files          map[string]string
		want           guest.Caps
	}{
		"version 2": {"30 1 0:26 / ROOT/all rw - cgroup2 cgroup2 rw\n", "0::/mek/x/" + id + "\n", map[string]string{
			"all/mek/x/" + id + "/memory.max": "1073741824\n", "all/mek/x/" + id + "/pids.max": "520\n", "all/mek/x/" + id + "/cpu.max": "150000 100000\n"}, want},
		"version 1, in a container": {
			"31 1 0:27 /box ROOT/memory rw - cgroup cgroup rw,memory\n32 1 0:28 /box ROOT/cpu rw - cgroup cgroup rw,cpu,cpuacct\n33 1 0:29 / ROOT/pids rw - cgroup cgroup rw,pids\n34 1 0:30 / ROOT/unified rw - cgroup2 none rw\n",
			"4:memory:/box/mek/x/" + id + "\n3:cpu,cpuacct:/box/mek/x/" + id + "\n2:pids:/mek/x/" + id + "\n0::/mek/x/" + id + "\n", map[string]string{
				"memory/mek/x/" + id + "/memory.limit_in_bytes": "1073741824\n", "pids/mek/x/" + id + "/pids.max": "520\n",
				"cpu/mek/x/" + id + "/cpu.cfs_quota_us": "150000\n", "cpu/mek/x/" + id + "/cpu.cfs_period_us": "100000\n"}, want},
		"no caps": {"30 1 0:26 / ROOT/all rw - cgroup2 cgroup2 rw\n", "0::/mek/x/" + id + "\n", map[string]string{
			"all/mek/x/" + id + "/memory.max": "max\n", "all/mek/x/" + id + "/pids.max": "max\n", "all/mek/x/" + id + "/cpu.max": "max 100000\n"},
			guest.Caps{Own: true, CPUPeriodUS: 100_000, Disks: true}},
		"a group of others": {"30 1 0:26 / ROOT/all rw - cgroup2 cgroup2 rw\n", "0::/mek/x\n", nil, guest.Caps{Disks: true}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write := func(name, content string) {
				t.Helper()
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			write("proc/self/mountinfo", strings.ReplaceAll(c.mounts, "ROOT", root))
			write("proc/7/cgroup", c.groups)
			write("proc/7/cmdline", "qemu\x00-object\x00{\"qom-type\":\"throttle-group\"}\x00")
			for name, content := range c.files {
				write(name, content)
			}
			if got, err := capsOf(filepath.Join(root, "proc"), 7, id); err != nil || got != c.want {
				t.Errorf("%+v, want %+v; error %v", got, c.want, err)
			}
		})
	}
}

// TestInspectsItself: what the kernel says of this test's own process.
func TestInspectsItself(t *testing.T) {
	p, err := inspect("/proc", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil || p.Network != own || p.UID != os.Getuid() || p.Capabilities == "" {
		t.Errorf("%+v, network %s; error %v", p, own, err)
	}
}
