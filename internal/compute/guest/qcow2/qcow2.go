// Package qcow2 writes empty disks in QEMU's qcow2 format and reads the one
// thing that must be known of an image before QEMU opens it: how large it is,
// and that it refers to no other file.
//
// It writes what qemu-img create writes, in a fraction of the time, which
// counts: it is on the way of every server's start. It parses nothing but the
// fixed header; what is behind it is read by confined processes only.
package qcow2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mekcloud/mek/internal/fault"
)

// The parts of the qcow2 format (version 3, QEMU's docs/interop/qcow2.txt)
// that an empty file consists of.
const (
	qcowMagic       = 0x514649fb
	qcowHeaderBytes = 104
	clusterBits     = 16
	clusterBytes    = 1 << clusterBits
	// A level-two table is one cluster of 8-byte entries, one per cluster.
	bytesPerL1Entry = clusterBytes * (clusterBytes / 8)

	extBackingFormat = 0xe2792aca
	extEnd           = 0

	incompatibleDataFile = 1 << 2
)

// MaxBytes bounds disks, in bytes: the refcounts of an empty file then fit in one block.
const MaxBytes = 64 << 40

// Backing names what an overlay is written over. The name is for people and
// tools: QEMU is always told by node name.
type Backing struct{ Name, Format string }

// Empty writes a qcow2 file without any data. Unwritten parts read as the
// backing file, or as zeros when there is none.
func Empty(w io.WriterAt, size int64, base Backing) error {
	if size < 0 || size > MaxBytes {
		return fault.Invalidf("%d bytes is no possible size of a disk", size)
	}
	size = (size + 511) &^ 511
	l1 := (size + bytesPerL1Entry - 1) / bytesPerL1Entry
	l1Clusters := max((l1*8+clusterBytes-1)/clusterBytes, 1)
	used := 3 + l1Clusters // header, refcount table, refcount block, level-one table
	be := binary.BigEndian

	head := make([]byte, clusterBytes)
	be.PutUint32(head[0:], qcowMagic)
	be.PutUint32(head[4:], 3)
	be.PutUint32(head[20:], clusterBits)
	be.PutUint64(head[24:], uint64(size))
	be.PutUint32(head[36:], uint32(l1))
	be.PutUint64(head[40:], 3*clusterBytes)
	be.PutUint64(head[48:], 1*clusterBytes)
	be.PutUint32(head[56:], 1)
	be.PutUint32(head[96:], 4) // refcounts of 1<<4 bits
	be.PutUint32(head[100:], qcowHeaderBytes)
	end := putBacking(head, base)
	be.PutUint32(head[end:], extEnd)

	table := make([]byte, 8)
	be.PutUint64(table, 2*clusterBytes)
	counts := make([]byte, 2*used)
	for i := range used {
		be.PutUint16(counts[2*i:], 1)
	}
	for _, part := range []struct {
		at   int64
		data []byte
	}{
		{(used * clusterBytes) - 1, []byte{0}}, // the file has its length
		{2 * clusterBytes, counts}, {1 * clusterBytes, table}, {0, head},
	} {
		if _, err := w.WriteAt(part.data, part.at); err != nil {
			return fmt.Errorf("write an empty disk: %w", err)
		}
	}
	return nil
}

// putBacking writes the header extension and the name, and says where the
// extensions end.
func putBacking(head []byte, base Backing) int {
	if base.Name == "" {
		return qcowHeaderBytes
	}
	be := binary.BigEndian
	be.PutUint32(head[qcowHeaderBytes:], extBackingFormat)
	be.PutUint32(head[qcowHeaderBytes+4:], uint32(len(base.Format)))
	copy(head[qcowHeaderBytes+8:], base.Format)
	end := qcowHeaderBytes + 8 + (len(base.Format)+7)&^7
	be.PutUint64(head[8:], uint64(end+8))
	be.PutUint32(head[16:], uint32(len(base.Name)))
	copy(head[end+8:], base.Name)
	return end
}

// Size is the virtual size of an image that guests are to be written
// over. Of a qcow2 file it reads the fixed header and refuses what refers to
// other files; Glance refused those before, and this host does not rely on it.
func Size(f *os.File, format string) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("look at the image: %w", err)
	}
	if format == "raw" {
		return info.Size(), nil
	}
	head := make([]byte, qcowHeaderBytes)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read the image: %w", err)
	}
	return headerSize(head[:n])
}

// OwnSize is the virtual size of a qcow2 file that this host made itself: it
// may be written over another.
func OwnSize(f *os.File) (int64, error) {
	head := make([]byte, qcowHeaderBytes)
	if _, err := f.ReadAt(head, 0); err != nil {
		return 0, fmt.Errorf("read a disk: %w", err)
	}
	if binary.BigEndian.Uint32(head) != qcowMagic {
		return 0, fault.Internalf("a disk is not in qcow2 format")
	}
	return int64(min(binary.BigEndian.Uint64(head[24:]), MaxBytes)), nil
}

// headerSize reads the virtual size out of a qcow2 header.
func headerSize(head []byte) (int64, error) {
	be := binary.BigEndian
	if len(head) < 72 || be.Uint32(head) != qcowMagic {
		return 0, fault.Invalidf("the image is not in qcow2 format")
	}
	version := be.Uint32(head[4:])
	if version != 2 && version != 3 {
		return 0, fault.Invalidf("the image is of an unknown qcow2 version")
	}
	if be.Uint64(head[8:]) != 0 || be.Uint32(head[16:]) != 0 {
		return 0, fault.Invalidf("the image has a backing file, which is not allowed")
	}
	if version == 3 {
		if len(head) < qcowHeaderBytes {
			return 0, fault.Invalidf("the image is cut short")
		}
		if be.Uint64(head[72:])&incompatibleDataFile != 0 {
			return 0, fault.Invalidf("the image has an external data file, which is not allowed")
		}
	}
	size := be.Uint64(head[24:])
	if size > MaxBytes {
		return 0, fault.Invalidf("the image is larger than any disk can be")
	}
	return int64(size), nil
}
