package qemu

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/compute/guest"
)

// layer is one file of a disk, opened.
type layer struct {
	file     *os.File
	format   string // "raw" or "qcow2"
	readOnly bool
	device   bool // a block device, not a file
	direct   bool // written past the host's cache
}

// disk is a disk with its files open, top first, and its place.
type disk struct {
	guest.Disk
	slot   string
	layers []layer
}

// bypass has what guests write go past the host's cache, where the file system
// can: there one guest's writes pile up before another's flush, which then waits
// for all of them. What is only read, which guests share, stays in the cache.
func (d disk) bypass() {
	for i, l := range d.layers {
		d.layers[i].direct = !l.readOnly && takesDirect(l.file)
	}
}

// takesDirect tries whether a file can be written past the host's cache.
func takesDirect(f *os.File) bool {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return false
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFL, flags|unix.O_DIRECT); err != nil {
		return false
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, flags)
	return err == nil
}

func (d disk) close() {
	for _, l := range d.layers {
		_ = l.file.Close() // QEMU has its own copies by now, or none is needed
	}
}

// topNode is the node that the device uses.
func (d disk) topNode(limits guest.Limits) string {
	if limits.CapsDisks() {
		return d.slot + "t"
	}
	return d.slot + "l0"
}

// nodes are the block nodes of a disk, in the order in which they must be
// made. sets are the fdsets of its layers.
func (d disk) nodes(sets []int, limits guest.Limits) []map[string]any {
	var nodes []map[string]any
	for i := len(d.layers) - 1; i >= 0; i-- {
		l := d.layers[i]
		driver := "file"
		if l.device {
			driver = "host_device"
		}
		file := fmt.Sprintf("%sf%d", d.slot, i)
		node := map[string]any{
			"driver": driver, "node-name": file, "filename": "/dev/fdset/" + strconv.Itoa(sets[i]),
			"read-only": l.readOnly, "auto-read-only": false, "discard": "unmap",
		}
		if l.direct {
			node["cache"] = map[string]any{"direct": true}
		}
		nodes = append(nodes, node)
		format := map[string]any{
			"driver": l.format, "node-name": fmt.Sprintf("%sl%d", d.slot, i), "file": file,
			"read-only": l.readOnly, "discard": "unmap",
		}
		if l.format == "qcow2" {
			format["backing"] = nil
			if i+1 < len(d.layers) {
				format["backing"] = fmt.Sprintf("%sl%d", d.slot, i+1)
			}
		}
		nodes = append(nodes, format)
	}
	if limits.CapsDisks() {
		nodes = append(nodes, map[string]any{"driver": "throttle", "node-name": d.slot + "t", "throttle-group": d.slot + "g", "file": d.slot + "l0"})
	}
	return nodes
}

// device is the disk as the guest sees it.
func (d disk) device(limits guest.Limits) map[string]any {
	device := bus(d.slot)
	device["id"], device["drive"] = "d"+d.slot, d.topNode(limits)
	device["driver"] = map[guest.Bus]string{guest.BusVirtio: "virtio-blk-pci", guest.BusSCSI: "scsi-hd", guest.BusIDE: "ide-hd", guest.BusUSB: "usb-storage"}[busOf(d.Disk)]
	if isCD(d.Disk) {
		device["driver"] = map[guest.Bus]string{guest.BusVirtio: "virtio-blk-pci", guest.BusSCSI: "scsi-cd", guest.BusIDE: "ide-cd", guest.BusUSB: "usb-storage"}[busOf(d.Disk)]
	}
	if d.Shared {
		device["share-rw"] = true
	}
	if d.Serial != "" {
		device["serial"] = d.Serial
	}
	if d.BootIndex > 0 {
		device["bootindex"] = d.BootIndex
	}
	return device
}

// throttle is the group that caps a disk.
func (d disk) throttle(l guest.Limits) map[string]any {
	caps := map[string]any{}
	for name, value := range map[string]int64{
		"bps-read": l.DiskReadBytesSecond, "bps-write": l.DiskWriteBytesSecond, "bps-total": l.DiskTotalBytesSecond,
		"iops-read": l.DiskReadIOPS, "iops-write": l.DiskWriteIOPS, "iops-total": l.DiskTotalIOPS,
	} {
		if value > 0 {
			caps[name] = value
		}
	}
	return map[string]any{"qom-type": "throttle-group", "id": d.slot + "g", "limits": caps}
}

// nic is a card with its tap open, and its place.
type nic struct {
	guest.NIC
	slot string
	tap  *os.File
}

func (n nic) device() map[string]any {
	device := bus(n.slot)
	device["id"], device["netdev"], device["mac"], device["romfile"] = "d"+n.slot, "n"+n.slot, n.MAC, ""
	device["driver"] = "virtio-net-pci"
	if n.Model == "e1000e" {
		device["driver"] = "e1000e"
	} else if n.MTU > 0 {
		device["host_mtu"] = n.MTU
	}
	return device
}

func closeAll(cs ...io.Closer) {
	for _, c := range cs {
		_ = c.Close() // descriptors that were handed over or are not needed
	}
}
