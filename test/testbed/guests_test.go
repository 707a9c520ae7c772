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
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mekcloud/mek/test/report"
	"github.com/mekcloud/mek/test/testbed"
)

// probeVariable holds for how long this program, inside a guest, is to measure
// instead of testing.
const probeVariable = "MEK_TEST_PROBE"

// timing is something that was measured: when it began, since the probe did, and
// how long it took.
type timing struct{ At, Took time.Duration }

// probeGuest does a little work and a small write again and again, and prints
// that it begins, and in the end what each took.
func probeGuest(length string) {
	d, err := time.ParseDuration(length)
	if err == nil {
		fmt.Println("begun")
		var out map[string][]timing
		if out, err = probed(d); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// loops is the length of the loop: about a millisecond on an emulated processor.
const loops = 1_000_000

func probed(d time.Duration) (map[string][]timing, error) {
	f, err := os.CreateTemp("/var/tmp", "probe")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	out, block, sum := map[string][]timing{}, make([]byte, 4096), uint64(1)
	for begun, n := time.Now(), int64(0); time.Since(begun) < d; n++ {
		at := time.Now()
		for range loops {
			sum = sum*6364136223846793005 + 1
		}
		out["loop"] = append(out["loop"], timing{at.Sub(begun), time.Since(at)})
		block[0] = byte(sum)
		at = time.Now()
		if _, err := f.WriteAt(block, n%256*4096); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		out["write"] = append(out["write"], timing{at.Sub(begun), time.Since(at)})
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

var roundTrips = regexp.MustCompile(`^\[([0-9.]+)\] .*time=([0-9.]+) ms`)

// pingEvery is the time between round trips.
const pingEvery = 20 * time.Millisecond

// measure gives what loops, small writes and pings took, each with its time, while
// act goes on, which begins once they do.
func (h *household) measure(d time.Duration, act func()) map[string][]timing {
	h.t.Helper()
	var begun time.Time
	all, pings := map[string][]timing{}, []timing{}
	var both, acting sync.WaitGroup
	both.Go(func() {
		err := h.m.Follow(d+time.Minute, func(line string) {
			if f := roundTrips.FindStringSubmatch(line); f != nil {
				came, err1 := strconv.ParseFloat(f[1], 64)
				ms, err2 := strconv.ParseFloat(f[2], 64)
				if err := errors.Join(err1, err2); err != nil {
					h.t.Error(err)
				}
				took := time.Duration(ms * float64(time.Millisecond))
				pings = append(pings, timing{time.Duration(came*float64(time.Second)) - took, took}) // since 1970
			}
		}, "ping", "-D", "-n", "-i", fmt.Sprint(pingEvery.Seconds()), "-W", "5", "-c", strconv.Itoa(int(d/pingEvery)), h.address)
		if err != nil && len(pings) == 0 {
			h.t.Error(err) // lost ones are counted below
		}
	})
	both.Go(func() {
		err := h.m.FollowSSH(d+time.Minute, h.address, probeVariable+"="+d.String()+" /tmp/probe", func(line string) {
			if begun.IsZero() {
				begun = time.Now()
				acting.Go(act)
				return
			}
			if err := json.Unmarshal([]byte(line), &all); err != nil {
				h.t.Errorf("%v: %s", err, line)
			}
		})
		if err != nil {
			h.t.Error(err)
		}
	})
	both.Wait()
	acting.Wait()
	if len(pings) < int(d/pingEvery)*9/10 {
		h.t.Errorf("%d of %d pings came back", len(pings), int(d/pingEvery))
	}
	for i := range pings {
		pings[i].At -= time.Duration(begun.UnixNano())
	}
	all["ping"] = pings
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

// attacker is another tenant's guest, which stands still unless it is let loose.
type attacker struct {
	t      *testing.T
	pid    int
	beside int // a process in the machine's network
}

func newAttacker(t *testing.T, m *testbed.Machine, server string) attacker {
	t.Helper()
	for pid, words := range m.Processes() {
		if at := slices.Index(words, "-uuid"); at >= 0 && words[at+1] == server {
			return attacker{t, pid, m.Find("agent")[0]}
		}
	}
	t.Fatalf("server %s does not run", server)
	return attacker{}
}

// loose lets its process run, or stops it where it is: at once, which the cloud's
// own pause is not, so that the two can be compared every other moment.
func (a attacker) loose(is bool) {
	signal := syscall.SIGSTOP
	if is {
		signal = syscall.SIGCONT
	}
	if err := syscall.Kill(a.pid, signal); err != nil {
		a.t.Error(err)
	}
}

// taken looks at what its process has taken.
func (a attacker) taken() (now taking) {
	number := func(text string) int64 {
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			a.t.Error(err)
		}
		return n
	}
	dir := fmt.Sprint("/proc/", a.pid)
	stat, err1 := os.ReadFile(dir + "/stat")
	io, err2 := os.ReadFile(dir + "/io")
	links, err3 := os.ReadFile(fmt.Sprint("/proc/", a.beside, "/net/dev"))
	if err := errors.Join(err1, err2, err3); err != nil {
		a.t.Error(err)
		return now
	}
	if f := ticks.FindSubmatch(stat); f != nil {
		now.processor = time.Duration(number(string(f[1]))+number(string(f[2]))) * 10 * time.Millisecond
	}
	for line := range strings.Lines(string(io)) {
		if text, ok := strings.CutPrefix(line, "write_bytes:"); ok {
			now.written = number(text)
		}
	}
	for line := range strings.Lines(string(links)) {
		if f := strings.Fields(line); len(f) > 3 && tapName.MatchString(f[0]) {
			now.sent += number(f[2])
		}
	}
	return now
}

// spell is a time in which the attacker was loose, or stood still.
type spell struct {
	from, to time.Duration // since the probe began
	beside   bool
}

// settling is the beginning of a spell, which counts for none.
const settling = 300 * time.Millisecond

// turns lets the attacker loose and stops it in turns, and gives the spells and
// what it took while it was loose. The first time, when its host does not know it
// yet, counts for nothing: it is one that never stops.
func (a attacker) turns(rounds int, one time.Duration) (spells []spell, all taking) {
	begun := time.Now()
	a.loose(true)
	<-time.After(one)
	for i := range 2 * rounds {
		s := spell{from: time.Since(begun), beside: i%2 == 1}
		before := a.taken()
		a.loose(s.beside)
		<-time.After(one)
		s.to = time.Since(begun)
		if now := a.taken(); s.beside {
			all.processor += now.processor - before.processor
			all.written += now.written - before.written
			all.sent += now.sent - before.sent
		}
		spells = append(spells, s)
	}
	a.loose(false)
	return spells, all
}

// sorted gives what was begun beside the attacker, or without it.
func sorted(list []timing, spells []spell, beside bool) (out []time.Duration) {
	for _, x := range list {
		for _, s := range spells {
			if s.beside == beside && x.At >= s.from+settling && x.At < s.to {
				out = append(out, x.Took)
			}
		}
	}
	slices.Sort(out)
	return out
}

var tapName = regexp.MustCompile(`^mk[0-9a-f]{13}:$`)

// enough tells whether an attack was one: a third of a processor, a MiB a second to the disk, some
// hundred frames. What a busy machine lets through may be little.
func enough(kind string, all taking, d time.Duration) (string, bool) {
	seconds := d.Seconds()
	cpu, bytes, frames := all.processor.Seconds()/seconds, float64(all.written)/seconds, float64(all.sent)/seconds
	ok := map[string]bool{"processors": cpu > 0.3, "disk": bytes > 1<<20, "packets": frames > 300}[kind]
	return fmt.Sprintf("%.1f processors, %.1f MiB/s written, %.0f frames/s", cpu, bytes/(1<<20), frames), ok
}

// TestNeighboursOfGuests (I-36, I-31): a tenant's guest that takes all that it
// can of the processors, the disk or the network leaves another tenant's guest
// on the same host as quick as it was. Every other moment the attacker stands
// still, so that whatever else this computer does is in both.
func TestNeighboursOfGuests(t *testing.T) {
	share := report.Length(t, 0)
	if share == 0 {
		t.Skip("needs minutes and guests: make soak")
	}
	run := report.Start(t, "S", 1)
	m := testbed.New(t, 1, 1).Machines[0]
	m.ShowGroups()
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
	kinds := slices.Sorted(maps.Keys(greedy))
	attackers := map[string]attacker{}
	for _, kind := range kinds {
		server := admin.ServerThatRuns(kind, flavor, "(echo begun >/dev/console\n"+greedy[kind]+") >/dev/null 2>&1 &")
		admin.Await(server, "ACTIVE", 2*time.Minute)
		m.AwaitConsole(server, "begun")
		attackers[kind] = newAttacker(t, m, server)
		attackers[kind].loose(false)
		t.Cleanup(func() { attackers[kind].loose(true) }) // else it could not be told to end
	}
	h.measure(10*time.Second, func() {}) // caches fill, and it is known for what it takes
	const rounds, one, parts = 6, 2 * time.Second, 3
	repeat := max(parts, int(share/time.Duration(len(kinds))/(2*rounds*one)))
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			ratios := map[string][]float64{}
			for range repeat {
				var spells []spell
				var what taking
				all := h.measure((2*rounds+2)*one, func() { spells, what = attackers[kind].turns(rounds, one) })
				text, ok := enough(kind, what, rounds*one)
				if t.Logf("the attacker took %s", text); !ok {
					t.Errorf("no attack on %s: %s", kind, text)
				}
				for _, what := range slices.Sorted(maps.Keys(all)) {
					run.Operations(len(all[what]))
					alone, beside := sorted(all[what], spells, false), sorted(all[what], spells, true)
					ratios[what] = append(ratios[what], quantile(beside, 0.99)/quantile(alone, 0.99))
					t.Logf("%s p50/p90/p99 ms: %d alone %.2f/%.2f/%.2f, %d beside %.2f/%.2f/%.2f", what, len(alone), quantile(alone, 0.5), quantile(alone, 0.9), quantile(alone, 0.99),
						len(beside), quantile(beside, 0.5), quantile(beside, 0.9), quantile(beside, 0.99))
				}
			}
			for what, list := range ratios {
				name := strings.Join([]string{kind, what, "p99 ratio"}, " ")
				run.Measured(name, middle(list))
				if got := middle(list); got > worst {
					run.Violation("%s is %.1f, in parts %.1f", name, got, list)
				}
			}
		})
	}
	t.Logf("%v", run.Figures().Measurements)
}
