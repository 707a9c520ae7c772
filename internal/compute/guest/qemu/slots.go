package qemu

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
)

// A slot is where a disk or card sits in the machine: "s3" behind root port 3,
// "c3" unit 3 of the SCSI controller, "i0" on the first SATA port, "u0" on the
// first USB port. Devices are
// named "d" + slot, block nodes and fdsets begin with the slot.
type slots map[string]string // "disk/ID" or "nic/PORT" to slot

// The limits of the buses. A PCI bus has 32 slots of 8 functions; the ports fill
// a few of them.
const (
	maxPorts = 40
	maxSCSI  = 64
	maxIDE   = 6
	maxUSB   = 4
)

const configDriveID = "config-drive" // of the disk that is made of Spec.Metadata

// kindConfig is the kind of that disk; no Spec can ask for it.
const kindConfig guest.DiskKind = "config"

// disksOf are all disks of a guest: those asked for, and its config drive.
func disksOf(s guest.Spec) []guest.Disk {
	disks := s.Disks
	if s.ConfigDrive {
		disks = append(disks[:len(disks):len(disks)], guest.Disk{ID: configDriveID, Kind: kindConfig, ReadOnly: true})
	}
	return disks
}

func diskKey(d guest.Disk) string { return "disk/" + d.ID }
func nicKey(n guest.NIC) string   { return "nic/" + n.PortID }

// busOf is where a disk really goes.
func busOf(d guest.Disk) guest.Bus {
	switch {
	case d.Bus != "":
		return d.Bus
	case isCD(d):
		return guest.BusSCSI
	}
	return guest.BusVirtio
}

func isCD(d guest.Disk) bool { return d.Kind == guest.DiskCD || d.Kind == kindConfig }

// hotPluggable tells whether a slot's device can come and go while the guest runs.
func hotPluggable(slot string) bool {
	return !strings.HasPrefix(slot, "i") && !strings.HasPrefix(slot, "u")
}

// assign gives every device of the guest a slot: the one it has, else the
// lowest free one. Devices that are no longer asked for keep theirs until
// release. It is pure: the result is a new map.
func (s slots) assign(spec guest.Spec) (slots, error) {
	out := slots{}
	for k, v := range s {
		out[k] = v
	}
	for _, d := range disksOf(spec) {
		prefix, limit := "s", maxPorts
		switch busOf(d) {
		case guest.BusSCSI:
			prefix, limit = "c", maxSCSI
		case guest.BusIDE:
			prefix, limit = "i", maxIDE
		case guest.BusUSB:
			prefix, limit = "u", maxUSB
		}
		if err := out.place(diskKey(d), prefix, limit); err != nil {
			return nil, err
		}
	}
	for _, n := range spec.NICs {
		if err := out.place(nicKey(n), "s", maxPorts); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s slots) place(key, prefix string, limit int) error {
	if has, ok := s[key]; ok && strings.HasPrefix(has, prefix) {
		return nil
	}
	taken := map[string]bool{}
	for _, v := range s {
		taken[v] = true
	}
	for n := range limit {
		if slot := prefix + strconv.Itoa(n); !taken[slot] {
			s[key] = slot
			return nil
		}
	}
	return fault.Conflictf("the server has no place for another device")
}

// unused are the keys of devices that spec does not ask for.
func (s slots) unused(spec guest.Spec) []string {
	wanted := map[string]bool{}
	for _, d := range disksOf(spec) {
		wanted[diskKey(d)] = true
	}
	for _, n := range spec.NICs {
		wanted[nicKey(n)] = true
	}
	var keys []string
	for k := range s {
		if !wanted[k] {
			keys = append(keys, k)
		}
	}
	return keys
}

// ports is how many root ports a machine needs for these slots, with room for
// free more, in whole PCI slots.
func (s slots) ports(free int) int {
	highest := -1
	for _, v := range s {
		if n, err := strconv.Atoi(strings.TrimPrefix(v, "s")); err == nil {
			highest = max(highest, n)
		}
	}
	return min(highest+1+free, maxPorts)
}

// bus is the place of a slot as QEMU's device properties say it.
func bus(slot string) map[string]any {
	n, rest := slot[0], slot[1:]
	unit, _ := strconv.Atoi(rest) // made by place
	switch n {
	case 'c':
		return map[string]any{"bus": "scsi.0", "scsi-id": unit, "channel": 0, "lun": 0}
	case 'i':
		return map[string]any{"bus": "ide." + rest, "unit": 0}
	case 'u':
		return map[string]any{"bus": "xhci.0", "port": strconv.Itoa(unit + 1)}
	}
	return map[string]any{"bus": fmt.Sprintf("rp%d", unit)}
}

// without is a copy that lacks some keys.
func (s slots) without(keys []string) slots {
	out := slots{}
	for k, v := range s {
		out[k] = v
	}
	for _, k := range keys {
		delete(out, k)
	}
	return out
}
