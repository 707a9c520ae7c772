package qemu

import (
	"log/slog"
	"os/exec"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
)

// Config is what a Driver needs. Dir, RunDir, Cloud, Images, Volumes, Taps,
// Clock and Log are needed; the rest has defaults.
type Config struct {
	Dir    string // guests and cached images; made if missing, closed to others
	RunDir string // sockets; short, since their paths are limited to 108 bytes; made if missing
	IDsDir string // user ids taken on this machine, shared by all clouds on it; default /run/mek/ids
	Cloud  string // a word that no other cloud on this machine uses

	Images  guest.ImageSource
	Volumes guest.Volumes
	Taps    guest.Taps

	Binary string // default: qemu-system-x86_64, looked up in PATH
	Accel  string // "kvm" or "tcg" to believe instead of trying

	// What the acceleration probe boots: a Linux kernel, and optionally an
	// initial file system for it. Without a kernel nothing is believed.
	ProbeKernel string
	ProbeInitrd string

	// What each disk of a guest may do a second unless the guest's limits say
	// otherwise: bytes and requests, read and written together; 0: any.
	DiskBytes, DiskRequests int64

	FreePorts int // devices that can be plugged into a guest beyond those it starts with; default 8

	Clock clock.Clock
	Log   *slog.Logger
}

// Ids of guests' processes: below those that systemd gives containers, above
// everything that distributions assign.
const (
	firstID  = 1_900_000_000
	idsCount = 60_000
)

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" || c.RunDir == "" || c.Images == nil || c.Volumes == nil || c.Taps == nil || c.Clock == nil || c.Log == nil {
		return c, fault.Internalf("qemu: a needed setting is missing")
	}
	if !guest.Word(c.Cloud) {
		return c, fault.Internalf("qemu: %q cannot name a cloud", c.Cloud)
	}
	if c.IDsDir == "" {
		c.IDsDir = "/run/mek/ids"
	}
	if c.FreePorts == 0 {
		c.FreePorts = 8
	}
	if c.Binary == "" {
		c.Binary = "qemu-system-x86_64"
	}
	path, err := exec.LookPath(c.Binary)
	if err != nil {
		return c, fault.Unavailablef("QEMU is not installed on this host").Because(err)
	}
	c.Binary = path
	return c, nil
}
