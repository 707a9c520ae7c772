package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/qmp"
	"github.com/mekcloud/mek/internal/fault"
)

// reachSuspended writes the guest's memory to a file and ends the process.
func (m *machine) reachSuspended(ctx context.Context) error {
	if m.proc == nil {
		if m.rec.Saved != nil {
			return nil
		}
		return fault.Conflictf("the server is not running, so there is no memory to keep")
	}
	if err := m.look(ctx); err != nil {
		return err
	}
	wasHalted := m.halted
	if err := m.writeMemory(ctx); err != nil {
		if !wasHalted {
			err = errors.Join(err, m.resume(m.d.ctx))
		}
		return err
	}
	build := *m.rec.Process
	build.Spec = m.present()
	if err := m.note(true, func(r *record) { r.Saved = &build }); err != nil {
		return err
	}
	return m.end(ctx, guest.ExitRequested)
}

// present is what the process was started from, with the devices that it has
// now: the machine that its memory will fit.
func (m *machine) present() guest.Spec {
	spec := m.rec.Process.Spec
	there := func(key string) bool { return m.plugged["d"+m.rec.Slots[key]] }
	seen := map[string]bool{}
	var disks []guest.Disk
	var nics []guest.NIC
	for _, from := range []guest.Spec{*m.rec.Spec, spec} { // the newer first: sizes
		for _, d := range from.Disks {
			if key := diskKey(d); there(key) && !seen[key] {
				seen[key] = true
				disks = append(disks, d)
			}
		}
		for _, n := range from.NICs {
			if key := nicKey(n); there(key) && !seen[key] {
				seen[key] = true
				nics = append(nics, n)
			}
		}
	}
	spec.Disks, spec.NICs = disks, nics
	return spec
}

// writeMemory saves the memory of the halted guest, durably.
func (m *machine) writeMemory(ctx context.Context) (err error) {
	client, err := m.monitor()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(m.dir, memoryFile), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("save memory: %w", err)
	}
	defer func() {
		closeAll(f)
		if err != nil {
			_ = os.Remove(filepath.Join(m.dir, memoryFile)) // of no use; the next attempt would overwrite it
		}
	}()
	if err := m.halt(ctx); err != nil {
		return err
	}
	events := client.Subscribe("MIGRATION")
	defer events.Close()
	if err := m.startSaving(ctx, client, f); err != nil {
		return err
	}
	if err := awaitMigration(ctx, events); err != nil {
		if ctx.Err() != nil {
			_ = m.command(m.d.ctx, "migrate_cancel", nil, nil) // the process goes on either way
		}
		return err
	}
	return f.Sync()
}

func (m *machine) startSaving(ctx context.Context, client *qmp.Client, f *os.File) error {
	events := []map[string]any{{"capability": "events", "state": true}}
	if err := m.command(ctx, "migrate-set-capabilities", map[string]any{"capabilities": events}, nil); err != nil {
		return err
	}
	if err := m.command(ctx, "migrate-set-parameters", map[string]any{"max-bandwidth": int64(1) << 40}, nil); err != nil {
		return err
	}
	if err := client.ExecuteFile(ctx, "getfd", map[string]any{"fdname": "memory"}, nil, f); err != nil {
		return err
	}
	return m.command(ctx, "migrate", map[string]any{"uri": "fd:memory"}, nil)
}

// awaitMigration waits for a migration to end well.
func awaitMigration(ctx context.Context, events *qmp.Subscription) error {
	for {
		e, err := events.Next(ctx)
		if err != nil {
			return err
		}
		switch stage(e) {
		case "completed":
			return nil
		case "failed", "cancelled":
			return fault.Unavailablef("the server's memory could not be saved")
		}
	}
}

// awaitMemory waits until a fresh process has read the saved memory.
func (m *machine) awaitMemory(ctx context.Context) error {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		status, err := m.status(ctx)
		if err != nil {
			return fault.Unavailablef("the server's memory could not be restored").Because(fmt.Errorf("%w: %s", err, m.lastWords()))
		}
		if status != "inmigrate" {
			return nil
		}
		select {
		case <-m.d.cfg.Clock.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// dropMemory forgets saved memory, if there is some.
func (m *machine) dropMemory() error {
	if m.rec.Saved == nil {
		return nil
	}
	if err := m.note(true, func(r *record) { r.Saved = nil }); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(m.dir, memoryFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove saved memory: %w", err)
	}
	return nil
}
