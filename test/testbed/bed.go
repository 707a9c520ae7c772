package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// Bed is a number of machines and the switch between them.
type Bed struct {
	t        testing.TB
	wire     *wire
	dir      string
	Machines []*Machine
}

// New makes n machines without anything on them. They go with the test. The
// seed decides which frames are lost.
func New(t testing.TB, n int, seed uint64) *Bed {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("a test bed needs root: it makes network namespaces and runs guests")
	}
	dir, err := os.MkdirTemp("/var/lib", "mek-bed-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	b := &Bed{t: t, wire: newWire(seed), dir: dir}
	t.Cleanup(b.tearDown)
	for i := range n {
		m := &Machine{bed: b, number: i, Name: fmt.Sprintf("m%d", i+1), Address: fmt.Sprintf("10.77.0.%d", i+1), bin: binary(t)}
		m.dir = filepath.Join(dir, m.Name)
		m.ns, m.data = filepath.Base(dir)+"-"+m.Name, filepath.Join(m.dir, "data")
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		b.Machines = append(b.Machines, m)
		m.connect()
	}
	return b
}

func binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("MEK_BINARY")
	if path == "" {
		t.Fatal("MEK_BINARY must name the built binary; make test sets it")
	}
	return path
}

func guestImage(t testing.TB) string {
	t.Helper()
	path := os.Getenv("MEK_TEST_GUEST")
	if path == "" {
		t.Fatal("MEK_TEST_GUEST must name the folder of the guest image; make test sets it")
	}
	return filepath.Join(path, "guest.qcow2")
}

func (b *Bed) tearDown() {
	b.Heal()
	for i := len(b.Machines) - 1; i >= 0; i-- {
		m := b.Machines[i]
		if b.t.Failed() {
			m.showLogs()
		}
		if m.off {
			m.connect()
		}
		if m.installed() {
			if out, err := m.Run(2*time.Minute, m.bin, "uninstall", "--purge", "--yes", "--data-dir", m.data); err != nil {
				b.t.Errorf("uninstall: %v\n%s", err, out)
			}
		}
		m.killAll()
		if err := m.hideGroups(); err != nil {
			b.t.Errorf("control groups: %v", err)
		}
		if out, err := exec.Command("ip", "netns", "del", m.ns).CombinedOutput(); err != nil {
			b.t.Errorf("remove namespace: %v %s", err, out)
		}
	}
	b.wire.close()
	if err := os.RemoveAll(b.dir); err != nil {
		b.t.Error(err)
	}
}

// Cut stops all traffic between two machines.
func (b *Bed) Cut(one, other *Machine) {
	b.CutOneWay(one, other)
	b.CutOneWay(other, one)
}

// CutOneWay stops traffic from one machine to another.
func (b *Bed) CutOneWay(from, to *Machine) {
	b.wire.set(from.number, to.number, func(r *rule) { r.cut = true })
}

// Isolate stops all traffic of a machine.
func (b *Bed) Isolate(m *Machine) {
	for _, other := range b.Machines {
		if other != m {
			b.Cut(m, other)
		}
	}
}

// Loss loses a share of the frames between two machines, both ways.
func (b *Bed) Loss(one, other *Machine, share float64) {
	b.wire.set(one.number, other.number, func(r *rule) { r.loss = share })
	b.wire.set(other.number, one.number, func(r *rule) { r.loss = share })
}

// Delay holds back every frame between two machines, both ways.
func (b *Bed) Delay(one, other *Machine, d time.Duration) {
	b.wire.set(one.number, other.number, func(r *rule) { r.delay = d })
	b.wire.set(other.number, one.number, func(r *rule) { r.delay = d })
}

// Heal takes every cut, loss and delay back.
func (b *Bed) Heal() { b.wire.heal() }

// Until repeats a check until it holds, and answers how long that took. It
// fails the test when time is up.
func (b *Bed) Until(what string, limit time.Duration, check func() (ok bool, seen string)) time.Duration {
	b.t.Helper()
	clk := clock.Real{}
	begun := clk.Now()
	for {
		ok, seen := check()
		took := clk.Now().Sub(begun)
		if ok {
			return took
		}
		if took > limit {
			b.t.Fatalf("%s: not after %v; last seen: %s", what, limit, strings.TrimSpace(seen))
		}
		<-clk.After(100 * time.Millisecond)
	}
}
