package qemu

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/guesttest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// TestSlotsStayAndNeverCollide: whatever comes and goes, a device keeps its
// slot, and no two share one.
func TestSlotsStayAndNeverCollide(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		places := slots{}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			var spec guest.Spec
			for _, n := range rapid.SliceOfDistinct(rapid.IntRange(0, 20), rapid.ID[int]).Draw(t, "disks") {
				bus := []guest.Bus{guest.BusVirtio, guest.BusSCSI, ""}[n%3]
				spec.Disks = append(spec.Disks, guest.Disk{ID: strings.Repeat("d", n+1), Bus: bus})
			}
			for _, n := range rapid.SliceOfDistinct(rapid.IntRange(0, 9), rapid.ID[int]).Draw(t, "nics") {
				spec.NICs = append(spec.NICs, guest.NIC{PortID: strings.Repeat("n", n+1)})
			}
			spec.ConfigDrive = rapid.Bool().Draw(t, "drive")
			before := places.without(places.unused(spec))
			after, err := before.assign(spec)
			if err != nil {
				t.Fatal(err)
			}
			taken := map[string]bool{}
			for key, slot := range after {
				if taken[slot] {
					t.Fatalf("slot %s twice in %v", slot, after)
				}
				taken[slot] = true
				if was, ok := before[key]; ok && was != slot {
					t.Fatalf("%s moved from %s to %s", key, was, slot)
				}
			}
			if want := len(disksOf(spec)) + len(spec.NICs); len(after) != want || len(after.unused(spec)) != 0 {
				t.Fatalf("%d places for %d devices", len(after), want)
			}
			places = after
		}
	})
}

func TestTooManyDevices(t *testing.T) {
	t.Parallel()
	var spec guest.Spec
	for range maxPorts + 1 {
		spec.NICs = append(spec.NICs, guest.NIC{PortID: id.New()})
	}
	if _, err := (slots{}).assign(spec); !fault.Is(err, fault.Conflict) {
		t.Errorf("error %v", err)
	}
}

// TestUserIDsAreNeverShared: two clouds on one machine, one folder.
func TestUserIDsAreNeverShared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := &ids{dir: dir, first: 5000, count: 3, clock: clock.Real{}}, &ids{dir: dir, first: 5000, count: 3, clock: clock.Real{}}
	a, err := one.take("one/a")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := one.take("one/a"); err != nil || again != a {
		t.Errorf("the same owner has %d and %d, error %v", a, again, err)
	}
	b, err := two.take("two/a")
	if err != nil || b == a {
		t.Errorf("another cloud has %d, like %d, error %v", b, a, err)
	}
	if _, err := two.take("two/b"); err != nil {
		t.Error(err)
	}
	if _, err := one.take("one/c"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("no id is left: %v", err)
	}
	if err := one.release("one/a"); err != nil {
		t.Error(err)
	}
	if err := one.release("one/a"); err != nil {
		t.Errorf("twice: %v", err)
	}
	if c, err := one.take("one/c"); err != nil || c != a {
		t.Errorf("what was given back is %d, error %v", c, err)
	}
	if err := two.releaseIf(func(owner string) bool { return strings.HasPrefix(owner, "two/") }); err != nil {
		t.Error(err)
	}
	if left, err := one.taken(); err != nil || !reflect.DeepEqual(left, map[int]string{a: "one/c"}) {
		t.Errorf("taken %v, error %v", left, err)
	}
}

// TestUserIDIsGivenBackWithoutProcesses: a process whose start was never
// recorded, on a machine without cgroups, goes with its user id; one that has
// the same id from elsewhere stays.
func TestUserIDIsGivenBackWithoutProcesses(t *testing.T) {
	t.Parallel()
	a := &ids{dir: t.TempDir(), first: 1899990000 + os.Getpid()%10000, count: 1, clock: clock.Real{}}
	uid, err := a.take("cloud/guest")
	if err != nil {
		t.Fatal(err)
	}
	start := func(owner string) (*exec.Cmd, chan error) {
		c := exec.Command("sleep", "600")
		c.Env = []string{ownerVariable + "=" + owner}
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		return c, ended
	}
	lost, lostEnded := start("cloud/guest")
	other, otherEnded := start("cloud/guest-worker")
	if err := a.release("cloud/guest"); err != nil {
		t.Error(err)
	}
	if err := <-lostEnded; err == nil || lost.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the process ended by itself: %v", err)
	}
	if _, alive, err := startTicks(other.Process.Pid); err != nil || !alive {
		t.Errorf("another's process is gone: %v", err)
	}
	if err := other.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-otherEnded
}

// TestLimitsOfBothVersions: the same caps in the words of each kernel.
func TestLimitsOfBothVersions(t *testing.T) {
	t.Parallel()
	l := limits{shares: 2048, quotaUS: 300_000, periodUS: 100_000, memoryBytes: 1 << 30, pids: 520}
	none := limits{periodUS: 100_000}
	for _, c := range []struct {
		controller string
		v1         bool
		l          limits
		want       string
	}{
		{"cpu", true, l, "cpu.shares=2048 cpu.cfs_period_us=100000 cpu.cfs_quota_us=300000"},
		{"cpu", true, none, "cpu.shares=2 cpu.cfs_period_us=100000 cpu.cfs_quota_us=-1"},
		{"cpu", false, l, "cpu.weight=79 cpu.max=300000 100000"},
		{"cpu", false, none, "cpu.weight=1 cpu.max=max 100000"},
		{"memory", true, l, "memory.limit_in_bytes=1073741824"},
		{"memory", false, l, "memory.max=1073741824"},
		{"memory", false, none, "memory.max=max"},
		{"pids", true, l, "pids.max=520"},
		{"pids", false, none, "pids.max=max"},
	} {
		var got []string
		for _, s := range settings(c.controller, c.v1, c.l) {
			got = append(got, s[0]+"="+s[1])
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s, version 1 %v: %s, want %s", c.controller, c.v1, text, c.want)
		}
	}
}

// TestMountsOfBothVersions: systemd's pure version 2, and this kind of hybrid.
func TestMountsOfBothVersions(t *testing.T) {
	t.Parallel()
	pure, hybrid := &groups{v1: map[string]string{}}, &groups{v1: map[string]string{}}
	pure.mount(strings.Fields("30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"))
	for _, line := range []string{
		"31 24 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw",
		"32 31 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct",
		"33 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
		"34 31 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
	} {
		hybrid.mount(strings.Fields(line))
	}
	if pure.unified != "/sys/fs/cgroup" || len(pure.v1) != 0 {
		t.Errorf("version 2: %+v", pure)
	}
	want := map[string]string{"cpu": "/sys/fs/cgroup/cpu,cpuacct", "memory": "/sys/fs/cgroup/memory"}
	if hybrid.unified != "/sys/fs/cgroup/unified" || !reflect.DeepEqual(hybrid.v1, want) {
		t.Errorf("hybrid: %+v", hybrid)
	}
}

func FuzzMount(f *testing.F) {
	f.Add("30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate")
	f.Add("33 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory")
	f.Add("- cgroup")
	f.Fuzz(func(_ *testing.T, line string) {
		g := &groups{v1: map[string]string{}}
		g.mount(strings.Fields(line))
	})
}

func TestConsoleLogIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	var log bytes.Buffer
	for log.Len() <= consoleMost {
		log.WriteString("a line of the console, as guests write them\n")
	}
	log.WriteString("the end\n")
	if err := os.WriteFile(path, log.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := trimLog(path); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadFile(path)
	if err != nil || len(left) < consoleKeep || len(left) > consoleKeep+(64<<10) || !bytes.HasSuffix(log.Bytes(), left) {
		t.Errorf("%d bytes left of %d, error %v", len(left), log.Len(), err)
	}
	for n, want := range map[int]string{0: "", 1: "the end\n", 2: "a line of the console, as guests write them\nthe end\n"} {
		if got := string(lastLines(left, n)); got != want {
			t.Errorf("last %d lines: %q", n, got)
		}
	}
	if got := lastLines(left, -1); len(got) != len(left) {
		t.Errorf("all of it: %d bytes", len(got))
	}
	if got := lastLines([]byte("one"), 5); string(got) != "one" {
		t.Errorf("%q", got)
	}
}

// agentWords are what an agent may say: after the 0xFF it complains, and then
// answers with what was asked before.
const agentWords = `{"return": {"stale": true}}` + "\n" + `{"error": {"class": "GenericError", "desc": "JSON parse error, stray"}}` + "\n" +
	"\xff" + `{"return": 7462915}` + "\n" + `{"return": {"pid": 12}}` + "\n"

func TestAgentIsReadInStep(t *testing.T) {
	t.Parallel()
	r := bufio.NewReader(strings.NewReader(agentWords))
	if err := agentSync(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	var got struct{ PID int }
	if err := agentCommand(io.Discard, r, "guest-exec", nil, &got); err != nil || got.PID != 12 {
		t.Errorf("answer %+v, error %v", got, err)
	}
}

func FuzzAgent(f *testing.F) {
	f.Add([]byte(agentWords))
	f.Add([]byte("\xff"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		if agentSync(io.Discard, r) == nil {
			var v map[string]any
			_ = agentCommand(io.Discard, r, "x", nil, &v)
		}
	})
}

// TestArguments pins the command line of an ordinary guest: a change of it
// changes the machine of every guest there is.
func TestArguments(t *testing.T) {
	t.Parallel()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	spec := guesttest.Spec("11111111-1111-4111-8111-111111111111", "qcow2")
	spec.ID, spec.CPUs, spec.ConfigDrive = "22222222-2222-4222-8222-222222222222", 2, true
	spec.Limits.DiskReadIOPS = 100
	spec.NICs = []guest.NIC{{PortID: "p", MAC: "fa:16:3e:00:00:01", MTU: 1400}}
	places, err := (slots{}).assign(spec)
	if err != nil {
		t.Fatal(err)
	}
	p := plan{uuid: spec.ID, build: started{Accel: "tcg", Machine: "pc-q35-7.2", CPUModel: "max", Ports: 2, Spec: spec},
		qmp: null, serial: null, agent: null, log: null}
	for _, d := range disksOf(spec) {
		layers := []layer{{file: null, format: "qcow2"}, {file: null, format: "raw", readOnly: true}}
		p.disks = append(p.disks, disk{Disk: d, slot: places[diskKey(d)], layers: layers[:2-len(p.disks)]})
	}
	p.nics = []nic{{NIC: spec.NICs[0], slot: places[nicKey(spec.NICs[0])], tap: null}}
	got := strings.ReplaceAll(strings.Join(p.args(&bundle{}), "\n"), "\n-", "\n\n-") + "\n"
	const golden = "testdata/arguments.txt"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("arguments (UPDATE=1 rewrites):\n%s", got)
	}
}
