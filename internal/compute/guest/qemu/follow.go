package qemu

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/qmp"
)

// redialPause is how long a lost monitor is left alone before the next attempt.
const redialPause = time.Second

// blockIOError is told of each request of a guest that its host could not do.
const blockIOError = "BLOCK_IO_ERROR"

// followed are the events that follow acts on.
var followed = []string{"SHUTDOWN", "STOP", "RESUME", blockIOError}

// follow acts on what a process tells until it is dead or let go of. One runs
// per process.
func (m *machine) follow(proc *process, events *qmp.Subscription) {
	for {
		m.listenTo(proc, events)
		select {
		case <-proc.gone:
			m.died(proc)
			return
		case <-m.d.ctx.Done():
			return
		case <-m.d.cfg.Clock.After(redialPause):
		}
		if events = m.redial(proc); events == nil {
			return
		}
	}
}

// listenTo handles events until the connection ends.
func (m *machine) listenTo(proc *process, events *qmp.Subscription) {
	for {
		e, err := events.Next(m.d.ctx)
		if err != nil {
			return
		}
		switch e.Name {
		case "STOP":
			m.setHalted(proc, true)
			m.tellStalled(proc)
		case "RESUME":
			m.setHalted(proc, false)
		case blockIOError:
			if stops(e) && m.setStalled(proc) {
				m.d.work.Go(func() { m.outlast(proc) })
			}
		case "SHUTDOWN":
			m.d.work.Go(func() { m.wentOff(proc) })
		}
	}
}

func (m *machine) setHalted(proc *process, halted bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc == proc {
		m.halted = halted
	}
}

// redial finds the monitor of a process that lives but lost its connection.
func (m *machine) redial(proc *process) *qmp.Subscription {
	for {
		ctx, cancel := context.WithTimeout(m.d.ctx, greetLimit)
		client, err := qmp.Dial(ctx, filepath.Join(m.run, qmpSocket))
		cancel()
		if err == nil {
			events := client.Subscribe(followed...)
			m.mu.Lock()
			m.client = client
			m.mu.Unlock()
			return events
		}
		select {
		case <-proc.gone:
			m.died(proc)
			return nil
		case <-m.d.ctx.Done():
			return nil
		case <-m.d.cfg.Clock.After(redialPause):
		}
	}
}

// wentOff ends the process of a guest that switched itself off, unless
// whoever had the turn meanwhile took care of it.
func (m *machine) wentOff(proc *process) {
	err := m.do(m.d.ctx, func(ctx context.Context) error {
		if m.proc != proc {
			return nil
		}
		return m.settle(ctx)
	})
	m.complain("end a guest that went off", err)
}

// died clears up after a process that ended by itself.
func (m *machine) died(proc *process) {
	err := m.do(m.d.ctx, func(ctx context.Context) error {
		if m.proc != proc {
			return nil
		}
		m.d.cfg.Log.WarnContext(ctx, "a guest's process died", "guest", m.id, "said", m.lastWords())
		return m.clear(ctx, m.deathReason())
	})
	m.complain("clear up after a guest that died", err)
}

// complain logs what nobody waits for. The next Ensure or Destroy tries again.
func (m *machine) complain(doing string, err error) {
	if err == nil || errors.Is(err, errDeleted) || m.d.ctx.Err() != nil {
		return
	}
	m.d.cfg.Log.Error("cannot "+doing, "guest", m.id, "error", err)
}

// settle brings our picture of the process up to date: a guest that is off has
// its process ended. Under turn.
func (m *machine) settle(ctx context.Context) error {
	if m.proc == nil {
		return nil
	}
	select {
	case <-m.proc.gone:
		return m.clear(ctx, m.deathReason())
	default:
	}
	status, err := m.status(ctx)
	if err != nil {
		return err
	}
	switch status {
	case "shutdown":
		return m.end(ctx, guest.ExitByGuest)
	case "internal-error", "guest-panicked":
		return m.end(ctx, guest.ExitCrash)
	}
	m.setHalted(m.proc, status != "running" && status != "suspended") // asleep by its own will is not halted
	return nil
}

func (m *machine) status(ctx context.Context) (string, error) {
	var s struct {
		Status string `json:"status"`
	}
	err := m.command(ctx, "query-status", nil, &s)
	return s.Status, err
}
