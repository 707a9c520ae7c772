package qemu

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/compute/guest"
)

// bundle collects the descriptors that a process inherits.
type bundle struct{ files []*os.File }

// add answers the number the file will have in the process.
func (b *bundle) add(f *os.File) int {
	b.files = append(b.files, f)
	return len(b.files) + 2
}

// plan is a machine about to be started, with everything open.
type plan struct {
	build  started
	uuid   string
	disks  []disk
	nics   []nic
	qmp    *os.File
	serial *os.File
	agent  *os.File
	log    *os.File // console log
	memory *os.File // saved memory to go on from; nil: a fresh start
}

// args renders the command line. It is pure but for adding to b.
func (p plan) args(b *bundle) []string {
	s := p.build.Spec
	a := base(p.build.Accel, p.build.Machine, p.build.CPUModel, s.MemoryMiB)
	a = append(a, "-name", "guest="+s.Name+",debug-threads=on", "-uuid", p.uuid,
		"-smbios", "type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,version=mek,serial="+p.uuid+",family=Virtual Machine",
		"-smp", topology(s), "-S", "-action", "shutdown=pause", "-rtc", "base=utc", "-boot", "strict=on",
		"-chardev", fmt.Sprintf("socket,id=qmp,fd=%d,server=on,wait=off", b.add(p.qmp)), "-mon", "chardev=qmp,mode=control")
	log := b.add(p.log)
	a = append(a, "-add-fd", fmt.Sprintf("fd=%d,set=%d", log, log),
		"-chardev", fmt.Sprintf("socket,id=serial0,fd=%d,server=on,wait=off,logfile=/dev/fdset/%d,logappend=on", b.add(p.serial), log), "-serial", "chardev:serial0",
		"-chardev", fmt.Sprintf("socket,id=agent0,fd=%d,server=on,wait=off", b.add(p.agent)))
	for _, d := range p.fixtures() {
		a = append(a, "-device", text(d))
	}
	for _, d := range p.disks {
		a = append(a, p.diskArgs(d, b)...)
	}
	for _, n := range p.nics {
		a = append(a, "-netdev", fmt.Sprintf("tap,id=n%s,fd=%d", n.slot, b.add(n.tap)), "-device", text(n.device()))
	}
	if s.Console.VNC && s.Machine.VideoModel != "none" {
		a = append(a, "-vnc", "none")
	}
	if p.memory != nil {
		a = append(a, "-incoming", fmt.Sprintf("fd:%d", b.add(p.memory)))
	}
	return a
}

// base is what every process here has in common, the acceleration probe included.
func base(accel, machine, cpu string, memoryMiB int) []string {
	how := "kvm"
	if accel == "tcg" {
		how = fmt.Sprintf("tcg,thread=multi,tb-size=%d", translationMiB(memoryMiB))
	}
	return []string{"-no-user-config", "-nodefaults", "-display", "none",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-accel", how, "-machine", machine + ",vmport=off,hpet=off,dump-guest-core=off", "-cpu", cpu, "-m", strconv.Itoa(memoryMiB)}
}

// translationMiB bounds the cache of translated code, which would otherwise
// grow to 1 GiB and could not be told from a guest that takes too much.
func translationMiB(memoryMiB int) int { return min(max(memoryMiB/4, 128), 512) }

// topology spells CPUs as sockets, cores and threads; OpenStack prefers sockets.
func topology(s guest.Spec) string {
	threads, cores := max(s.Machine.Threads, 1), max(s.Machine.Cores, 1)
	sockets := max(s.Machine.Sockets, 1)
	if sockets*cores*threads != s.CPUs {
		sockets, cores, threads = s.CPUs, 1, 1
	}
	return fmt.Sprintf("%d,sockets=%d,cores=%d,threads=%d", s.CPUs, sockets, cores, threads)
}

// fixtures are the devices that are there for good, at addresses of their own,
// so that nothing moves when one is left out.
func (p plan) fixtures() []map[string]any {
	var out []map[string]any
	s := p.build.Spec
	if s.Console.VNC {
		switch s.Machine.VideoModel {
		case "none":
		case "virtio":
			out = append(out, map[string]any{"driver": "virtio-vga", "id": "video0", "bus": "pcie.0", "addr": "0x1"})
		default:
			out = append(out, map[string]any{"driver": "VGA", "id": "video0", "bus": "pcie.0", "addr": "0x1"})
		}
	}
	if !s.Machine.NoRNG {
		out = append(out, map[string]any{"driver": "virtio-rng-pci", "id": "rng0", "bus": "pcie.0", "addr": "0x2"})
	}
	out = append(out,
		map[string]any{"driver": "virtio-balloon-pci", "id": "balloon0", "bus": "pcie.0", "addr": "0x3", "deflate-on-oom": true, "free-page-reporting": true},
		map[string]any{"driver": "virtio-serial-pci", "id": "channel0", "bus": "pcie.0", "addr": "0x4"},
		map[string]any{"driver": "virtserialport", "id": "agent", "bus": "channel0.0", "nr": 1, "chardev": "agent0", "name": "org.qemu.guest_agent.0"},
		map[string]any{"driver": "vmcoreinfo"})
	used := map[guest.Bus]bool{}
	for _, d := range disksOf(s) {
		used[busOf(d)] = true
	}
	if used[guest.BusSCSI] {
		out = append(out, map[string]any{"driver": "virtio-scsi-pci", "id": "scsi", "bus": "pcie.0", "addr": "0x5"})
	}
	if used[guest.BusUSB] {
		out = append(out, map[string]any{"driver": "qemu-xhci", "id": "xhci", "bus": "pcie.0", "addr": "0x6"})
	}
	for n := range p.build.Ports {
		out = append(out, map[string]any{"driver": "pcie-root-port", "id": fmt.Sprintf("rp%d", n), "bus": "pcie.0", "chassis": n + 1, "slot": n + 1,
			"addr": fmt.Sprintf("0x%x.0x%x", 8+n/8, n%8), "multifunction": n%8 == 0})
	}
	return out
}

func (p plan) diskArgs(d disk, b *bundle) []string {
	var a []string
	sets := make([]int, len(d.layers))
	for i, l := range d.layers {
		fd := b.add(l.file)
		sets[i] = fd
		a = append(a, "-add-fd", fmt.Sprintf("fd=%d,set=%d,opaque=%s", fd, fd, d.slot))
	}
	limits := p.build.Spec.Limits
	if limits.CapsDisks() {
		a = append(a, "-object", text(d.throttle(limits)))
	}
	for _, n := range d.nodes(sets, limits) {
		a = append(a, "-blockdev", text(n))
	}
	return append(a, "-device", text(d.device(limits)))
}

// text is JSON for an argument. Maps of strings, numbers and booleans encode.
func text(v map[string]any) string {
	var w strings.Builder
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // cannot fail for these
	return strings.TrimSpace(w.String())
}
