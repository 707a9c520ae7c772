package testbed_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/test/report"
	"github.com/mekcloud/mek/test/testbed"
)

// probeVariable holds for how long this program, inside a guest, is to measure
// instead of testing.
const probeVariable = "MEK_TEST_PROBE"

// probeGuest does a little work and a small write again and again, and prints
// what each took.
func probeGuest(length string) {
	d, err := time.ParseDuration(length)
	if err == nil {
		var out map[string][]time.Duration
		if out, err = probed(d); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// turns is the length of the loop: some milliseconds on an emulated processor.
const turns = 1_000_000

func probed(d time.Duration) (map[string][]time.Duration, error) {
	f, err := os.CreateTemp("/var/tmp", "probe")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	out, block, sum := map[string][]time.Duration{}, make([]byte, 4096), uint64(1)
	for begun, n := time.Now(), int64(0); time.Since(begun) < d; n++ {
		at := time.Now()
		for range turns {
			sum = sum*6364136223846793005 + 1
		}
		out["loop"] = append(out["loop"], time.Since(at))
		block[0] = byte(sum)
		at = time.Now()
		if _, err := f.WriteAt(block, n%256*4096); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		out["write"] = append(out["write"], time.Since(at))
		time.Sleep(10 * time.Millisecond) // a neighbour that is not busy itself
	}
	return out, nil
}

// household is a tenant's guest that is measured.
type household struct {
	t       *testing.T
	m       *testbed.Machine
	address string
}

var roundTrips = regexp.MustCompile(`time=([0-9.]+) ms`)

// measure gives what a loop, a small write and a ping took, each sorted.
func (h *household) measure(d time.Duration) map[string][]time.Duration {
	h.t.Helper()
	pings := make(chan string, 1)
	go func() {
		out, _ := h.m.Run(d+30*time.Second, "ping", "-n", "-i", "0.02", "-W", "5", "-c", strconv.Itoa(int(d/(20*time.Millisecond))), h.address) // lost ones are counted below
		pings <- out
	}()
	var all map[string][]time.Duration
	text := h.m.Guest(h.address, probeVariable+"="+d.String()+" /tmp/probe")
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		h.t.Fatalf("%v: %s", err, text)
	}
	for _, m := range roundTrips.FindAllStringSubmatch(<-pings, -1) {
		ms, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			h.t.Fatal(err)
		}
		all["ping"] = append(all["ping"], time.Duration(ms*float64(time.Millisecond)))
	}
	if len(all["ping"]) < int(d/(20*time.Millisecond))*9/10 {
		h.t.Errorf("%d of %d pings came back", len(all["ping"]), int(d/(20*time.Millisecond)))
	}
	for _, list := range all {
		slices.Sort(list)
	}
	return all
}

// greedy are what a guest of another tenant does, at the top of what it can.
var greedy = map[string]string{
	"processors": `for i in 1 2 3 4; do while :; do :; done & done`,
	"disk": `for i in 1 2 3 4; do while :; do dd if=/dev/zero of=/var/tmp/big$i bs=1M count=48 conv=fsync; done & done
for i in 1 2; do while :; do dd if=/dev/zero of=/var/tmp/small$i bs=4k count=64 oflag=dsync; done & done`,
	"packets": `for i in 1 2 3 4 5 6 7 8; do while :; do ping -A -q $(ip route | awk '/^default/ { print $3; exit }'); done & done`,
}

// taking is what a guest's process has taken of the host so far.
type taking struct {
	processor time.Duration
	written   int64 // bytes to disks
	sent      int64 // frames of all guests
}

var ticks = regexp.MustCompile(`^.*\) \S(?: \S+){10} (\d+) (\d+) `)

// taken looks at the process of a server.
func taken(t *testing.T, m *testbed.Machine, server string) (now taking) {
	t.Helper()
	number := func(text string) int64 {
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for pid, words := range m.Processes() {
		if at := slices.Index(words, "-uuid"); at < 0 || words[at+1] != server {
			continue
		}
		dir := fmt.Sprint("/proc/", pid)
		stat, err1 := os.ReadFile(dir + "/stat")
		io, err2 := os.ReadFile(dir + "/io")
		links, err3 := m.Run(10*time.Second, "cat", "/proc/net/dev")
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		if f := ticks.FindSubmatch(stat); f != nil {
			now.processor = time.Duration(number(string(f[1]))+number(string(f[2]))) * 10 * time.Millisecond
		}
		for line := range strings.Lines(string(io)) {
			if text, ok := strings.CutPrefix(line, "write_bytes:"); ok {
				now.written = number(text)
			}
		}
		for line := range strings.Lines(links) {
			if f := strings.Fields(line); len(f) > 3 && tapName.MatchString(f[0]) {
				now.sent += number(f[2])
			}
		}
		return now
	}
	t.Fatalf("server %s does not run", server)
	return now
}

var tapName = regexp.MustCompile(`^mk[0-9a-f]{13}:$`)

// enough tells whether an attack was one: a third of a processor, a MiB a second to the disk, some
// hundred frames. What a busy machine lets through may be little.
func enough(kind string, before, after taking, d time.Duration) (string, bool) {
	seconds := d.Seconds()
	cpu, bytes, frames := (after.processor-before.processor).Seconds()/seconds, float64(after.written-before.written)/seconds, float64(after.sent-before.sent)/seconds
	ok := map[string]bool{"processors": cpu > 0.3, "disk": bytes > 1<<20, "packets": frames > 300}[kind]
	return fmt.Sprintf("%.1f processors, %.1f MiB/s written, %.0f frames/s", cpu, bytes/(1<<20), frames), ok
}

// TestNeighboursOfGuests (I-36, I-31): a tenant's guest that takes all that it
// can of the processors, the disk or the network leaves another tenant's guest
// on the same host as quick as it was.
func TestNeighboursOfGuests(t *testing.T) {
	share := report.Length(t, 0)
	if share == 0 {
		t.Skip("needs minutes and guests: make soak")
	}
	run := report.Start(t, "S", 1)
	m := testbed.New(t, 1, 1).Machines[0]
	m.Cage()
	m.Up()
	demo, admin := m.User("demo"), m.User("admin")
	id := demo.Server("mine", "")
	demo.Await(id, "ACTIVE", 2*time.Minute)
	h := &household{t: t, m: m, address: demo.Float(id)}
	m.AwaitSSH(h.address)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m.Send(h.address, self, "/tmp/probe")
	flavor := admin.Flavor("greedy", 2, 256, 1)
	attackers := map[string]string{}
	for _, kind := range slices.Sorted(maps.Keys(greedy)) {
		attackers[kind] = admin.ServerThatRuns(kind, flavor, "(echo begun >/dev/console\n"+greedy[kind]+") >/dev/null 2>&1 &")
		admin.Await(attackers[kind], "ACTIVE", 2*time.Minute)
		m.AwaitConsole(attackers[kind], "begun")
		admin.Act(attackers[kind], "pause", nil)
		admin.Await(attackers[kind], "PAUSED", time.Minute)
	}
	h.measure(2 * time.Second) // caches fill
	const rounds = 5
	one := max(share/time.Duration(2*rounds*len(greedy)), 4*time.Second)
	for _, kind := range slices.Sorted(maps.Keys(greedy)) {
		t.Run(kind, func(t *testing.T) {
			ratios := map[string][]float64{}
			for range rounds {
				alone := h.measure(one)
				admin.Act(attackers[kind], "unpause", nil)
				admin.Await(attackers[kind], "ACTIVE", time.Minute)
				before, begun := taken(t, m, attackers[kind]), time.Now()
				beside := h.measure(one)
				what, ok := enough(kind, before, taken(t, m, attackers[kind]), time.Since(begun))
				if t.Logf("the attacker took %s", what); !ok {
					t.Errorf("no attack on %s: %s", kind, what)
				}
				admin.Act(attackers[kind], "pause", nil)
				admin.Await(attackers[kind], "PAUSED", time.Minute)
				for what := range alone {
					run.Operations(len(alone[what]) + len(beside[what]))
					ratios[what] = append(ratios[what], quantile(beside[what], 0.99)/quantile(alone[what], 0.99))
					t.Logf("%s p50/p99 ms: alone %.2f/%.2f, beside %.2f/%.2f", what, quantile(alone[what], 0.5), quantile(alone[what], 0.99), quantile(beside[what], 0.5), quantile(beside[what], 0.99))
				}
			}
			for what, list := range ratios {
				name := strings.Join([]string{kind, what, "p99 ratio"}, " ")
				run.Measured(name, middle(list))
				if got := middle(list); got > worst {
					run.Violation("%s is %.1f, in rounds %.1f", name, got, list)
				}
			}
		})
	}
	t.Logf("%v", run.Figures().Measurements)
}
