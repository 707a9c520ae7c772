package worker

import (
	"encoding/binary"
	"io"
)

// Layout: qemu, docs/interop/qcow2.txt. All numbers are big-endian.
const (
	qcow2Dirty       = 1 << 0
	qcow2Corrupt     = 1 << 1
	qcow2DataFile    = 1 << 2
	qcow2Compression = 1 << 3
	qcow2ExtendedL2  = 1 << 4

	qcow2RawExternal = 1 << 1 // autoclear

	extEnd      = 0
	extDataFile = 0x44415441

	maxL1Bytes    = 32 << 20 // qemu's own bound
	maxExtensions = 64
)

func parseQCOW2(r io.ReaderAt, _ int64) (int64, error) {
	h, err := read(r, 0, 72)
	if err != nil {
		return 0, err
	}
	u32, u64 := binary.BigEndian.Uint32, binary.BigEndian.Uint64
	version, clusterBits, virtual, l1 := u32(h[4:]), u32(h[20:]), u64(h[24:]), uint64(u32(h[36:]))
	switch {
	case version != 2 && version != 3:
		return 0, unsafeContent("qcow2 of this version is not accepted")
	case u64(h[8:]) != 0 || u32(h[16:]) != 0:
		return 0, unsafeContent("it has a backing file")
	case u32(h[32:]) != 0:
		return 0, unsafeContent("it is encrypted")
	case clusterBits < 9 || clusterBits > 21 || virtual > maxVirtual || l1*8 > maxL1Bytes:
		return 0, errTorn
	}
	// an L1 entry reaches over one cluster of L2 entries, of 8 bytes each (16: extended)
	reach := uint64(1) << (2*clusterBits - 3)
	length := int64(72)
	if version == 3 {
		if length, err = qcow2Features(r, 1<<clusterBits, &reach); err != nil {
			return 0, err
		}
	}
	if l1 < (virtual+reach-1)/reach {
		return 0, errTorn
	}
	return int64(virtual), qcow2Extensions(r, length, 1<<clusterBits)
}

// qcow2Features checks the version 3 header and gives its length.
func qcow2Features(r io.ReaderAt, cluster int64, reach *uint64) (int64, error) {
	h, err := read(r, 72, 32)
	if err != nil {
		return 0, err
	}
	incompatible, autoclear := binary.BigEndian.Uint64(h), binary.BigEndian.Uint64(h[16:])
	order, length := binary.BigEndian.Uint32(h[24:]), int64(binary.BigEndian.Uint32(h[28:]))
	switch {
	case incompatible&qcow2DataFile != 0 || autoclear&qcow2RawExternal != 0:
		return 0, unsafeContent("it has an external data file")
	case incompatible&qcow2Corrupt != 0:
		return 0, unsafeContent("it is marked as corrupt")
	case incompatible&^uint64(qcow2Dirty|qcow2Compression|qcow2ExtendedL2) != 0:
		return 0, unsafeContent("it uses unknown features")
	case order > 6 || length < 104 || length > cluster || length%8 != 0:
		return 0, errTorn
	}
	if incompatible&qcow2ExtendedL2 != 0 {
		*reach /= 2
	}
	if incompatible&qcow2Compression != 0 {
		kind, err := read(r, 104, 1)
		if err != nil || length < 112 {
			return 0, errTorn
		}
		if kind[0] > 1 {
			return 0, unsafeContent("it is compressed in an unknown way")
		}
	}
	return length, nil
}

// qcow2Extensions walks the header extensions, which end in the first cluster.
func qcow2Extensions(r io.ReaderAt, at, cluster int64) error {
	for range maxExtensions {
		if at+8 > cluster {
			return nil
		}
		h, err := read(r, at, 8)
		if err != nil {
			return err
		}
		kind, length := binary.BigEndian.Uint32(h), int64(binary.BigEndian.Uint32(h[4:]))
		switch {
		case kind == extEnd:
			return nil
		case kind == extDataFile:
			return unsafeContent("it has an external data file")
		case length > cluster-at-8:
			return errTorn
		}
		at += 8 + (length+7)&^7
	}
	return errTorn
}
