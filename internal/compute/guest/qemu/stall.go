package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/qmp"
)

// A guest whose host has no room for what it writes stands still: QEMU stops it
// before the request that failed, and repeats that request when it goes on. This
// is how often that is tried.
const (
	stallPause    = 2 * time.Second
	stallPauseMax = 15 * time.Second
)

// stallStatus is what QEMU says of such a guest.
const stallStatus = "io-error"

// outlast waits for a guest that stands still to go on, and has it try. One runs
// per process at most.
func (m *machine) outlast(proc *process) {
	m.d.cfg.Log.Warn("a guest stands still: its host cannot write what it writes; it goes on when there is room", "guest", m.id)
	for pause, over := stallPause, false; !over; pause = min(2*pause, stallPauseMax) {
		select {
		case <-proc.gone:
			return // what clears up after it forgets the rest
		case <-m.d.ctx.Done():
			return
		case <-m.d.cfg.Clock.After(pause):
		}
		err := m.do(m.d.ctx, func(ctx context.Context) (err error) {
			over, err = m.tryOn(ctx, proc)
			return err
		})
		if over = over || errors.Is(err, errDeleted); !over {
			m.complain("have a guest go on that stands still", err)
		}
	}
}

// stops tells whether the guest stands still for an error, rather than see it.
func stops(e qmp.Event) bool {
	var data struct {
		Action string `json:"action"`
	}
	return json.Unmarshal(e.Data, &data) == nil && data.Action == "stop"
}

// tellStalled makes Next answer a guest that stands still.
func (m *machine) tellStalled(proc *process) {
	m.mu.Lock()
	stalled := m.proc == proc && m.stalled
	m.mu.Unlock()
	if stalled {
		m.d.tell(m.id)
	}
}

// setStalled notes that a guest stands still; false: it is known.
func (m *machine) setStalled(proc *process) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc != proc || m.stalled {
		return false
	}
	m.stalled = true
	return true
}

// tryOn lets a guest go on whose time to stand still may be over; it is over when
// the guest did so since the last attempt, or somebody else saw to it. Under turn.
func (m *machine) tryOn(ctx context.Context, proc *process) (over bool, err error) {
	if m.proc != proc {
		return true, nil
	}
	status, err := m.status(ctx)
	if err != nil {
		return false, err
	}
	if status != stallStatus {
		m.mu.Lock()
		m.stalled = false
		m.mu.Unlock()
		m.d.cfg.Log.Info("a guest that stood still goes on", "guest", m.id)
		m.d.tell(m.id)
		return true, nil
	}
	m.setHalted(proc, true)
	if m.rec.Spec == nil || m.rec.Spec.Power != guest.Running {
		return false, nil
	}
	return false, m.resume(ctx)
}
