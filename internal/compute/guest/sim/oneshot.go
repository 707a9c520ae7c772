package sim

import (
	"bytes"
	"context"
	"io"
	"net"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/qcow2"
	"github.com/mekcloud/mek/internal/fault"
)

// Reboot restarts a guest.
func (d *Driver) Reboot(ctx context.Context, guestID string, kind guest.RebootKind) error {
	if _, err := d.Inspect(ctx, guestID); err != nil {
		return err
	}
	return d.do(ctx, "reboot", guestID, func(ctx context.Context) error {
		if err := d.wait(ctx, d.cfg.Delay); err != nil {
			return err
		}
		return d.with(guestID, func(r *record) error {
			if !r.live() || r.Facts.Power == guest.Paused && kind == guest.RebootSoft {
				return fault.Conflictf("the server is not running")
			}
			r.Facts.Power = guest.Running
			if kind == guest.RebootHard {
				r.on(r.Facts.PID, d.cfg.Clock.Now())
			}
			r.prompt()
			return nil
		})
	})
}

// Snapshot freezes nothing: it is an empty disk of the right size.
func (d *Driver) Snapshot(ctx context.Context, guestID, diskID, name string) (info guest.SnapshotInfo, err error) {
	if _, err := d.Inspect(ctx, guestID); err != nil {
		return info, err
	}
	if !guest.Word(name) {
		return info, fault.Invalidf("that cannot name a snapshot")
	}
	err = d.do(ctx, "snapshot", guestID, func(ctx context.Context) error {
		if err := d.wait(ctx, d.cfg.Delay); err != nil {
			return err
		}
		return d.with(guestID, func(r *record) error {
			if s, ok := r.Snapshots[name]; ok {
				info = s.Info
				return nil
			}
			s, err := r.snapshot(diskID, name)
			if err != nil {
				return err
			}
			r.Snapshots[name], info = s, s.Info
			return nil
		})
	})
	return info, err
}

func (r *record) snapshot(diskID, name string) (*snapshot, error) {
	for _, d := range r.Spec.Disks {
		if d.ID != diskID {
			continue
		}
		var to inMemory
		if err := qcow2.Empty(&to, d.SizeBytes, qcow2.Backing{}); err != nil {
			return nil, err
		}
		return &snapshot{Bytes: to.b, Info: guest.SnapshotInfo{Name: name, Format: "qcow2", SizeBytes: int64(len(to.b)), VirtualBytes: d.SizeBytes}}, nil
	}
	return nil, fault.NotFoundf("the server has no disk %s", diskID)
}

// inMemory is a file for package qcow2.
type inMemory struct{ b []byte }

// WriteAt writes into memory.
func (w *inMemory) WriteAt(p []byte, at int64) (int, error) {
	if need := int(at) + len(p) - len(w.b); need > 0 {
		w.b = append(w.b, make([]byte, need)...)
	}
	return copy(w.b[at:], p), nil
}

// OpenSnapshot reads the bytes of a snapshot.
func (d *Driver) OpenSnapshot(_ context.Context, guestID, name string) (r io.ReadCloser, err error) {
	err = d.with(guestID, func(g *record) error {
		s, ok := g.Snapshots[name]
		if !ok {
			return fault.NotFoundf("the server has no snapshot of this name")
		}
		r = io.NopCloser(bytes.NewReader(s.Bytes))
		return nil
	})
	return r, err
}

// DiscardSnapshot removes a snapshot.
func (d *Driver) DiscardSnapshot(_ context.Context, guestID, name string) error {
	err := d.with(guestID, func(r *record) error { delete(r.Snapshots, name); return nil })
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// ConsoleLog is the end of what the guest would have written.
func (d *Driver) ConsoleLog(_ context.Context, guestID string, lines int) (log []byte, err error) {
	err = d.with(guestID, func(r *record) error {
		log = bytes.Clone(r.Console)
		for at := len(log); lines >= 0; lines-- {
			if lines == 0 {
				log = log[at:]
				break
			}
			if at == 0 {
				break
			}
			at = bytes.LastIndexByte(log[:at-1], '\n') + 1
		}
		return nil
	})
	return log, err
}

// running is a Conflict for a guest that is not.
func (d *Driver) running(guestID string) error {
	return d.with(guestID, func(r *record) error {
		if !r.live() {
			return fault.Conflictf("the server is not running")
		}
		return nil
	})
}

// Serial sends back what comes, like a terminal that nobody sits at.
func (d *Driver) Serial(_ context.Context, guestID string) (io.ReadWriteCloser, error) {
	if err := d.running(guestID); err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	go func() {
		_, _ = io.Copy(theirs, theirs) // until the other end is closed
		_ = theirs.Close()             // nobody is there any more
	}()
	return ours, nil
}

// InjectNMI changes nothing.
func (d *Driver) InjectNMI(_ context.Context, guestID string) error { return d.running(guestID) }

// SetPassword changes nothing.
func (d *Driver) SetPassword(_ context.Context, guestID, _, _ string) error {
	return d.running(guestID)
}
