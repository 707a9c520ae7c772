package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/qmp"
	"github.com/mekcloud/mek/internal/fault"
)

// errDeleted is what waiters for a guest get that was destroyed before their turn.
var errDeleted = errors.New("the guest is gone")

// machine is one guest on this host. Whoever changes it has its turn; whoever
// only looks takes mu, and so never waits for a slow guest.
type machine struct {
	d   *Driver
	id  string
	dir string // what lasts
	run string // sockets

	turn      chan struct{} // holds one token while somebody has the turn
	unflushed []string      // files made since the last flush; under turn

	mu      sync.Mutex
	rec     record          // changed under turn and mu, so either is enough to read
	broken  error           // why rec could not be read
	proc    *process        // nil: none; likewise
	client  *qmp.Client     // nil while the monitor does not answer; likewise
	halted  bool            // the processors are stopped
	stalled bool            // because what it writes cannot be written
	leaving bool            // it is being removed
	plugged map[string]bool // devices in the running machine, by id
	cancel  context.CancelCauseFunc
	deleted bool

	modest atomic.Bool // it wants little of its processors: see appetite

	agentTurn chan struct{} // one client of the guest's agent at a time
}

func (d *Driver) newMachine(guestID string) *machine {
	return &machine{d: d, id: guestID, dir: filepath.Join(d.guestsDir(), guestID), run: filepath.Join(d.cfg.RunDir, guestID),
		turn: make(chan struct{}, 1), agentTurn: make(chan struct{}, 1)}
}

// do runs an operation when it is its turn. The operation's context also ends
// when the guest is to be destroyed.
func (m *machine) do(ctx context.Context, op func(context.Context) error) error {
	select {
	case m.turn <- struct{}{}:
	case <-ctx.Done():
		return fault.Unavailablef("the server is busy").Because(context.Cause(ctx))
	}
	defer func() { <-m.turn }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	m.mu.Lock()
	deleted, broken := m.deleted, m.broken
	m.cancel = cancel
	m.mu.Unlock()
	switch {
	case deleted:
		return errDeleted
	case broken != nil:
		return fault.Internalf("guest %s: %w", m.id, broken)
	}
	return op(ctx)
}

// interrupt ends the operation under way, if there is one.
func (m *machine) interrupt(why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = nil // it need not be understood to be removed
	if m.cancel != nil {
		m.cancel(why)
	}
}

// note changes the record, in memory and on disk. Under turn.
func (m *machine) note(sync bool, change func(r *record)) error {
	m.mu.Lock()
	change(&m.rec)
	r, leaving := m.rec, m.leaving
	m.mu.Unlock()
	err := r.save(m.dir, sync)
	if leaving && fault.NoRoom(err) {
		return nil // removing it is what makes room; who reads the old record after a crash removes it all the same
	}
	return err
}

// facts are what is known now, without asking anybody.
func (m *machine) facts() guest.Facts {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := guest.Facts{ID: m.id, Driver: "QEMU", Power: guest.Stopped, PowerSerial: m.rec.PowerSerial, Exit: m.rec.Exit}
	switch {
	case m.proc != nil:
		m.processFacts(&f)
	case m.rec.Saved != nil:
		f.Power = guest.Suspended
	case m.rec.Exit != nil && m.rec.Exit.Reason == guest.ExitCrash:
		f.Power = guest.Crashed
	}
	if m.rec.Spec == nil {
		return f
	}
	for _, d := range m.rec.Spec.Disks {
		f.Disks = append(f.Disks, guest.DiskFact{ID: d.ID, DeviceName: d.DeviceName, SizeBytes: d.SizeBytes, Attached: m.plugged["d"+m.rec.Slots[diskKey(d)]]})
	}
	for _, n := range m.rec.Spec.NICs {
		f.NICs = append(f.NICs, guest.NICFact{PortID: n.PortID, MAC: n.MAC, Attached: m.plugged["d"+m.rec.Slots[nicKey(n)]]})
	}
	return f
}

func (m *machine) processFacts(f *guest.Facts) {
	f.Power, f.Exit = guest.Running, nil
	if m.halted {
		f.Power, f.Stalled = guest.Paused, m.stalled
	}
	p := m.rec.Process
	if p == nil {
		return // about to be recorded
	}
	f.PID, f.StartedAt, f.CPUs, f.MemoryMiB = p.PID, p.At, p.Spec.CPUs, p.Spec.MemoryMiB
	f.Accel, f.CPUModel, f.Machine = p.Accel, p.CPUModel, p.Machine
	f.Consoles = []string{"serial"}
	if p.Spec.Console.VNC && p.Spec.Machine.VideoModel != "none" {
		f.Consoles = append(f.Consoles, "vnc")
	}
}

// monitor is the connection to the running process. Conflict when none runs.
func (m *machine) monitor() (*qmp.Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.proc == nil:
		return nil, fault.Conflictf("the server is not running")
	case m.client == nil:
		return nil, fault.Unavailablef("the hypervisor does not answer")
	}
	return m.client, nil
}

// command runs one command of the monitor within ten seconds.
func (m *machine) command(ctx context.Context, name string, args, result any) error {
	client, err := m.monitor()
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	return unanswered(ctx, client.Execute(limited, name, args, result))
}

// unanswered makes what is neither QEMU's no nor the caller's own haste into
// something to be tried again.
func unanswered(ctx context.Context, err error) error {
	if err == nil || isRefusal(err) || ctx.Err() != nil {
		return err
	}
	return fault.Unavailablef("the hypervisor does not answer").Because(err)
}

// commandLimit is how long the monitor may take for an ordinary command; it
// needs a tenth of a millisecond on a machine at rest.
const commandLimit = 10 * time.Second

// destroy removes the guest and all that is its own. Under turn.
func (m *machine) destroy(ctx context.Context) error {
	m.mu.Lock()
	m.leaving = true
	m.mu.Unlock()
	if err := m.end(ctx, guest.ExitRequested); err != nil {
		return err
	}
	if err := m.removeFiles(); err != nil {
		return fmt.Errorf("remove the files of guest %s: %w", m.id, err)
	}
	m.mu.Lock()
	m.deleted = true
	m.mu.Unlock()
	m.d.forget(m)
	return nil
}

// removeFiles removes the folder, the record last: until then List knows of it.
func (m *machine) removeFiles() error {
	entries, err := os.ReadDir(m.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.Name() == recordFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(m.dir, e.Name())); err != nil {
			return err
		}
	}
	return os.RemoveAll(m.dir)
}

// letGo stops looking after the process.
func (m *machine) letGo() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.client != nil {
		_ = m.client.Close() // the guest goes on, whatever the monitor says to that
	}
	if m.proc != nil {
		m.proc.letGo()
	}
}
