package worker

import (
	"encoding/binary"
	"io"
)

// VDI: VirtualBox. Little-endian.
const (
	vdiDynamic = 1
	vdiStatic  = 2
)

func parseVDI(r io.ReaderAt, _ int64) (int64, error) {
	h, err := read(r, 0, 512)
	if err != nil {
		return 0, err
	}
	kind, virtual := binary.LittleEndian.Uint32(h[0x4c:]), binary.LittleEndian.Uint64(h[0x170:])
	switch {
	case binary.LittleEndian.Uint32(h[0x44:]) != 0x00010001:
		return 0, unsafeContent("VDI of this version is not accepted")
	case kind != vdiDynamic && kind != vdiStatic, !zero(h[0x1a8:0x1c8]): // ids of the linked and the parent disk
		return 0, unsafeContent("it has a parent disk")
	case virtual > maxVirtual:
		return 0, errTorn
	}
	return int64(virtual), nil
}

// parsePloop reads the header of Parallels' disks. Little-endian.
func parsePloop(r io.ReaderAt, _ int64) (int64, error) {
	h, err := read(r, 0, 64)
	if err != nil || binary.LittleEndian.Uint32(h[16:]) != 2 {
		return 0, errTorn
	}
	sectors := binary.LittleEndian.Uint64(h[36:])
	if string(h[:16]) == "WithoutFreeSpace" { // the older form has 32 bits
		sectors &= 1<<32 - 1
	}
	if sectors > maxVirtual/512 {
		return 0, errTorn
	}
	return int64(sectors) * 512, nil
}
