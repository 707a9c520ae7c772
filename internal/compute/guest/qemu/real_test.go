package qemu

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/guesttest"
	"github.com/mekcloud/mek/internal/id"
)

// cloud is a driver with one guest for tests that look into it.
type cloud struct {
	*testing.T
	site *guesttest.Site
	d    *Driver
	spec guest.Spec
}

func newCloud(t *testing.T, change ...func(*Config)) *cloud {
	folder := guesttest.GuestFolder(t)
	c := &cloud{T: t, site: guesttest.NewSite(t)}
	c.d = open(t, c.site, change...)
	c.spec = guesttest.Spec(c.site.AddImage(filepath.Join(folder, "guest.qcow2"), "qcow2"), "qcow2")
	t.Cleanup(func() {
		if err := c.d.Destroy(t.Context(), c.spec.ID); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return c
}

func (c *cloud) ensure() guest.Facts {
	c.Helper()
	f, err := c.d.Ensure(c.Context(), c.spec)
	if err != nil {
		c.Fatalf("ensure: %v", err)
	}
	return f
}

func (c *cloud) inside(command string) string {
	c.Helper()
	return strings.TrimSpace(inside(c.T, c.d, c.spec.ID, command))
}

func (c *cloud) expect(what, got, want string) {
	c.Helper()
	if got != want {
		c.Errorf("%s: %q, want %q", what, got, want)
	}
}

// end destroys the guest and the driver and looks for residue.
func (c *cloud) end() {
	c.Helper()
	if err := c.d.Destroy(c.Context(), c.spec.ID); err != nil {
		c.Fatal(err)
	}
	for _, dir := range []string{c.d.guestsDir(), c.d.cfg.RunDir} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			c.Errorf("left in %s: %v, error %v", dir, left, err)
		}
	}
	if ids, err := c.d.ids.taken(); err != nil || len(ids) > 0 {
		c.Errorf("user ids left: %v, error %v", ids, err)
	}
	if groups, err := c.d.groups.list(); err != nil || len(groups) > 0 {
		c.Errorf("cgroups left: %v, error %v", groups, err)
	}
	if err := c.d.Close(); err != nil {
		c.Error(err)
	}
}

// TestGuestSeesItsDevices looks from inside at what the Spec promised.
func TestGuestSeesItsDevices(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.spec.ConfigDrive = true
	c.spec.Metadata = guest.Metadata{MetaData: []byte(`{"uuid":"` + c.spec.ID + `","hostname":"seen.novalocal"}`), UserData: []byte("#!/bin/sh\necho user data was run\n")}
	c.spec.Disks = append(c.spec.Disks, guest.Disk{ID: "swap", Kind: guest.DiskBlank, SizeBytes: 16 << 20, Fill: "swap"})
	c.spec.NICs = []guest.NIC{{PortID: id.New(), MAC: "fa:16:3e:11:22:33", MTU: 1342}}
	c.ensure()
	c.expect("hostname from the config drive", c.inside("for i in $(seq 100); do [ $(hostname) = seen ] && break; usleep 100000; done; hostname"), "seen")
	c.expect("MAC", c.inside("cat /sys/class/net/eth0/address"), "fa:16:3e:11:22:33")
	c.expect("MTU", c.inside("cat /sys/class/net/eth0/mtu"), "1342")
	c.expect("root disk", c.inside("cat /sys/block/vda/size"), fmt.Sprint(1<<30/512))
	c.expect("swap disk", c.inside("blkid -o value -s TYPE /dev/vdb"), "swap")
	c.expect("DMI", c.inside("cat /sys/class/dmi/id/product_name /sys/class/dmi/id/product_serial"), "OpenStack Nova\n"+c.spec.ID)

	volume := c.site.AddVolume(t, 64<<20)
	c.spec.Disks = append(c.spec.Disks, guest.Disk{ID: volume, Kind: guest.DiskVolume, VolumeID: volume, Serial: volume})
	nic := guest.NIC{PortID: id.New(), MAC: "fa:16:3e:11:22:34"}
	c.spec.NICs = append(c.spec.NICs, nic)
	c.ensure()
	find := `for i in $(seq 100); do d=$(grep -l ` + volume[:20] + ` /sys/block/*/serial); [ -n "$d" ] && break; usleep 50000; done; basename $(dirname $d)`
	c.expect("hot-plugged volume by its serial", c.inside(find), "vdc")
	c.expect("hot-plugged card", c.inside("for i in $(seq 100); do [ -e /sys/class/net/eth1 ] && break; usleep 50000; done; cat /sys/class/net/eth1/address"), nic.MAC)
	c.inside("echo kept | dd of=/dev/vdc conv=fsync 2>/dev/null")
	c.spec.Disks[2].SizeBytes = 128 << 20
	c.ensure()
	c.expect("grown volume", c.inside("for i in $(seq 100); do [ $(cat /sys/block/vdc/size) = 262144 ] && break; usleep 50000; done; cat /sys/block/vdc/size"), "262144")
	c.spec.Disks, c.spec.NICs = c.spec.Disks[:2], c.spec.NICs[:1]
	c.ensure()
	c.expect("unplugged", c.inside("ls -d /sys/block/vdc /sys/class/net/eth1 2>/dev/null | wc -l"), "0")
	if b, err := os.ReadFile(c.site.VolumePath(volume)); err != nil || !bytes.HasPrefix(b, []byte("kept\n")) || len(b) != 128<<20 {
		t.Errorf("the volume has %d bytes that begin with %q, error %v", len(b), b[:min(len(b), 5)], err)
	}
	if err := c.d.SetPassword(t.Context(), c.spec.ID, "cirros", "another"); err != nil {
		t.Errorf("set password: %v", err)
	}
	c.end()
}

// TestMemoryIsKept: a suspended guest goes on where it was, on another process,
// with its hot-plugged disk.
func TestMemoryIsKept(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.ensure()
	c.inside("mkdir /tmp/m && mount -t tmpfs none /tmp/m && echo remembered >/tmp/m/f")
	volume := c.site.AddVolume(t, 32<<20)
	c.spec.Disks = append(c.spec.Disks, guest.Disk{ID: volume, Kind: guest.DiskVolume, VolumeID: volume, Serial: volume})
	first := c.ensure()
	c.spec.Power = guest.Suspended
	c.ensure()
	if err := c.d.Close(); err != nil {
		t.Fatal(err)
	}
	c.d = open(t, c.site)
	c.spec.Power = guest.Running
	if second := c.ensure(); second.PID == first.PID {
		t.Error("the process never ended")
	}
	c.expect("memory", c.inside("cat /tmp/m/f"), "remembered")
	c.expect("volume", c.inside("ls /sys/block | grep -c vdb"), "1")
	c.spec.Power = guest.Suspended
	c.ensure()
	c.spec.Power = guest.Running
	c.spec.PowerSerial++ // a hard reboot of a suspended guest forgets its memory
	c.ensure()
	c.expect("memory after a hard reboot", c.inside("ls /tmp/m/f 2>/dev/null | wc -l"), "0")
	c.end()
}

// TestConfinement looks at the process from outside (I-31).
func TestConfinement(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.spec.NICs = []guest.NIC{{PortID: id.New(), MAC: "fa:16:3e:11:22:33"}}
	f := c.ensure()
	other := guesttest.Spec(c.spec.Disks[0].ImageID, "qcow2")
	g, err := c.d.Ensure(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	if uidOf(t, f.PID) == uidOf(t, g.PID) {
		t.Error("two guests share a user id")
	}
	if err := c.d.Destroy(t.Context(), other.ID); err != nil {
		t.Error(err)
	}
	status := procFile(t, f.PID, "status")
	for _, line := range []string{"Groups:", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !slices.ContainsFunc(strings.Split(status, "\n"), func(s string) bool { return strings.TrimSpace(s) == line }) {
			t.Errorf("no %q in\n%s", line, status)
		}
	}
	for _, arg := range strings.Split(procFile(t, f.PID, "cmdline"), "\x00")[1:] {
		if strings.Contains(arg, c.site.Dir) || strings.Contains(arg, c.d.cfg.RunDir) {
			t.Errorf("argument with a path: %s", arg)
		}
	}
	if env := procFile(t, f.PID, "environ"); strings.Trim(env, "\x00") != "LC_ALL=C\x00MEK_OWNER="+c.d.cfg.Cloud+"/"+c.spec.ID {
		t.Errorf("environment %q", env)
	}
	c.descriptors(f.PID)
	for _, kind := range []string{"net", "ipc"} {
		own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", f.PID, kind))
		host, err2 := os.Readlink("/proc/self/ns/" + kind)
		if err != nil || err2 != nil || own == host {
			t.Errorf("namespace %s: %s, the host's is %s; %v %v", kind, own, host, err, err2)
		}
	}
	if links := strings.Count(procFile(t, f.PID, "net/dev"), "\n"); links != 3 { // two lines of head, and the loopback link
		t.Errorf("links in the guest's network:\n%s", procFile(t, f.PID, "net/dev"))
	}
	if limits := procFile(t, f.PID, "limits"); !strings.Contains(limits, "Max core file size        1                    1") {
		t.Errorf("core dumps are possible:\n%s", limits)
	}
	if cgroup := procFile(t, f.PID, "cgroup"); strings.Count(cgroup, "/mek/"+c.d.cfg.Cloud+"/"+c.spec.ID) < 1 {
		t.Errorf("cgroups:\n%s", cgroup)
	}
	c.limitsBite(f.PID)
	c.end()
}

// descriptors: only what the guest needs is open.
func (c *cloud) descriptors(pid int) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		c.Fatal(err)
	}
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		own := strings.HasPrefix(to, filepath.Join(c.d.guestsDir(), c.spec.ID)) || strings.HasPrefix(to, c.d.images.dir) || to == "/dev/net/tun"
		internal := strings.HasPrefix(to, "anon_inode:") || strings.HasPrefix(to, "socket:") || strings.HasPrefix(to, "pipe:") || to == os.DevNull || strings.HasPrefix(to, "/memfd:")
		if !own && !internal {
			c.Errorf("open: %s", to)
		}
	}
}

// limitsBite: a guest with a cap on its processor time gets no more.
func (c *cloud) limitsBite(pid int) {
	if slices.Contains(c.d.groups.lost, "cpu") {
		c.Error("the machine cannot limit processor time")
		return
	}
	c.inside("(while :; do :; done) >/dev/null 2>&1 &")
	c.spec.Limits.CPUQuotaUS = 20_000 // of 100,000
	c.ensure()
	before, start := cpuTime(c.T, pid), time.Now()
	time.Sleep(time.Second)
	used, passed := cpuTime(c.T, pid)-before, time.Since(start)
	if share := float64(used) / float64(passed); share > 0.35 || share < 0.02 {
		c.Errorf("a guest capped at 20 %% of a CPU used %.0f %%", share*100)
	}
}

func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat := procFile(t, pid, "stat")
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

func procFile(t *testing.T, pid int, name string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func uidOf(t *testing.T, pid int) string {
	t.Helper()
	for line := range strings.Lines(procFile(t, pid, "status")) {
		if strings.HasPrefix(line, "Uid:") {
			return line
		}
	}
	return ""
}

// TestSnapshotBoots: what was written is in the snapshot, and it is whole.
func TestSnapshotBoots(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.ensure()
	c.inside("echo mark-of-this-test >/var/mark && sync")
	if _, err := c.d.Snapshot(t.Context(), c.spec.ID, "root", "one"); err != nil {
		t.Fatal(err)
	}
	r, err := c.d.OpenSnapshot(t.Context(), c.spec.ID, "one")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path := filepath.Join(c.site.Dir, "copy.qcow2")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, r); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	run(t, "qemu-img", "check", "-q", "-f", "qcow2", path)
	if info := run(t, "qemu-img", "info", "-f", "qcow2", path); strings.Contains(info, "backing") {
		t.Errorf("a snapshot with a base:\n%s", info)
	}
	c.spec.Disks[0].ImageID = c.site.AddImage(path, "qcow2")
	c.spec.BuildSerial++
	c.spec.PowerSerial++
	c.ensure()
	c.expect("what was written before the snapshot", c.inside("cat /var/mark"), "mark-of-this-test")
	c.end()
}

// TestDiskCaps: caps hold, for a disk from the start and for one plugged in.
func TestDiskCaps(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	const perSecond = 4 << 20
	c.spec.Limits.DiskWriteBytesSecond = perSecond
	c.spec.Disks = append(c.spec.Disks, guest.Disk{ID: "ephemeral0", Kind: guest.DiskBlank, SizeBytes: 64 << 20})
	c.ensure()
	volume := c.site.AddVolume(t, 64<<20)
	c.spec.Disks = append(c.spec.Disks, guest.Disk{ID: volume, Kind: guest.DiskVolume, VolumeID: volume, Serial: volume})
	c.ensure()
	for _, device := range []string{"vdb", "vdc"} {
		c.inside("for i in $(seq 100); do [ -e /dev/" + device + " ] && break; usleep 50000; done")
		start := time.Now()
		// One after the other: of what lies in the queue, QEMU makes one request, and a request is let through whole.
		c.inside("for i in $(seq 0 11); do dd if=/dev/zero of=/dev/" + device + " bs=1M count=1 seek=$i conv=fsync,notrunc 2>/dev/null; done")
		if took := time.Since(start); took < 2*time.Second { // 3 s, less what may burst
			t.Errorf("12 MiB at 4 MiB/s to %s took %v", device, took)
		}
	}
	c.spec.Disks = c.spec.Disks[:2]
	c.ensure()
	c.end()
}

// TestSerialConsole talks to the login prompt, twice.
func TestSerialConsole(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.spec.Console.VNC = false
	if f := c.ensure(); slices.Contains(f.Consoles, "vnc") {
		t.Errorf("consoles %v", f.Consoles)
	}
	c.inside("true") // it has booted
	for range 2 {
		conn, err := c.d.Serial(t.Context(), c.spec.ID)
		if err != nil {
			t.Fatal(err)
		}
		seen, part := "", make([]byte, 1024)
		stop := time.AfterFunc(patience, func() { _ = conn.Close() })
		for !strings.Contains(seen, "login:") {
			if _, err := io.WriteString(conn, "\n"); err != nil {
				t.Fatal(err)
			}
			n, err := conn.Read(part)
			if err != nil {
				t.Fatalf("%v after %q", err, seen)
			}
			seen += string(part[:n])
		}
		stop.Stop()
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	c.end()
}

// TestDisguisedDisk (SEC-03, SEC-07): a guest that writes the head of an image with
// a file of the host behind it into its raw disks reads what it wrote, and
// nothing else, after each verb that opens them anew.
func TestDisguisedDisk(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	canary := filepath.Join(c.site.Dir, "canary")
	if err := os.WriteFile(canary, bytes.Repeat([]byte("CANARY-OF-THE-HOST"), 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	c.spec.Disks = append(c.spec.Disks, guest.Disk{ID: "ephemeral0", Kind: guest.DiskBlank, SizeBytes: 8 << 20})
	c.ensure()
	volume := c.site.AddVolume(t, 8<<20)
	c.spec.Disks = append(c.spec.Disks, guest.Disk{ID: volume, Kind: guest.DiskVolume, VolumeID: volume, Serial: volume})
	c.ensure()
	heads := map[string]string{}
	for format, options := range map[string][]string{"qcow2": {"-F", "raw", "-b", canary}, "vmdk": {"-o", "subformat=monolithicSparse"}} {
		path := filepath.Join(c.site.Dir, "head."+format)
		run(t, "qemu-img", slices.Concat([]string{"create", "-q", "-f", format}, options, []string{path, "32M"})...)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		heads[format] = packed(t, whole[:min(len(whole), 512<<10)])
	}
	look := func(device string) string {
		return c.inside("head -c 16 /dev/" + device + " | od -An -tx1; dd if=/dev/" + device + " bs=64k count=16 2>/dev/null | grep -c CANARY-OF-THE-HOST || true")
	}
	for format, head := range heads {
		want := map[string]string{}
		for _, device := range []string{"vdb", "vdc"} {
			c.inside("for i in $(seq 100); do [ -e /dev/" + device + " ] && break; usleep 50000; done")
			c.inside("echo " + head + " | base64 -d | gunzip >/tmp/head && dd if=/tmp/head of=/dev/" + device + " bs=64k conv=notrunc,fsync 2>/dev/null && sync && echo 3 >/proc/sys/vm/drop_caches")
			want[device] = look(device)
			if !strings.HasSuffix(want[device], "\n0") {
				t.Fatalf("%s is at once %q", device, want[device])
			}
		}
		check := func(verb string) {
			for device, was := range want {
				if is := look(device); is != was {
					t.Errorf("%s after %s: %s holds %q, was %q", format, verb, device, is, was)
				}
			}
		}
		c.spec.PowerSerial++
		c.ensure()
		check("a hard reboot")
		if format != "qcow2" {
			continue // once is enough for the other verbs: they know no format
		}
		if _, err := c.d.Snapshot(t.Context(), c.spec.ID, "root", "shot-"+format); err != nil {
			t.Fatal(err)
		}
		check("a snapshot")
		last := c.spec.Disks[2]
		c.spec.Disks = c.spec.Disks[:2]
		c.ensure()
		c.spec.Disks = append(c.spec.Disks, last)
		c.ensure()
		c.inside("for i in $(seq 100); do [ -e /dev/vdc ] && break; usleep 50000; done")
		check("detaching and attaching")
	}
	c.end()
}

// packed is a file as the tools of a guest can unpack it.
func packed(t *testing.T, content []byte) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}
