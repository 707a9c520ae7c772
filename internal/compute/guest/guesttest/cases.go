package guesttest

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// life takes one guest through every power state.
func life(b *bench) {
	spec := b.spec()
	first := b.ensure(spec)
	b.power(first, guest.Running)
	if first.CPUs != 1 || first.MemoryMiB != 256 || first.PowerSerial != 1 || first.Driver == "" || first.StartedAt.IsZero() {
		b.t.Errorf("facts %+v", first)
	}
	b.booted(spec.ID, 1)
	if again := b.ensure(spec); again.PID != first.PID || !again.StartedAt.Equal(first.StartedAt) {
		b.t.Errorf("the same Spec restarted the guest: %+v, then %+v", first, again)
	}
	screen(b, spec.ID)
	counters(b, spec.ID) // here, since a process that goes on with saved memory counts from nothing

	spec.Power = guest.Paused
	b.power(b.ensure(spec), guest.Paused)
	b.refuses("soft reboot of a paused guest", b.d.Reboot(b.t.Context(), spec.ID, guest.RebootSoft), fault.Conflict)
	spec.Power = guest.Running
	b.power(b.ensure(spec), guest.Running)

	spec.Power = guest.Suspended
	b.power(b.ensure(spec), guest.Suspended)
	_, err := b.d.VNC(b.t.Context(), spec.ID)
	b.refuses("a screen without a process", err, fault.Conflict)
	spec.Power = guest.Running
	b.power(b.ensure(spec), guest.Running)
	if n := b.prompts(spec.ID); n != 1 {
		b.t.Errorf("resuming booted the guest anew: %d prompts", n)
	}
	if err := b.d.InjectNMI(b.t.Context(), spec.ID); err != nil {
		b.t.Errorf("NMI: %v", err)
	}

	for i, kind := range []guest.RebootKind{guest.RebootSoft, guest.RebootHard} {
		if err := b.d.Reboot(b.t.Context(), spec.ID, kind); err != nil {
			b.t.Fatalf("%s reboot: %v", kind, err)
		}
		b.power(b.inspect(spec.ID), guest.Running)
		b.booted(spec.ID, 2+i)
	}

	spec.Power, spec.PowerSerial = guest.Stopped, 2
	stopped := b.ensure(spec)
	b.power(stopped, guest.Stopped)
	if stopped.Exit == nil || stopped.Exit.Reason != guest.ExitRequested || stopped.PowerSerial != 2 {
		b.t.Errorf("facts %+v", stopped)
	}
	_, err = b.d.Diagnose(b.t.Context(), spec.ID)
	b.refuses("diagnostics of a stopped guest", err, fault.Conflict)
	b.refuses("reboot of a stopped guest", b.d.Reboot(b.t.Context(), spec.ID, guest.RebootHard), fault.Conflict)
	small := spec
	spec.CPUs, spec.MemoryMiB = 2, 300 // a resize, whose writes go into layers
	spec.Disks = slices.Clone(spec.Disks)
	spec.Disks[0].Layers, spec.Disks[0].SizeBytes = []string{"r1"}, spec.Disks[0].SizeBytes+64<<20
	spec.Power, spec.PowerSerial = guest.Running, 3
	if f := b.ensure(spec); f.CPUs != 2 || f.MemoryMiB != 300 || f.Disks[0].SizeBytes != spec.Disks[0].SizeBytes {
		b.t.Errorf("facts after a resize %+v", f)
	}
	b.booted(spec.ID, 4)
	spec.Power, spec.PowerSerial = guest.Stopped, 4
	b.power(b.ensure(spec), guest.Stopped)
	small.Power, small.PowerSerial = guest.Running, 5 // taken back
	if f := b.ensure(small); f.CPUs != 1 || f.Disks[0].SizeBytes != small.Disks[0].SizeBytes {
		b.t.Errorf("facts after a resize was taken back %+v", f)
	}
	b.booted(spec.ID, 5)
	b.gone(spec.ID)
}

// counters are there for each processor and disk, as soon as a guest runs.
func counters(b *bench, guestID string) {
	b.t.Helper()
	d, err := b.d.Diagnose(b.t.Context(), guestID)
	if err != nil || len(d.CPUs) != 1 || len(d.Disks) != 1 || d.Disks[0].ID != "root" || d.MemoryKiB == 0 {
		b.t.Errorf("diagnostics %+v, error %v", d, err)
	}
	if b.s.Kill != nil && (d.CPUs[0].TimeNS == 0 || d.Disks[0].ReadBytes == 0) {
		b.t.Errorf("a real guest has done nothing: %+v", d)
	}
}

// gone destroys a guest, twice.
func (b *bench) gone(guestID string) {
	b.t.Helper()
	for range 2 {
		if err := b.d.Destroy(b.t.Context(), guestID); err != nil {
			b.t.Fatalf("destroy: %v", err)
		}
	}
	_, err := b.d.Inspect(b.t.Context(), guestID)
	b.refuses("inspect what is gone", err, fault.NotFound)
	if all, err := b.d.List(b.t.Context()); err != nil || len(all) != 0 {
		b.t.Errorf("left: %v, error %v", all, err)
	}
}

// screen does what a VNC client does before it sees anything.
func screen(b *bench, guestID string) {
	conn, err := b.d.VNC(b.t.Context(), guestID)
	if err != nil {
		b.t.Fatalf("VNC: %v", err)
	}
	defer conn.Close()
	hear := func(n int) []byte {
		said := make([]byte, n)
		if _, err := io.ReadFull(conn, said); err != nil {
			b.t.Fatalf("VNC said %q, error %v", said, err)
		}
		return said
	}
	say := func(word []byte) {
		if _, err := conn.Write(word); err != nil {
			b.t.Fatalf("VNC: %v", err)
		}
	}
	hello := hear(12)
	if string(hello) != "RFB 003.008\n" {
		b.t.Fatalf("VNC said %q", hello)
	}
	say(hello)
	if ways := hear(int(hear(1)[0])); !slices.Contains(ways, 1) {
		b.t.Errorf("no way to log in without a password: %v", ways)
	}
	say([]byte{1})
	if result := hear(4); !slices.Equal(result, make([]byte, 4)) {
		b.t.Errorf("logging in: %v", result)
	}
	say([]byte{1})
	if init := hear(24); init[23] == 0 || len(hear(int(init[23]))) != int(init[23]) {
		b.t.Errorf("the screen is %v", init)
	}
}

func attached(f guest.Facts, diskID string) bool {
	return slices.ContainsFunc(f.Disks, func(d guest.DiskFact) bool { return d.ID == diskID && d.Attached })
}

func connected(f guest.Facts, portID string) bool {
	return slices.ContainsFunc(f.NICs, func(n guest.NICFact) bool { return n.PortID == portID && n.Attached })
}

// devices come and go while the guest runs, and are there after a restart.
func devices(b *bench) {
	spec := b.spec()
	spec.ConfigDrive = true
	spec.Metadata = guest.Metadata{MetaData: []byte(`{"uuid":"` + spec.ID + `","hostname":"devices"}`)}
	spec.NICs = []guest.NIC{{PortID: id.New(), MAC: "fa:16:3e:00:00:01", MTU: 1400}}
	f := b.ensure(spec)
	if !attached(f, "root") || !connected(f, spec.NICs[0].PortID) {
		b.t.Errorf("facts after the start: %+v", f)
	}
	b.booted(spec.ID, 1)
	volume := b.site.AddVolume(b.t, 64<<20)
	plain := spec
	spec.Disks = append(slices.Clone(spec.Disks), guest.Disk{ID: volume, Kind: guest.DiskVolume, VolumeID: volume, Serial: volume, SizeBytes: 64 << 20, DeviceName: "/dev/vdb"})
	spec.NICs = append(slices.Clone(spec.NICs), guest.NIC{PortID: id.New(), MAC: "fa:16:3e:00:00:02"})
	both := b.ensure(spec)
	if !attached(both, volume) || !connected(both, spec.NICs[1].PortID) || both.PID != f.PID {
		b.t.Errorf("facts after plugging in: %+v", both)
	}
	spec.Disks[1].SizeBytes = 96 << 20
	b.ensure(spec)

	without := b.ensure(plain)
	if attached(without, volume) || connected(without, spec.NICs[1].PortID) || without.PID != f.PID {
		b.t.Errorf("facts after unplugging: %+v", without)
	}
	b.ensure(spec)
	spec.PowerSerial++ // a hard reboot
	if f := b.ensure(spec); !attached(f, volume) || !connected(f, spec.NICs[1].PortID) || f.PID == both.PID && f.StartedAt.Equal(both.StartedAt) {
		b.t.Errorf("facts after a restart: %+v", f)
	}
	absent := spec
	missing := id.New()
	absent.Disks = append(slices.Clone(spec.Disks), guest.Disk{ID: missing, Kind: guest.DiskVolume, VolumeID: missing})
	_, err := b.d.Ensure(b.t.Context(), absent)
	b.refuses("a volume that is not here", err, fault.Unavailable)
	b.power(b.inspect(spec.ID), guest.Running)
}

// shared volumes are open in several guests at a time.
func shared(b *bench) {
	volume := b.site.AddVolume(b.t, 64<<20)
	with := guest.Disk{ID: volume, Kind: guest.DiskVolume, VolumeID: volume, Serial: volume, SizeBytes: 64 << 20, Shared: true}
	one, two := b.spec(), b.spec()
	one.Disks = append(one.Disks, with)
	b.ensure(one)
	b.ensure(two)
	two.Disks = append(slices.Clone(two.Disks), with)
	if f := b.ensure(two); !attached(f, volume) || !attached(b.inspect(one.ID), volume) {
		b.t.Errorf("facts of the second: %+v", f)
	}
	two.PowerSerial++
	if f := b.ensure(two); !attached(f, volume) {
		b.t.Errorf("facts after a restart: %+v", f)
	}
}

// snapshots are taken of running and of stopped guests, once per name.
func snapshots(b *bench) {
	spec := b.spec()
	b.ensure(spec)
	b.booted(spec.ID, 1)
	ctx := b.t.Context()
	warm := b.snapshot(spec.ID, "warm")
	if again, err := b.d.Snapshot(ctx, spec.ID, "root", "warm"); err != nil || again != warm {
		b.t.Errorf("the same snapshot again: %+v, error %v; first %+v", again, err, warm)
	}
	_, err := b.d.Snapshot(ctx, spec.ID, "no-such-disk", "x")
	b.refuses("snapshot of a disk that is not there", err, fault.NotFound)
	spec.Power, spec.StopSeconds = guest.Stopped, 0
	b.ensure(spec)
	b.snapshot(spec.ID, "cold")
	for range 2 {
		if err := b.d.DiscardSnapshot(ctx, spec.ID, "warm"); err != nil {
			b.t.Errorf("discard: %v", err)
		}
	}
	_, err = b.d.OpenSnapshot(ctx, spec.ID, "warm")
	b.refuses("open what was discarded", err, fault.NotFound)
}

func (b *bench) snapshot(guestID, name string) guest.SnapshotInfo {
	b.t.Helper()
	info, err := b.d.Snapshot(b.t.Context(), guestID, "root", name)
	if err != nil {
		b.t.Fatalf("snapshot: %v", err)
	}
	r, err := b.d.OpenSnapshot(b.t.Context(), guestID, name)
	if err != nil {
		b.t.Fatalf("open snapshot: %v", err)
	}
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	if err != nil || n != info.SizeBytes || info.Format != "qcow2" || info.VirtualBytes != 1<<30 || info.Name != name {
		b.t.Errorf("snapshot %+v has %d bytes, error %v", info, n, err)
	}
	return info
}

// adoption: the driver goes, the guest stays, the next driver finds it.
func adoption(b *bench) {
	spec := b.spec()
	before := b.ensure(spec)
	paused := b.spec()
	paused.Power = guest.Paused
	b.ensure(paused)
	stopped := b.spec()
	stopped.Power = guest.Stopped
	b.ensure(stopped)
	if err := b.d.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.d = b.s.Open(b.t, b.site)
	all, err := b.d.List(b.t.Context())
	if err != nil || len(all) != 3 {
		b.t.Fatalf("found %+v, error %v", all, err)
	}
	b.power(b.inspect(paused.ID), guest.Paused)
	b.power(b.inspect(stopped.ID), guest.Stopped)
	if after := b.ensure(spec); after.PID != before.PID || !after.StartedAt.Equal(before.StartedAt) || !attached(after, "root") {
		b.t.Errorf("before %+v, after %+v", before, after)
	}
	b.booted(spec.ID, 1)
	if n := b.site.Opened(b.image); n != 1 {
		b.t.Errorf("the image was fetched %d times", n)
	}
	screen(b, spec.ID)
}

// goesOff: what goes off by itself is told, and stays off until it is started.
func goesOff(b *bench) {
	spec := b.spec()
	b.ensure(spec)
	b.booted(spec.ID, 1)
	b.s.SwitchOff(b.t, b.d, spec.ID)
	b.told(spec.ID)
	off := b.inspect(spec.ID)
	b.power(off, guest.Stopped)
	if off.Exit == nil || off.Exit.Reason != guest.ExitByGuest {
		b.t.Errorf("exit %+v", off.Exit)
	}
	b.power(b.ensure(spec), guest.Stopped)
	spec.PowerSerial++
	b.power(b.ensure(spec), guest.Running)
	b.booted(spec.ID, 2)
	if b.s.Kill == nil {
		return
	}
	b.s.Kill(b.t, b.inspect(spec.ID))
	b.told(spec.ID)
	b.power(b.inspect(spec.ID), guest.Crashed)
	b.power(b.ensure(spec), guest.Crashed)
	// It dies again, and nobody is there to see it.
	spec.PowerSerial++
	running := b.ensure(spec)
	if err := b.d.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.s.Kill(b.t, running)
	b.d = b.s.Open(b.t, b.site)
	b.eventually("the dead process is noticed", func() bool { return b.inspect(spec.ID).Power == guest.Crashed })
	b.power(b.ensure(spec), guest.Crashed)
}

// told waits for Next to name a guest.
func (b *bench) told(guestID string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), b.s.Patience)
	defer cancel()
	if got, err := b.d.Next(ctx); err != nil || got != guestID {
		b.t.Fatalf("told of %q, error %v", got, err)
	}
}

// refusals: what cannot be is said, in words fit for users, and changes nothing.
func refusals(b *bench) {
	ctx, nobody := b.t.Context(), id.New()
	_, err := b.d.Inspect(ctx, nobody)
	b.refuses("inspect nobody", err, fault.NotFound)
	b.refuses("reboot nobody", b.d.Reboot(ctx, nobody, guest.RebootHard), fault.NotFound)
	_, err = b.d.ConsoleLog(ctx, nobody, 1)
	b.refuses("console log of nobody", err, fault.NotFound)
	_, err = b.d.Snapshot(ctx, nobody, "root", "x")
	b.refuses("snapshot of nobody", err, fault.NotFound)

	for name, broken := range map[string]func(*guest.Spec){
		"no CPUs":       func(s *guest.Spec) { s.CPUs = 0 },
		"odd name":      func(s *guest.Spec) { s.Name = "a,readonly=on" },
		"disk path":     func(s *guest.Spec) { s.Disks[0].ID = "../root" },
		"guessed image": func(s *guest.Spec) { s.Disks[0].ImageFormat = "" },
		"odd MAC":       func(s *guest.Spec) { s.NICs = []guest.NIC{{PortID: id.New(), MAC: "x"}} },
	} {
		spec := b.spec()
		broken(&spec)
		_, err := b.d.Ensure(ctx, spec)
		b.refuses(name, err, fault.Invalid)
	}
	spec := b.spec()
	spec.Disks[0].ImageID = id.New()
	_, err = b.d.Ensure(ctx, spec)
	b.refuses("an image that is not there", err, fault.NotFound)
	spec.Power = guest.Suspended
	_, err = b.d.Ensure(ctx, spec)
	b.refuses("suspend what does not run", err, fault.Conflict)
	if f := b.inspect(spec.ID); f.Power != guest.Stopped {
		b.t.Errorf("facts %+v", f)
	}
	stopped := b.spec()
	stopped.Power = guest.Stopped
	b.ensure(stopped)
	_, err = b.d.Serial(ctx, stopped.ID)
	b.refuses("serial console of a stopped guest", err, fault.Conflict)
	small := b.spec()
	small.Disks[0].SizeBytes = 1 << 20
	_, err = b.d.Ensure(ctx, small)
	b.refuses("a disk smaller than its image", err, fault.Invalid)
}

// rebuild makes the disks anew, of another image too.
func rebuild(b *bench) {
	spec := b.spec()
	first := b.ensure(spec)
	spec.BuildSerial++
	spec.PowerSerial++
	spec.Disks[0].ImageID = b.site.AddImage(b.s.Image, b.s.Format)
	second := b.ensure(spec)
	b.power(second, guest.Running)
	if second.StartedAt.Equal(first.StartedAt) && second.PID == first.PID {
		b.t.Error("a rebuild did not restart the guest")
	}
	if n := b.site.Opened(spec.Disks[0].ImageID); n != 1 {
		b.t.Errorf("the new image was fetched %d times", n)
	}
}

// rescue boots from another disk, with the guest's own beside it, and back.
func rescue(b *bench) {
	spec := b.spec()
	own := spec.Disks[0]
	own.BootIndex = 2
	first := b.ensure(spec)
	b.booted(spec.ID, 1)
	other := guest.Disk{ID: "rescue", Kind: guest.DiskImage, ImageID: b.image, ImageFormat: b.s.Format, BootIndex: 1}
	spec.Disks, spec.Rescue, spec.PowerSerial = []guest.Disk{other, own}, true, 2
	plain := b.ensure(spec)
	if !attached(plain, "root") || !attached(plain, "rescue") || plain.StartedAt.Equal(first.StartedAt) && plain.PID == first.PID {
		b.t.Errorf("facts in rescue %+v", plain)
	}
	b.booted(spec.ID, 2)
	for i, bus := range []guest.Bus{guest.BusSCSI, guest.BusUSB} {
		other.Bus = bus
		spec.Disks, spec.Rescue, spec.PowerSerial = []guest.Disk{own, other}, false, int64(3+i)
		if f := b.ensure(spec); !attached(f, "root") || !attached(f, "rescue") {
			b.t.Errorf("facts in rescue by %s: %+v", bus, f)
		}
	}
	own.BootIndex = 1
	spec.Disks, spec.PowerSerial = []guest.Disk{own}, 5
	prompts := b.prompts(spec.ID)
	if back := b.ensure(spec); !attached(back, "root") || attached(back, "rescue") {
		b.t.Errorf("facts after rescue %+v", back)
	}
	b.booted(spec.ID, prompts+1)
}

// interrupted: whenever an Ensure is cut off, the next one gets there, and
// Destroy wins over one that is under way.
func interrupted(b *bench) {
	spec := b.spec()
	for delay := time.Millisecond; delay < 200*time.Millisecond; delay *= 3 {
		ctx, cancel := context.WithTimeout(b.t.Context(), delay)
		_, _ = b.d.Ensure(ctx, spec) // however it ended
		cancel()
	}
	b.power(b.ensure(spec), guest.Running)
	spec.Power, spec.StopSeconds = guest.Stopped, 600 // it still boots and does not see the power button
	done := make(chan error, 1)
	b.t.Run("stop", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(b.t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := b.d.Ensure(ctx, spec)
		done <- err
	})
	<-done // stopped in time or not
	b.gone(spec.ID)
}
