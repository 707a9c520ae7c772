package qemu

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/qmp"
)

// adoptLimit is how long a process that was found may take to answer. One
// that does not is kept, and asked again by follow.
const adoptLimit = 5 * time.Second

// adopt takes over a guest that an earlier driver left. It fails only for what
// the whole host suffers from: a guest whose record is damaged is listed, can be
// destroyed, and takes no other guest with it.
func (m *machine) adopt(ctx context.Context) error {
	rec, err := loadRecord(m.dir)
	if err != nil {
		m.d.cfg.Log.ErrorContext(ctx, "a guest's record cannot be read", "guest", m.id, "error", err)
		m.broken = err
		return nil
	}
	m.rec = rec
	m.unflushed = m.ownFiles()
	if rec.Process == nil {
		return nil
	}
	if rec.Process.Boot != m.d.boot {
		return m.clear(ctx, guest.ExitHost)
	}
	proc, err := openProcess(rec.Process.PID, rec.Process.Ticks, nil)
	if err != nil {
		return err
	}
	if proc == nil {
		return m.clear(ctx, m.deathReason())
	}
	m.proc, m.plugged = proc, map[string]bool{}
	m.d.work.Go(proc.await)
	if err := m.meet(ctx); err != nil {
		m.d.cfg.Log.WarnContext(ctx, "a guest's monitor does not answer yet", "guest", m.id, "error", err)
		m.d.work.Go(func() {
			if events := m.redial(proc); events != nil {
				m.follow(proc, events)
			}
		})
	}
	return nil
}

// deathReason says how a process that is gone came to that: it never ends by
// itself, so either we ended it or something broke.
func (m *machine) deathReason() guest.ExitReason {
	if m.rec.Ending {
		return guest.ExitRequested
	}
	return guest.ExitCrash
}

// meet greets the process and sees what it has been doing.
func (m *machine) meet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, adoptLimit)
	defer cancel()
	client, err := qmp.Dial(ctx, filepath.Join(m.run, qmpSocket))
	if err != nil {
		return err
	}
	var who struct {
		UUID string `json:"UUID"`
	}
	if err := client.Execute(ctx, "query-uuid", nil, &who); err != nil || !strings.EqualFold(who.UUID, m.id) {
		closeAll(client)
		return fmt.Errorf("a process says that it is guest %q: %w", who.UUID, err)
	}
	m.attachMonitor(client)
	if err := m.settle(ctx); err != nil {
		return err
	}
	if m.proc == nil {
		return nil
	}
	return m.look(ctx)
}

// ownFiles are all disks of the guest: after an interrupted start any of them
// may not be durable yet. To flush what is flushed costs nothing.
func (m *machine) ownFiles() []string {
	files, err := filepath.Glob(filepath.Join(m.dir, disksDir, "*"))
	if err != nil {
		return nil // the pattern is fine
	}
	return files
}
