package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
)

// powerButtonAgain is how often the power button is pressed until it works: a
// guest that still boots does not see it.
const powerButtonAgain = 5 * time.Second

// quitLimit is how long QEMU may take to close its files.
const quitLimit = 10 * time.Second

// shutDown presses the power button and waits for the guest to switch off. It
// answers whether it did. Under turn.
func (m *machine) shutDown(ctx context.Context, limit time.Duration) (bool, error) {
	client, err := m.monitor()
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	events := client.Subscribe("SHUTDOWN")
	defer events.Close()
	for {
		if err := m.command(ctx, "system_powerdown", nil, nil); err != nil {
			return false, unlessTooLong(ctx, err)
		}
		turn, release := context.WithTimeout(ctx, powerButtonAgain)
		_, err := events.Next(turn)
		release()
		switch {
		case err == nil:
			return true, nil
		case ctx.Err() != nil || turn.Err() == nil:
			return false, unlessTooLong(ctx, err)
		}
	}
}

var errTooLong = errors.New("the guest took too long")

// unlessTooLong forgives what came of the guest's own slowness.
func unlessTooLong(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errTooLong) {
		return nil
	}
	return err
}

// end ends the process, if there is one, and clears up. A reason of "" leaves
// the way the guest last ended as it stands. Under turn.
func (m *machine) end(ctx context.Context, reason guest.ExitReason) error {
	if m.proc == nil {
		return m.clear(ctx, reason)
	}
	if err := m.note(false, func(r *record) { r.Ending = true }); err != nil {
		return err
	}
	if client, err := m.monitor(); err == nil {
		quit, cancel := context.WithTimeout(ctx, quitLimit)
		// Politely first, so that disks are flushed; if that fails, it is killed below.
		if client.Execute(quit, "quit", nil, nil) == nil {
			select {
			case <-m.proc.gone:
			case <-quit.Done():
			}
		}
		cancel()
	}
	if err := errors.Join(m.proc.kill(), m.d.groups.kill(m.id)); err != nil {
		return fmt.Errorf("end guest %s: %w", m.id, err)
	}
	select {
	case <-m.proc.gone:
	case <-m.d.cfg.Clock.After(emptyLimit):
		return fault.Unavailablef("the server's process does not end")
	}
	return m.clear(ctx, reason)
}

// clear removes what a dead process leaves: cgroup, user id, sockets. Under turn.
func (m *machine) clear(ctx context.Context, reason guest.ExitReason) error {
	if err := m.d.groups.empty(context.WithoutCancel(ctx), m.d.cfg.Clock, m.id); err != nil {
		return fmt.Errorf("clear up after guest %s: %w", m.id, err)
	}
	if err := errors.Join(m.d.ids.release(m.owner()), os.RemoveAll(m.run)); err != nil {
		return fmt.Errorf("clear up after guest %s: %w", m.id, err)
	}
	m.mu.Lock()
	if m.client != nil {
		_ = m.client.Close() // its other end is dead
	}
	if m.proc != nil {
		m.proc.letGo()
	}
	m.proc, m.client, m.halted, m.stalled, m.plugged = nil, nil, false, false, nil
	m.mu.Unlock()
	if reason == guest.ExitByGuest || reason == guest.ExitCrash {
		defer m.d.tell(m.id)
	}
	at := m.d.cfg.Clock.Now().Truncate(time.Millisecond)
	return m.note(false, func(r *record) {
		r.Process, r.Ending = nil, false
		if reason != "" {
			r.Exit = &guest.Exit{Reason: reason, At: at}
		}
	})
}
