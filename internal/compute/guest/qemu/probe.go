package qemu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
)

// probeLimit is how long a kernel may take from the start of the process until
// it hands over to its first program. With acceleration it takes half a second.
const probeLimit = 5 * time.Second

// machineType is what guests are built as; its version is found out.
const machineType = "pc-q35"

// kvmDevice is opened by QEMU itself, as the guest's user.
const kvmDevice = "/dev/kvm"

// reached are the signs of a kernel that has brought up processors, interrupts,
// clocks and memory: it starts its first program, or has none to start.
var reached = [][]byte{[]byte("Run /init as init process"), []byte("VFS: Unable to mount root fs")}

// verdict is what a probe found, kept until host or QEMU change.
type verdict struct {
	Boot    string `json:"boot"`
	Version string `json:"version"`
	Kernel  string `json:"kernel"`
	Accel   string `json:"accel"`
	Reason  string `json:"reason"`
}

// Capabilities waits for the probe that New began.
func (d *Driver) Capabilities(ctx context.Context) (guest.Capabilities, error) {
	select {
	case <-d.probed:
		return d.caps, d.capsErr
	case <-ctx.Done():
		return guest.Capabilities{}, fault.Unavailablef("the host has not finished finding out what it can do").Because(context.Cause(ctx))
	}
}

// probe finds out what this host can do.
func (d *Driver) probe() {
	defer close(d.probed)
	version, machine, err := d.version()
	if err != nil {
		d.capsErr = err
		return
	}
	v := d.accelerate(version, machine)
	d.caps = guest.Capabilities{
		Driver: "QEMU", Version: fmt.Sprintf("%d.%d.%d", version[0], version[1], version[2]),
		VersionInt: version[0]*1_000_000 + version[1]*1000 + version[2],
		Accel:      v.Accel, AccelReason: v.Reason, Machine: machine, CPUModel: cpuModel(v.Accel),
		Confinement: append(d.groups.kinds(), walls()...), Lost: d.groups.lost,
		Traits: []string{"COMPUTE_VOLUME_EXTEND", "COMPUTE_NET_ATTACH_INTERFACE", "COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW",
			"COMPUTE_STORAGE_BUS_VIRTIO", "COMPUTE_STORAGE_BUS_SCSI", "COMPUTE_STORAGE_BUS_SATA", "COMPUTE_NET_VIF_MODEL_VIRTIO",
			"COMPUTE_NET_VIF_MODEL_E1000E", "COMPUTE_GRAPHICS_MODEL_VGA", "COMPUTE_GRAPHICS_MODEL_VIRTIO"},
	}
	if v.Accel == "tcg" {
		d.caps.Traits = append(d.caps.Traits, "CUSTOM_MEK_EMULATED")
	}
	d.cfg.Log.Info("guests can be run", "qemu", d.caps.Version, "accel", v.Accel, "reason", v.Reason)
}

// walls are what stands around a guest's process beside its cgroup.
func walls() []string {
	if landlocked() {
		return []string{"uid", "seccomp", "landlock"}
	}
	return []string{"uid", "seccomp"}
}

func cpuModel(accel string) string {
	if accel == "kvm" {
		return "host"
	}
	return "max"
}

var (
	versionText = regexp.MustCompile(`version (\d+)\.(\d+)\.(\d+)`)
	machineText = regexp.MustCompile(`(?m)^q35\s.*\(alias of (` + machineType + `-[\d.]+)\)`)
)

// version asks QEMU for its version and that of its machine.
func (d *Driver) version() (v [3]int, machine string, err error) {
	ctx, cancel := context.WithTimeout(d.ctx, commandLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, d.cfg.Binary, "--version").Output()
	if err != nil {
		return v, "", fault.Unavailablef("QEMU does not run on this host").Because(err)
	}
	m := versionText.FindSubmatch(out)
	if m == nil {
		return v, "", fault.Unavailablef("QEMU does not tell its version")
	}
	for i := range v {
		v[i], _ = strconv.Atoi(string(m[i+1])) // digits
	}
	out, err = exec.CommandContext(ctx, d.cfg.Binary, "-machine", "help").Output()
	if err != nil {
		return v, "", fault.Unavailablef("QEMU does not run on this host").Because(err)
	}
	if m = machineText.FindSubmatch(out); m == nil {
		return v, "", fault.Unavailablef("QEMU on this host has no machine of type q35")
	}
	return v, string(m[1]), nil
}

// accelerate decides how guests are run: by KVM if a kernel boots on it.
func (d *Driver) accelerate(version [3]int, machine string) verdict {
	key := verdict{Boot: d.boot, Version: fmt.Sprint(version), Kernel: d.cfg.ProbeKernel}
	if d.cfg.Accel != "" {
		key.Accel, key.Reason = d.cfg.Accel, "set by the operator"
		return key
	}
	path := filepath.Join(d.cfg.Dir, "accel.json")
	var kept verdict
	if b, err := os.ReadFile(path); err == nil && json.Unmarshal(b, &kept) == nil &&
		kept.Boot == key.Boot && kept.Version == key.Version && kept.Kernel == key.Kernel {
		return kept
	}
	key.Accel, key.Reason = "kvm", "a kernel was booted on it"
	if err := d.tryKVM(machine); err != nil {
		key.Accel, key.Reason = "tcg", err.Error()
	}
	if b, err := json.Marshal(key); err == nil {
		if err := writeFile(path, b, true); err != nil {
			d.cfg.Log.Warn("the result of the acceleration probe is not kept", "error", err) // it is tried again next time
		}
	}
	return key
}

// tryKVM boots a kernel by KVM, as guests would be. The error is for operators.
func (d *Driver) tryKVM(machine string) error {
	if _, err := os.Stat(kvmDevice); errors.Is(err, fs.ErrNotExist) {
		return errors.New("the host has no /dev/kvm")
	}
	if d.cfg.ProbeKernel == "" {
		return errors.New("there is no kernel to try KVM with")
	}
	const name = "accel-probe"
	uid, err := d.ids.take(d.cfg.Cloud + "/" + name)
	if err != nil {
		return err
	}
	err = d.groups.create(name, limits{shares: 1024, periodUS: 100_000, memoryBytes: 1 << 30, pids: 256})
	if err == nil {
		err = d.bootProbe(name, uid, machine)
	}
	return errors.Join(err, d.groups.empty(d.ctx, d.cfg.Clock, name), d.ids.release(d.cfg.Cloud+"/"+name))
}

func (d *Driver) bootProbe(name string, uid int, machine string) error {
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer closeAll(out)
	b := &bundle{}
	args := append(base("kvm", machine, cpuModel("kvm"), 256), "-smp", "1", "-no-reboot", "-serial", "stdio",
		"-append", "console=ttyS0 panic=-1 loglevel=7")
	for _, f := range [][2]string{{"-kernel", d.cfg.ProbeKernel}, {"-initrd", d.cfg.ProbeInitrd}} {
		if f[1] == "" {
			continue
		}
		open, err := forReading(f[1])
		if err != nil {
			closeAll(in)
			return errors.New("the kernel to try KVM with cannot be read")
		}
		defer closeAll(open)
		args = append(args, f[0], fmt.Sprintf("/proc/self/fd/%d", b.add(open)))
	}
	proc, err := d.groups.spawn(launch{binary: d.cfg.Binary, args: args, files: b.files, log: in, group: name, uid: uid, owner: d.cfg.Cloud + "/" + name, groups: kvmGroup()})
	closeAll(in)
	if err != nil {
		return err
	}
	d.work.Go(proc.await)
	defer proc.letGo()
	seen, err := watchBoot(out)
	if killed := proc.kill(); killed != nil {
		return killed
	}
	<-proc.gone
	if err != nil {
		return fmt.Errorf("a kernel did not boot on KVM: %s", summary(seen, err))
	}
	return nil
}

// watchBoot reads a console until a kernel has come far enough.
func watchBoot(out *os.File) (seen []byte, err error) {
	if err := out.SetReadDeadline(deadline(probeLimit)); err != nil {
		return nil, err
	}
	part := make([]byte, 4096)
	for {
		n, err := out.Read(part)
		seen = append(seen, part[:n]...)
		for _, sign := range reached {
			if bytes.Contains(seen, sign) {
				return seen, nil
			}
		}
		if err != nil {
			return seen, err
		}
	}
}

// summary tells an operator in one line what became of the probe.
func summary(seen []byte, err error) string {
	lines := strings.FieldsFunc(string(seen), func(r rune) bool { return r == '\n' || r == '\r' })
	last := "nothing was seen of it"
	if len(lines) > 0 {
		last = fmt.Sprintf("the last line was %q", lines[len(lines)-1])
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Sprintf("silent after %v, %s", probeLimit, last)
	}
	if errors.Is(err, io.EOF) {
		return "the hypervisor ended, " + last
	}
	return err.Error()
}

// forReading is a file's content in memory, readable for a process of another
// user that may not enter the folder it is in.
func forReading(path string) (*os.File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate(filepath.Base(path), unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	if _, err = f.Write(b); err == nil {
		err = f.Chmod(0o444)
	}
	if err != nil {
		closeAll(f)
		return nil, err
	}
	return f, nil
}

// kvmGroup is the group that may use KVM; none if everybody or nobody may.
func kvmGroup() []int {
	info, err := os.Stat(kvmDevice)
	if err != nil {
		return nil
	}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().Perm()&0o060 == 0o060 && sys.Gid != 0 {
		return []int{int(sys.Gid)}
	}
	return nil
}

// deadline is a moment from now for files, which know no other clock than the machine's.
func deadline(in time.Duration) time.Time { return clock.Real{}.Now().Add(in) }
