package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/qmp"
	"github.com/mekcloud/mek/internal/fault"
)

// greetLimit is how long a fresh process may take until its monitor answers.
const greetLimit = 30 * time.Second

// Overheads of a process beyond its guest's memory: QEMU itself, device
// buffers, page tables, a screen. Generous, because what it is for is a
// process gone wild, and the price of being too small is a dead guest.
const overheadMiB = 512

// boot starts a process for the guest and leaves it halted, ready for cont; from
// saved memory if there is some. Under turn, with no process running.
func (m *machine) boot(ctx context.Context) (err error) {
	caps, err := m.d.Capabilities(ctx)
	if err != nil {
		return err
	}
	p, err := m.plan(ctx, caps)
	defer p.close()
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			return
		}
		// Not ctx: it may be what ended. A process that cannot be removed is
		// found by its cgroup at the latest when the driver starts again.
		if undone := m.end(m.d.ctx, ""); undone != nil {
			m.d.cfg.Log.ErrorContext(ctx, "a guest's half-started process stays", "guest", m.id, "error", undone)
		}
	}()
	if err := m.spawn(p); err != nil {
		return err
	}
	return m.greet(ctx)
}

// plan opens everything that the process will need.
func (m *machine) plan(ctx context.Context, caps guest.Capabilities) (p plan, err error) {
	p.uuid = m.id
	if err := m.design(&p, caps); err != nil {
		return p, err
	}
	if err := m.openDevices(ctx, &p); err != nil {
		return p, err
	}
	if err := os.RemoveAll(m.run); err != nil {
		return p, fmt.Errorf("remove old sockets: %w", err)
	}
	if err := os.Mkdir(m.run, 0o700); err != nil {
		return p, fmt.Errorf("make a folder for sockets: %w", err)
	}
	for name, to := range map[string]**os.File{qmpSocket: &p.qmp, serialSocket: &p.serial, agentSocket: &p.agent} {
		if *to, err = listen(filepath.Join(m.run, name)); err != nil {
			return p, err
		}
	}
	p.log, err = os.OpenFile(filepath.Join(m.dir, consoleFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err == nil && m.rec.Saved != nil {
		p.memory, err = os.Open(filepath.Join(m.dir, memoryFile))
	}
	if err != nil {
		return p, fmt.Errorf("open a guest's files: %w", err)
	}
	return p, nil
}

// design decides what machine is built: the one whose memory was saved, or the
// one that the last Spec asks for.
func (m *machine) design(p *plan, caps guest.Capabilities) error {
	if m.rec.Saved != nil {
		p.build = *m.rec.Saved
		return nil
	}
	spec := *m.rec.Spec
	places := m.rec.Slots
	if spec.Rescue != m.rec.Rescue {
		places = slots{}
	}
	if gone := places.unused(spec); len(gone) > 0 {
		places = places.without(gone)
	}
	places, err := places.assign(spec)
	if err != nil {
		return err
	}
	if err := m.note(false, func(r *record) { r.Slots, r.Rescue = places, spec.Rescue }); err != nil {
		return err
	}
	spec.Metadata = guest.Metadata{}
	spec.Limits = spec.Limits.WithDisks(m.d.cfg.DiskBytes, m.d.cfg.DiskRequests)
	p.build = started{Accel: caps.Accel, Machine: caps.Machine, CPUModel: caps.CPUModel, Ports: places.ports(m.d.cfg.FreePorts), Spec: spec}
	if spec.Machine.CPUModel != "" {
		p.build.CPUModel = spec.Machine.CPUModel
	}
	switch {
	case spec.Machine.Type != "" && spec.Machine.Type != "q35" && spec.Machine.Type != caps.Machine:
		return fault.Invalidf("the host has no machine type %q", spec.Machine.Type)
	case spec.Machine.Firmware != "" && spec.Machine.Firmware != "bios":
		return fault.Invalidf("the host has no firmware of type %q", spec.Machine.Firmware)
	}
	return nil
}

// openDevices opens disks and taps, all at once: an image may have to be fetched.
func (m *machine) openDevices(ctx context.Context, p *plan) error {
	wanted := disksOf(p.build.Spec)
	p.disks = make([]disk, len(wanted))
	p.nics = make([]nic, len(p.build.Spec.NICs))
	each, ctx := errgroup.WithContext(ctx)
	for i, n := range p.build.Spec.NICs {
		p.nics[i] = nic{NIC: n, slot: m.rec.Slots[nicKey(n)]}
		each.Go(func() (err error) {
			p.nics[i].tap, err = m.tap(ctx, n.PortID, p.build.Spec.Limits)
			return err
		})
	}
	each.Go(func() error { // one after the other: they share the list of what is to be flushed
		for i, w := range wanted {
			var err error
			if p.disks[i], err = m.openDisk(ctx, w, m.rec.Slots[diskKey(w)]); err != nil {
				return err
			}
		}
		return nil
	})
	return each.Wait()
}

// close closes our copies of what the process has inherited.
func (p plan) close() {
	for _, d := range p.disks {
		d.close()
	}
	for _, n := range p.nics {
		if n.tap != nil {
			closeAll(n.tap)
		}
	}
	for _, f := range []*os.File{p.qmp, p.serial, p.agent, p.log, p.memory} {
		if f != nil {
			closeAll(f)
		}
	}
}

// The sockets of a guest.
const (
	qmpSocket    = "qmp"
	serialSocket = "serial"
	agentSocket  = "agent"
)

// listen makes a listening socket that a process can inherit. Who connects to
// it before that process accepts is kept waiting, not refused.
func listen(path string) (*os.File, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	f, err := l.File()
	closeAll(l)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	return f, nil
}

// spawn starts the process in its cgroup under its user id and writes it down.
func (m *machine) spawn(p plan) error {
	uid, err := m.d.ids.take(m.owner())
	if err != nil {
		return err
	}
	if err := m.d.groups.create(m.id, m.limits(p.build)); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(m.dir, processLog))
	if err != nil {
		return fmt.Errorf("open the hypervisor's log: %w", err)
	}
	defer closeAll(log)
	b := &bundle{}
	l := launch{binary: m.d.cfg.Binary, args: p.args(b), log: log, group: m.id, uid: uid, owner: m.owner()}
	l.files = b.files
	if p.build.Accel == "kvm" {
		l.groups = kvmGroup()
	}
	proc, err := m.d.groups.spawn(l)
	if err != nil {
		return err
	}
	m.d.work.Go(proc.await)
	build := p.build
	build.PID, build.Ticks, build.UID = proc.pid, proc.ticks, uid
	build.Boot, build.At = m.d.boot, m.d.cfg.Clock.Now().Truncate(time.Millisecond)
	m.mu.Lock()
	m.proc, m.halted, m.plugged = proc, true, map[string]bool{}
	for _, d := range p.disks {
		m.plugged["d"+d.slot] = true
	}
	for _, n := range p.nics {
		m.plugged["d"+n.slot] = true
	}
	m.mu.Unlock()
	return m.note(false, func(r *record) { r.Process, r.Exit, r.Ending = &build, nil, false })
}

// owner is the guest's name among all clouds on this machine.
func (m *machine) owner() string { return m.d.cfg.Cloud + "/" + m.id }

func (m *machine) limits(b started) limits {
	s := b.Spec
	l := limits{shares: s.Limits.CPUShares, quotaUS: s.Limits.CPUQuotaUS, periodUS: s.Limits.CPUPeriodUS, pids: 512 + 8*s.CPUs}
	if l.shares == 0 {
		l.shares = 1024 * s.CPUs
	}
	if m.modest.Load() {
		l.shares *= modestWeight
	}
	if l.periodUS == 0 {
		l.periodUS = 100_000
	}
	if l.quotaUS == 0 {
		l.quotaUS = (s.CPUs + 1) * l.periodUS
	}
	mib := s.MemoryMiB + s.MemoryMiB/16 + overheadMiB
	if b.Accel == "tcg" {
		mib += translationMiB(s.MemoryMiB)
	}
	l.memoryBytes = int64(mib) << 20
	return l
}

// greet waits for the monitor of a process that was just started.
func (m *machine) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, greetLimit)
	defer cancel()
	client, err := qmp.Dial(ctx, filepath.Join(m.run, qmpSocket))
	if err != nil {
		return m.explain(ctx, err)
	}
	m.attachMonitor(client)
	return nil
}

// explain tells a process that died at once from one that is slow.
func (m *machine) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fault.Unavailablef("the hypervisor does not answer").Because(err)
	}
	words := m.lastWords()
	m.d.cfg.Log.ErrorContext(ctx, "the hypervisor did not start", "guest", m.id, "said", words)
	return &fault.Fault{Kind: fault.Internal, Text: "the hypervisor did not start", Cause: fmt.Errorf("%w: %s", err, words)}
}

// attachMonitor begins to follow what the process tells.
func (m *machine) attachMonitor(client *qmp.Client) {
	events := client.Subscribe(followed...)
	m.mu.Lock()
	m.client = client
	proc := m.proc
	m.mu.Unlock()
	m.d.work.Go(func() { m.follow(proc, events) })
}

// lastWords is the end of what the process wrote, for logs.
func (m *machine) lastWords() string {
	f, err := os.Open(filepath.Join(m.dir, processLog))
	if err != nil {
		return err.Error()
	}
	defer closeAll(f)
	const enough = 2000
	if info, err := f.Stat(); err == nil && info.Size() > enough {
		if _, err := f.Seek(-enough, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, enough))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// flush makes the files that were made for this start durable. It is done
// beside the guest's own start, which it would otherwise hold up.
func (m *machine) flush() error {
	for len(m.unflushed) > 0 {
		path := m.unflushed[0]
		f, err := os.Open(path)
		if err == nil {
			err = f.Sync()
			closeAll(f)
		}
		if err == nil {
			err = syncDir(filepath.Dir(path))
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("flush a disk: %w", err)
		}
		m.unflushed = m.unflushed[1:]
	}
	return nil
}
