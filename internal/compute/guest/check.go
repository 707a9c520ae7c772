package guest

import (
	"net"
	"regexp"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// word is what ids that become names of files and devices may look like.
var word = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// instanceName is what names that appear in a command line may look like.
var instanceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

// modelName is a processor model, possibly with features switched.
var modelName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.+=,-]{0,255}$`)

// Word tells whether s may name a thing of a guest: a disk, a snapshot.
func Word(s string) bool { return word.MatchString(s) }

// Check tells whether a Spec can be met by any driver at all. Invalid if not.
func (s Spec) Check() error {
	switch {
	case !id.Valid(s.ID):
		return fault.Invalidf("the server has no valid id")
	case !instanceName.MatchString(s.Name):
		return fault.Invalidf("the server has no valid instance name")
	case s.Power != Running && s.Power != Stopped && s.Power != Paused && s.Power != Suspended:
		return fault.Invalidf("unknown power state %q", s.Power)
	case s.CPUs < 1 || s.CPUs > 1024:
		return fault.Invalidf("%d is no possible number of CPUs", s.CPUs)
	case s.MemoryMiB < 1:
		return fault.Invalidf("%d MiB is no possible size of memory", s.MemoryMiB)
	case s.Machine.CPUModel != "" && !modelName.MatchString(s.Machine.CPUModel):
		return fault.Invalidf("unknown CPU model %q", s.Machine.CPUModel)
	}
	if err := s.checkDisks(); err != nil {
		return err
	}
	return s.checkNICs()
}

func (s Spec) checkDisks() error {
	seen := map[string]bool{}
	for _, d := range s.Disks {
		if !Word(d.ID) || seen[d.ID] {
			return fault.Invalidf("the id of a disk is not valid or not unique")
		}
		seen[d.ID] = true
		if err := d.check(); err != nil {
			return err
		}
	}
	return nil
}

func (d Disk) check() error {
	switch d.Bus {
	case "", BusVirtio, BusSCSI, BusIDE, BusUSB:
	default:
		return fault.Invalidf("disk %s: unknown bus %q", d.ID, d.Bus)
	}
	if d.Serial != "" && !Word(d.Serial) {
		return fault.Invalidf("disk %s: the serial number is not valid", d.ID)
	}
	if err := d.checkLayers(); err != nil {
		return err
	}
	switch d.Kind {
	case DiskImage, DiskCD:
		if !id.Valid(d.ImageID) {
			return fault.Invalidf("disk %s has no image", d.ID)
		}
		if d.ImageFormat != "raw" && d.ImageFormat != "qcow2" {
			return fault.Invalidf("disk %s: images of format %q cannot be booted on this host", d.ID, d.ImageFormat)
		}
	case DiskBlank:
		if d.SizeBytes <= 0 {
			return fault.Invalidf("disk %s has no size", d.ID)
		}
		if d.Fill != "" && d.Fill != "swap" {
			return fault.Invalidf("disk %s: cannot be filled with %q", d.ID, d.Fill)
		}
	case DiskVolume:
		if !id.Valid(d.VolumeID) {
			return fault.Invalidf("disk %s has no volume", d.ID)
		}
	default:
		return fault.Invalidf("disk %s is of unknown kind %q", d.ID, d.Kind)
	}
	return nil
}

func (d Disk) checkLayers() error {
	seen := map[string]bool{}
	for _, l := range d.Layers {
		if !Word(l) || seen[l] || (d.Kind != DiskImage && d.Kind != DiskBlank) {
			return fault.Invalidf("disk %s: the name of a layer is not valid or not unique", d.ID)
		}
		seen[l] = true
	}
	if d.From != "" && d.Kind != DiskImage && d.Kind != DiskBlank {
		return fault.Invalidf("disk %s cannot come from elsewhere", d.ID)
	}
	return nil
}

func (s Spec) checkNICs() error {
	seen := map[string]bool{}
	for _, n := range s.NICs {
		if !id.Valid(n.PortID) || seen[n.PortID] {
			return fault.Invalidf("the id of a port is not valid or not unique")
		}
		seen[n.PortID] = true
		if hw, err := net.ParseMAC(n.MAC); err != nil || len(hw) != 6 {
			return fault.Invalidf("port %s has no valid MAC address", n.PortID)
		}
		if n.MTU != 0 && (n.MTU < 68 || n.MTU > 65535) {
			return fault.Invalidf("port %s: %d is no possible MTU", n.PortID, n.MTU)
		}
		if n.Model != "" && n.Model != "virtio" && n.Model != "e1000e" {
			return fault.Invalidf("port %s: unknown card model %q", n.PortID, n.Model)
		}
	}
	return nil
}
