package sim

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
)

func (r *record) live() bool {
	return r.Facts.Power == guest.Running || r.Facts.Power == guest.Paused
}

// off ends the guest.
func (r *record) off(reason guest.ExitReason, at time.Time) {
	f := &r.Facts
	f.Power = guest.Stopped
	if reason == guest.ExitCrash {
		f.Power = guest.Crashed
	}
	f.Exit = &guest.Exit{Reason: reason, At: at.Truncate(time.Millisecond)}
	f.PID, f.StartedAt, f.CPUs, f.MemoryMiB, f.Consoles, f.Accel, f.Machine, f.CPUModel = 0, time.Time{}, 0, 0, nil, "", "", ""
	r.devices(false)
}

// on starts the guest as its Spec says.
func (r *record) on(pid int, at time.Time) {
	f := &r.Facts
	f.Power, f.Exit, f.PID, f.StartedAt = guest.Running, nil, pid, at.Truncate(time.Millisecond)
	f.CPUs, f.MemoryMiB, f.Accel, f.Machine, f.CPUModel = r.Spec.CPUs, r.Spec.MemoryMiB, "tcg", "sim", "sim"
	f.Consoles = []string{"serial"}
	if r.Spec.Console.VNC {
		f.Consoles = append(f.Consoles, "vnc")
	}
	r.Boot = r.Spec.PowerSerial
	r.devices(true)
}

// devices lists what the Spec asks for, plugged in or not.
func (r *record) devices(attached bool) {
	r.Facts.Disks, r.Facts.NICs = nil, nil
	for _, d := range r.Spec.Disks {
		r.Facts.Disks = append(r.Facts.Disks, guest.DiskFact{ID: d.ID, DeviceName: d.DeviceName, SizeBytes: d.SizeBytes, Attached: attached})
	}
	for _, n := range r.Spec.NICs {
		r.Facts.NICs = append(r.Facts.NICs, guest.NICFact{PortID: n.PortID, MAC: n.MAC, Attached: attached})
	}
}

// prompt is what a booted guest shows.
func (r *record) prompt() {
	r.Console = append(r.Console, "\n"+r.Spec.Name+" is simulated\nno kernel was started\nno disk was read\nlogin: "...)
}

// Ensure makes a guest as spec says.
func (d *Driver) Ensure(ctx context.Context, spec guest.Spec) (guest.Facts, error) {
	if err := spec.Check(); err != nil {
		return guest.Facts{}, err
	}
	err := d.do(ctx, "ensure", spec.ID, func(ctx context.Context) error { return d.ensure(ctx, spec) })
	facts, missing := d.Inspect(ctx, spec.ID)
	if err == nil {
		err = missing
	}
	return facts, err
}

func (d *Driver) ensure(ctx context.Context, spec guest.Spec) error {
	d.begin(spec)
	if err := d.resolve(ctx, spec); err != nil {
		return err
	}
	busy := false
	if err := d.with(spec.ID, func(r *record) error { busy = r.changes(spec); return nil }); err != nil {
		return err
	}
	if busy {
		if err := d.wait(ctx, d.cfg.Delay); err != nil {
			return err
		}
	}
	if err := d.leave(ctx, spec); err != nil {
		return err
	}
	d.state.mu.Lock()
	d.state.NextID++
	pid := d.state.NextID
	d.state.mu.Unlock()
	return d.with(spec.ID, func(r *record) error { return r.reach(spec, pid, d.cfg.Clock.Now()) })
}

// leave waits until the guest may run, where that is not known yet.
func (d *Driver) leave(ctx context.Context, spec guest.Spec) error {
	first := false
	if err := d.with(spec.ID, func(r *record) error { first = r.Facts.PowerSerial == 0; return nil }); err != nil {
		return err
	}
	if !spec.Ask || !first || spec.Power == guest.Stopped {
		return nil
	}
	return <-guest.Leave(ctx)
}

// begin makes the guest known.
func (d *Driver) begin(spec guest.Spec) {
	d.state.mu.Lock()
	defer d.state.mu.Unlock()
	if r := d.state.Guests[spec.ID]; r != nil && r.Begun {
		return
	}
	d.state.Guests[spec.ID] = &record{Begun: true, Spec: spec, BuildSerial: spec.BuildSerial, Snapshots: map[string]*snapshot{},
		Facts: guest.Facts{ID: spec.ID, Driver: "sim", Power: guest.Stopped}}
}

// resolve asks for what a host would have to have.
func (d *Driver) resolve(ctx context.Context, spec guest.Spec) error {
	for _, disk := range spec.Disks {
		switch {
		case disk.VolumeID != "" && d.cfg.Volumes != nil:
			if _, err := d.cfg.Volumes.Volume(ctx, disk.VolumeID); err != nil {
				return err
			}
		case disk.ImageID != "" && d.cfg.Images != nil && spec.Power != guest.Suspended:
			size, err := d.fetch(ctx, disk.ImageID, disk.ImageFormat)
			if err != nil {
				return err
			}
			if disk.SizeBytes != 0 && disk.SizeBytes < size {
				return fault.Invalidf("the image needs a disk of %d bytes, and the server's has %d", size, disk.SizeBytes)
			}
		}
	}
	return nil
}

// Cache fetches an image ahead of use. A host without a source has it from then on.
func (d *Driver) Cache(ctx context.Context, imageID, format string) (fetched bool, err error) {
	err = d.do(ctx, "cache", imageID, func(ctx context.Context) error {
		d.state.mu.Lock()
		_, ok := d.state.Images[imageID]
		if fetched = !ok; fetched && d.cfg.Images == nil {
			d.state.Images[imageID] = 0
		}
		d.state.mu.Unlock()
		if fetched && d.cfg.Images != nil {
			if _, err := d.fetch(ctx, imageID, format); err != nil {
				return err
			}
		}
		d.state.mu.Lock()
		defer d.state.mu.Unlock()
		return d.state.keep()
	})
	return fetched, err
}

// fetch reads an image once, as a host would into its cache.
func (d *Driver) fetch(ctx context.Context, imageID, format string) (int64, error) {
	d.state.mu.Lock()
	size, ok := d.state.Images[imageID]
	d.state.mu.Unlock()
	if ok {
		return size, nil
	}
	in, info, err := d.cfg.Images.Open(ctx, imageID)
	if err != nil {
		return 0, err
	}
	defer in.Close() // only read
	if info.Format != format {
		return 0, fault.Invalidf("the image is in %s format, not in %s", info.Format, format)
	}
	size, err = io.Copy(io.Discard, in)
	if err != nil {
		return 0, fault.Unavailablef("the image could not be fetched").Because(err)
	}
	size = max(size, info.VirtualBytes)
	d.state.mu.Lock()
	defer d.state.mu.Unlock()
	d.state.Images[imageID] = size
	return size, nil
}

// changes tells whether spec asks for what takes a real guest time.
func (r *record) changes(spec guest.Spec) bool {
	return r.Facts.Power != spec.Power || r.BuildSerial != spec.BuildSerial || r.live() && r.Boot != spec.PowerSerial
}

// reach brings the guest into the state that spec asks for.
func (r *record) reach(spec guest.Spec, pid int, now time.Time) error {
	if r.BuildSerial != spec.BuildSerial {
		r.off(guest.ExitRequested, now)
		r.BuildSerial = spec.BuildSerial
	}
	was := r.Spec
	r.Spec = spec
	switch spec.Power {
	case guest.Stopped:
		if r.live() || r.Facts.Exit == nil || r.Facts.Exit.Reason != guest.ExitRequested || r.Facts.Power != guest.Stopped {
			r.off(guest.ExitRequested, now)
		}
	case guest.Suspended:
		if !r.live() && r.Facts.Power != guest.Suspended {
			return fault.Conflictf("the server is not running, so there is no memory to keep")
		}
		if r.live() {
			r.off(guest.ExitRequested, now)
			r.Facts.Power = guest.Suspended
		}
	default:
		r.run(spec, pid, now)
	}
	r.grown(was)
	r.devices(r.live())
	r.Facts.PowerSerial = spec.PowerSerial
	return nil
}

// run starts, restarts, pauses or resumes.
func (r *record) run(spec guest.Spec, pid int, now time.Time) {
	f := &r.Facts
	byItself := f.Exit != nil && (f.Exit.Reason == guest.ExitByGuest || f.Exit.Reason == guest.ExitCrash)
	switch {
	case f.Power == guest.Suspended && r.Boot == spec.PowerSerial:
		r.on(pid, now)
	case !r.live() && byItself && f.PowerSerial == spec.PowerSerial:
		return // it stays off
	case !r.live() || r.Boot != spec.PowerSerial:
		r.on(pid, now)
		r.prompt()
	}
	f.Power = spec.Power
}

// grown keeps disks from shrinking.
func (r *record) grown(was guest.Spec) {
	r.Spec.Disks = slices.Clone(r.Spec.Disks)
	for i, d := range r.Spec.Disks {
		for _, before := range was.Disks {
			if before.ID == d.ID && d.Fill != "swap" && slices.Equal(before.Layers, d.Layers) {
				r.Spec.Disks[i].SizeBytes = max(d.SizeBytes, before.SizeBytes)
			}
		}
	}
}

// Destroy removes a guest, whatever is being done to it.
func (d *Driver) Destroy(ctx context.Context, guestID string) error {
	d.mu.Lock()
	if cancel := d.cancels[guestID]; cancel != nil {
		cancel(fault.Conflictf("the server is being deleted"))
	}
	d.mu.Unlock()
	return d.do(ctx, "destroy", guestID, func(context.Context) error {
		d.state.mu.Lock()
		defer d.state.mu.Unlock()
		delete(d.state.Guests, guestID)
		return d.state.keep()
	})
}

// List tells of every guest here.
func (d *Driver) List(context.Context) ([]guest.Facts, error) {
	d.state.mu.Lock()
	defer d.state.mu.Unlock()
	var all []guest.Facts
	for _, r := range d.state.Guests {
		if r.Begun {
			all = append(all, r.told())
		}
	}
	slices.SortFunc(all, func(a, b guest.Facts) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// told are the facts as they are now; later changes do not show in them.
func (r *record) told() guest.Facts {
	f := r.Facts
	f.Disks, f.NICs, f.Consoles = slices.Clone(f.Disks), slices.Clone(f.NICs), slices.Clone(f.Consoles)
	return f
}

// Inspect tells of one guest.
func (d *Driver) Inspect(_ context.Context, guestID string) (f guest.Facts, err error) {
	err = d.with(guestID, func(r *record) error { f = r.told(); return nil })
	return f, err
}
