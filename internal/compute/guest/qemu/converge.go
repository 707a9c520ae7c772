package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
)

// converge makes the guest as spec says. Under turn.
func (m *machine) converge(ctx context.Context, spec guest.Spec) error {
	if err := m.settle(ctx); err != nil {
		return err
	}
	if m.rec.Spec != nil && spec.BuildSerial != m.rec.BuildSerial {
		if err := m.demolish(ctx, spec); err != nil {
			return err
		}
	}
	if m.rec.Spec == nil || !reflect.DeepEqual(*m.rec.Spec, spec) {
		err := m.note(false, func(r *record) { r.Spec, r.BuildSerial = &spec, spec.BuildSerial })
		if err != nil {
			return err
		}
	}
	if err := m.reach(ctx, spec); err != nil {
		return err
	}
	if m.proc != nil {
		if err := m.adapt(ctx, spec); err != nil {
			return err
		}
	}
	if err := m.removeStrayDisks(spec); err != nil {
		return err
	}
	if m.rec.PowerSerial != spec.PowerSerial {
		return m.note(false, func(r *record) { r.PowerSerial = spec.PowerSerial })
	}
	return nil
}

// demolish ends the guest and removes the disks that a rebuild makes anew.
func (m *machine) demolish(ctx context.Context, spec guest.Spec) error {
	if err := m.end(ctx, guest.ExitRequested); err != nil {
		return err
	}
	if err := m.removeDisks(keptDisks(spec)); err != nil {
		return err
	}
	return m.dropMemory()
}

// keptDisks are the disks of the guest's own that a rebuild leaves alone.
func keptDisks(spec guest.Spec) map[string]bool {
	keep := map[string]bool{}
	for _, d := range spec.Disks {
		for _, file := range ownFiles(d) {
			keep[file] = spec.KeepBlank && d.Kind == guest.DiskBlank
		}
	}
	return keep
}

// reach brings about a power state.
func (m *machine) reach(ctx context.Context, spec guest.Spec) error {
	switch spec.Power {
	case guest.Stopped:
		return m.reachStopped(ctx, spec)
	case guest.Suspended:
		return m.reachSuspended(ctx)
	}
	if err := m.outdated(ctx, spec); err != nil {
		return err
	}
	if m.proc == nil && m.staysOff(spec) {
		return nil
	}
	var leave <-chan error
	if spec.Ask && m.rec.PowerSerial == 0 { // the process is started meanwhile, and stands still
		leave = guest.Leave(ctx)
	}
	if m.proc == nil {
		if err := m.boot(ctx); err != nil {
			return err
		}
		if err := m.entered(ctx); err != nil {
			return errors.Join(err, m.end(m.d.ctx, ""))
		}
	}
	if leave != nil {
		if err := <-leave; err != nil {
			return errors.Join(err, m.end(m.d.ctx, ""))
		}
		if err := m.connected(ctx, spec); err != nil {
			return err
		}
	}
	if spec.Power == guest.Paused {
		return m.halt(ctx)
	}
	if err := m.resume(ctx); err != nil {
		return err
	}
	return m.flush()
}

// outdated ends a process, or drops saved memory, of before the last start or
// hard reboot that somebody asked for.
func (m *machine) outdated(ctx context.Context, spec guest.Spec) error {
	if m.rec.Saved != nil && m.rec.Saved.Spec.PowerSerial != spec.PowerSerial {
		if err := m.dropMemory(); err != nil {
			return err
		}
	}
	if m.proc != nil && m.rec.Process.Spec.PowerSerial != spec.PowerSerial {
		return m.end(ctx, guest.ExitRequested)
	}
	return nil
}

// staysOff tells whether the guest is off by its own doing, and nobody has
// asked for it to be started since.
func (m *machine) staysOff(spec guest.Spec) bool {
	exit := m.rec.Exit
	return m.rec.Saved == nil && exit != nil && (exit.Reason == guest.ExitByGuest || exit.Reason == guest.ExitCrash) &&
		m.rec.PowerSerial == spec.PowerSerial
}

// entered finishes a start that may have been one from saved memory: that is
// used up before the guest takes its first step, since its disks go on.
func (m *machine) entered(ctx context.Context) error {
	if m.rec.Saved == nil {
		return nil
	}
	if err := m.awaitMemory(ctx); err != nil {
		return err
	}
	return m.dropMemory()
}

func (m *machine) halt(ctx context.Context) error {
	if m.halted {
		return nil
	}
	if err := m.command(ctx, "stop", nil, nil); err != nil {
		return err
	}
	m.setHalted(m.proc, true)
	return nil
}

func (m *machine) resume(ctx context.Context) error {
	if !m.halted {
		return nil
	}
	if err := m.command(ctx, "cont", nil, nil); err != nil {
		return err
	}
	m.setHalted(m.proc, false)
	return nil
}

// reachStopped switches the guest off, by its power button if it may take time.
func (m *machine) reachStopped(ctx context.Context, spec guest.Spec) error {
	if m.proc != nil && !m.halted && spec.StopSeconds > 0 {
		if _, err := m.shutDown(ctx, time.Duration(spec.StopSeconds)*time.Second); err != nil && ctx.Err() != nil {
			return err // otherwise it is switched off the hard way
		}
	}
	if err := m.dropMemory(); err != nil {
		return err
	}
	if m.proc == nil && m.rec.Exit != nil && m.rec.Exit.Reason == guest.ExitRequested {
		return nil
	}
	return m.end(ctx, guest.ExitRequested)
}

// removeStrayDisks removes disks of the guest's own that it no longer has,
// once no process uses them.
func (m *machine) removeStrayDisks(spec guest.Spec) error {
	if m.rec.Saved != nil {
		return nil // its machine still has them
	}
	keep := map[string]bool{}
	for _, d := range spec.Disks {
		for _, file := range ownFiles(d) {
			keep[file] = true
		}
	}
	for key := range m.rec.Slots {
		if m.plugged["d"+m.rec.Slots[key]] {
			keep[filepath.Base(key)] = true
		}
	}
	return m.removeDisks(keep)
}

// removeDisks removes the files of disks of the guest's own but for some.
func (m *machine) removeDisks(keep map[string]bool) error {
	entries, err := os.ReadDir(filepath.Join(m.dir, disksDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the disks of guest %s: %w", m.id, err)
	}
	for _, e := range entries {
		if keep[e.Name()] {
			continue
		}
		if err := os.Remove(filepath.Join(m.dir, disksDir, e.Name())); err != nil {
			return fmt.Errorf("remove a disk of guest %s: %w", m.id, err)
		}
	}
	return nil
}

// Reboot restarts a guest.
func (d *Driver) Reboot(ctx context.Context, guestID string, kind guest.RebootKind) error {
	m, err := d.find(guestID)
	if err != nil {
		return err
	}
	return m.do(ctx, func(ctx context.Context) error { return m.reboot(ctx, kind) })
}

// softRebootSeconds is how long a soft reboot waits when the Spec does not say.
const softRebootSeconds = 120

func (m *machine) reboot(ctx context.Context, kind guest.RebootKind) error {
	if err := m.settle(ctx); err != nil {
		return err
	}
	if m.proc == nil || (m.halted && kind == guest.RebootSoft) {
		return fault.Conflictf("the server is not running")
	}
	if kind == guest.RebootSoft {
		seconds := m.rec.Spec.StopSeconds
		if seconds == 0 {
			seconds = softRebootSeconds
		}
		off, err := m.shutDown(ctx, time.Duration(seconds)*time.Second)
		if err != nil && ctx.Err() != nil {
			return err // otherwise it is restarted the hard way
		}
		if off && m.again(ctx) == nil {
			return nil
		}
	}
	if err := m.end(ctx, guest.ExitRequested); err != nil {
		return err
	}
	if err := m.boot(ctx); err != nil {
		return err
	}
	if err := m.resume(ctx); err != nil {
		return err
	}
	return m.flush()
}

// again lets a guest that has switched off start over in the same process.
func (m *machine) again(ctx context.Context) error {
	if err := m.command(ctx, "system_reset", nil, nil); err != nil {
		return err
	}
	if err := m.command(ctx, "cont", nil, nil); err != nil {
		return err
	}
	m.setHalted(m.proc, false)
	return nil
}
