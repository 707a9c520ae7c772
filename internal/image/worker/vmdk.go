package worker

import (
	"bytes"
	"encoding/binary"
	"io"
	"regexp"
	"strings"
)

// Layout: VMware, "Virtual Disk Format 5.0". Numbers are little-endian, units
// are sectors of 512 bytes.
const (
	vmdkMagic         = "KDMV"
	vmdkFooterAtEnd   = ^uint64(0) // grain directory offset of a stream-optimised disk
	maxVMDKDescriptor = 2048       // sectors
)

// vmdkExtent is the only kind of extent line that is accepted: one, in this very file.
var vmdkExtent = regexp.MustCompile(`^RW [0-9]{1,18} SPARSE "[^"/\\]*"$`)

func parseVMDK(r io.ReaderAt, size int64) (int64, error) {
	h, err := read(r, 0, 512)
	if err != nil || string(h[:4]) != vmdkMagic {
		// a bare descriptor names other files; COWD is of old servers
		return 0, unsafeContent("VMDK of this kind is not accepted")
	}
	u64 := binary.LittleEndian.Uint64
	capacity, at, sectors := u64(h[12:]), u64(h[28:]), u64(h[36:])
	switch {
	case capacity == 0: // makes qemu read the descriptor as a list of other files
		return 0, unsafeContent("VMDK without a capacity is not accepted")
	case capacity > maxVirtual/512 || at == 0 || at > uint64(size)/512 || sectors == 0 || sectors > maxVMDKDescriptor:
		return 0, errTorn
	}
	if u64(h[56:]) == vmdkFooterAtEnd {
		// qemu goes on with the footer's copy of the header: it must not say anything else
		f, err := read(r, size-1024, 512)
		if err != nil || string(f[:4]) != vmdkMagic || !bytes.Equal(f[4:48], h[4:48]) {
			return 0, errTorn
		}
	}
	text, err := read(r, int64(at)*512, int(sectors)*512)
	if err != nil {
		return 0, err
	}
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	return int64(capacity) * 512, checkDescriptor(string(text))
}

// checkDescriptor accepts the descriptors of disks that consist of one file.
func checkDescriptor(text string) error {
	kind, extents := "", 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, value, assigned := strings.Cut(line, "=")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		word, _, _ := strings.Cut(line, " ")
		switch {
		case line == "" || line[0] == '#':
		case assigned && key == "createtype":
			if kind != "" {
				return errTorn
			}
			kind = strings.Trim(value, `"`)
		case assigned && key == "parentcid" && !strings.EqualFold(value, "ffffffff"), assigned && strings.HasPrefix(key, "parentfilename"):
			return unsafeContent("it has a parent disk")
		case word == "RW" || word == "RDONLY" || word == "NOACCESS":
			if extents++; extents > 1 || !vmdkExtent.MatchString(line) {
				return unsafeContent("VMDK with other extents than itself is not accepted")
			}
		case !assigned:
			return errTorn
		}
	}
	if kind != "monolithicSparse" && kind != "streamOptimized" {
		return unsafeContent("VMDK of this createType is not accepted")
	}
	if extents != 1 {
		return errTorn
	}
	return nil
}
