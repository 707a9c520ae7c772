package worker

import (
	"encoding/binary"
	"encoding/hex"
	"io"
)

// VHD: Microsoft, "Virtual Hard Disk Image Format Specification". Big-endian.
const (
	vhdCookie       = "conectix"
	vhdFixed        = 2
	vhdDynamic      = 3
	vhdDifferencing = 4
)

func hasFooter(r io.ReaderAt, size int64) bool {
	b, err := read(r, size-512, 8)
	return err == nil && string(b) == vhdCookie
}

// parseVHD reads the copy of the footer at the start, as qemu does, or the
// footer itself where only a fixed disk has it.
func parseVHD(r io.ReaderAt, size int64) (int64, error) {
	h, err := read(r, 0, 512)
	fixed := err != nil || string(h[:8]) != vhdCookie
	if fixed {
		if h, err = read(r, size-512, 512); err != nil {
			return 0, err
		}
	}
	virtual, kind := binary.BigEndian.Uint64(h[48:]), binary.BigEndian.Uint32(h[60:])
	switch {
	case kind == vhdDifferencing:
		return 0, unsafeContent("it has a parent disk")
	case virtual > maxVirtual || fixed != (kind == vhdFixed) || (kind != vhdFixed && kind != vhdDynamic):
		return 0, errTorn
	case kind == vhdFixed:
		return int64(virtual), nil
	}
	at := binary.BigEndian.Uint64(h[16:])
	if at > uint64(size) {
		return 0, errTorn
	}
	d, err := read(r, int64(at), 1024)
	if err != nil || string(d[:8]) != "cxsparse" {
		return 0, errTorn
	}
	if !zero(d[40:56]) { // parent's unique id
		return 0, unsafeContent("it has a parent disk")
	}
	return int64(virtual), nil
}

// VHDX: Microsoft, MS-VHDX. Little-endian; ids in the mixed order of Windows.
const (
	vhdxRegions      = 192 << 10
	vhdxMaxEntries   = 2047
	vhdxMetadata     = "06a27c8b90479a4bb8fe575f050f886e"
	vhdxDiskSize     = "2442a52f1bcd7648b2115dbed83bf4b8"
	vhdxParameters   = "3767a1ca36fa434db3b633f0aa44e76b"
	vhdxParentLocate = "2d5fd3a80bb34d45abf7d3d84834ab0c"
	vhdxHasParent    = 1 << 1
)

func parseVHDX(r io.ReaderAt, size int64) (int64, error) {
	head, err := read(r, vhdxRegions, 16)
	if err != nil || string(head[:4]) != "regi" {
		return 0, errTorn
	}
	count := binary.LittleEndian.Uint32(head[8:])
	if count > vhdxMaxEntries {
		return 0, errTorn
	}
	for i := range int64(count) {
		e, err := read(r, vhdxRegions+16+32*i, 32)
		if err != nil {
			return 0, err
		}
		if at := binary.LittleEndian.Uint64(e[16:]); hex.EncodeToString(e[:16]) == vhdxMetadata {
			if at > uint64(size) {
				return 0, errTorn
			}
			return vhdxItems(r, int64(at))
		}
	}
	return 0, errTorn
}

// vhdxItems reads the metadata table: the size, and whether there is a parent.
func vhdxItems(r io.ReaderAt, table int64) (int64, error) {
	head, err := read(r, table, 32)
	if err != nil || string(head[:8]) != "metadata" {
		return 0, errTorn
	}
	count := binary.LittleEndian.Uint16(head[10:])
	if count > vhdxMaxEntries {
		return 0, errTorn
	}
	virtual := int64(-1)
	for i := range int64(count) {
		e, err := read(r, table+32+32*i, 32)
		if err != nil {
			return 0, err
		}
		at := table + int64(binary.LittleEndian.Uint32(e[16:]))
		switch hex.EncodeToString(e[:16]) {
		case vhdxParentLocate:
			return 0, unsafeContent("it has a parent disk")
		case vhdxParameters:
			p, err := read(r, at, 8)
			if err != nil {
				return 0, err
			}
			if binary.LittleEndian.Uint32(p[4:])&vhdxHasParent != 0 {
				return 0, unsafeContent("it has a parent disk")
			}
		case vhdxDiskSize:
			p, err := read(r, at, 8)
			if err != nil || binary.LittleEndian.Uint64(p) > maxVirtual {
				return 0, errTorn
			}
			virtual = int64(binary.LittleEndian.Uint64(p))
		}
	}
	if virtual < 0 {
		return 0, errTorn
	}
	return virtual, nil
}
