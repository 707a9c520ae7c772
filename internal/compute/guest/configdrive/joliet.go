package configdrive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// go-diskfs v1.9.4 writes Joliet names (what Windows reads) with one mistake:
// the record of a folder points at the folder of the other tree, the one with
// short names. The path table has the right places, so the records are mended
// from it. Where the mistake is gone, this changes nothing.

var errJoliet = errors.New("the drive's second tree is not as it should be")

// folder is one entry of the path table.
type folder struct {
	block  uint32
	parent int // index of an entry
	name   []byte
}

// mendJoliet corrects the records of folders.
func mendJoliet(f *os.File) error {
	head := make([]byte, blockSize)
	if _, err := f.ReadAt(head, 17*blockSize); err != nil {
		return fmt.Errorf("read the drive's second tree: %w", err)
	}
	if head[0] != 2 || string(head[1:6]) != "CD001" {
		return errJoliet
	}
	le := binary.LittleEndian
	table := make([]byte, le.Uint32(head[132:]))
	if len(table) > 1<<20 {
		return errJoliet
	}
	if _, err := f.ReadAt(table, int64(le.Uint32(head[140:]))*blockSize); err != nil {
		return fmt.Errorf("read the drive's path table: %w", err)
	}
	folders, err := parseTable(table)
	if err != nil {
		return err
	}
	for _, child := range folders[min(1, len(folders)):] {
		if err := mendRecord(f, folders[child.parent], child); err != nil {
			return err
		}
	}
	return nil
}

// parseTable reads a path table; the first entry is the root.
func parseTable(b []byte) ([]folder, error) {
	var folders []folder
	for len(b) > 0 {
		const fixed = 8
		if len(b) < fixed {
			return nil, errJoliet
		}
		n := int(b[0])
		parent := int(binary.LittleEndian.Uint16(b[6:])) - 1
		size := fixed + n + n%2
		if n == 0 || len(b) < size || parent < 0 || parent > len(folders) {
			return nil, errJoliet
		}
		folders = append(folders, folder{binary.LittleEndian.Uint32(b[2:]), parent, b[fixed : fixed+n]})
		b = b[size:]
	}
	return folders, nil
}

// mendRecord finds the record of child in its parent and points it at child.
func mendRecord(f *os.File, parent, child folder) error {
	size, err := folderSize(f, parent.block)
	if err != nil {
		return err
	}
	records := make([]byte, size)
	if _, err := f.ReadAt(records, int64(parent.block)*blockSize); err != nil {
		return fmt.Errorf("read a folder of the drive: %w", err)
	}
	childSize, err := folderSize(f, child.block)
	if err != nil {
		return err
	}
	at := findRecord(records, child.name)
	if at < 0 {
		return errJoliet
	}
	place := make([]byte, 16) // block and size, each in both byte orders
	binary.LittleEndian.PutUint32(place[0:], child.block)
	binary.BigEndian.PutUint32(place[4:], child.block)
	binary.LittleEndian.PutUint32(place[8:], childSize)
	binary.BigEndian.PutUint32(place[12:], childSize)
	if _, err := f.WriteAt(place, int64(parent.block)*blockSize+int64(at)+2); err != nil {
		return fmt.Errorf("mend a folder of the drive: %w", err)
	}
	return nil
}

// folderSize reads how long a folder is from its record of itself, in bytes.
func folderSize(f *os.File, block uint32) (uint32, error) {
	self := make([]byte, 34)
	if _, err := f.ReadAt(self, int64(block)*blockSize); err != nil {
		return 0, fmt.Errorf("read a folder of the drive: %w", err)
	}
	size := binary.LittleEndian.Uint32(self[10:])
	if size > 1<<20 {
		return 0, errJoliet
	}
	return size, nil
}

// findRecord is where a folder's record begins, or -1.
func findRecord(records, name []byte) int {
	const fixed, isFolder = 33, 2
	for at := 0; at+fixed <= len(records); {
		length := int(records[at])
		if length == 0 { // the rest of a block is empty
			at = (at/blockSize + 1) * blockSize
			continue
		}
		n := int(records[at+32])
		if at+fixed+n > len(records) {
			return -1
		}
		if records[at+25]&isFolder != 0 && bytes.Equal(records[at+fixed:at+fixed+n], name) {
			return at
		}
		at += length
	}
	return -1
}
