package qemu

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/qcow2"
	"github.com/mekcloud/mek/internal/fault"
)

func (m *machine) diskPath(file string) string { return filepath.Join(m.dir, disksDir, file) }

// layerFile is the file of a layer of a disk.
func layerFile(diskID, layer string) string { return diskID + "." + layer }

// ownFiles are the files of a disk of the guest's own, the lowest first.
func ownFiles(d guest.Disk) []string {
	files := []string{d.ID}
	for _, l := range d.Layers {
		files = append(files, layerFile(d.ID, l))
	}
	return files
}

// openOwn opens a disk that belongs to the guest, from its top down to the
// image, and makes what is missing: only from the bottom up, since a file that
// is missing below another is lost, not new.
func (m *machine) openOwn(ctx context.Context, d *disk) error {
	files := ownFiles(d.Disk)
	if err := m.checkWhole(files); err != nil {
		return err
	}
	if err := m.openLowest(ctx, d); err != nil {
		return err
	}
	for i, file := range files[1:] {
		f, err := os.OpenFile(m.diskPath(file), os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			f, err = m.makeLayer(file, files[i], d)
		}
		if err != nil {
			return fmt.Errorf("open disk %s: %w", d.ID, err)
		}
		if err := d.layers[0].freeze(m.diskPath(files[i])); err != nil {
			closeAll(f)
			return fmt.Errorf("open disk %s: %w", d.ID, err)
		}
		d.layers = append([]layer{{file: f, format: "qcow2"}}, d.layers...)
	}
	return nil
}

// freeze opens a layer that others lie over for reading only: QEMU takes a
// descriptor by the way in which it was opened.
func (l *layer) freeze(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	closeAll(l.file)
	l.file, l.readOnly = f, true
	return nil
}

// checkWhole refuses a disk that has a layer, and not what is below it.
func (m *machine) checkWhole(files []string) error {
	missing := false
	for _, file := range files {
		_, err := os.Stat(m.diskPath(file))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = true
		case err != nil:
			return fmt.Errorf("look at disk %s: %w", file, err)
		case missing:
			return fault.Internalf("disk %s has lost what it is written over", file)
		}
	}
	return nil
}

// openLowest opens the part of a disk that no other of its own files is below.
func (m *machine) openLowest(ctx context.Context, d *disk) error {
	switch {
	case d.From != "":
		f, err := m.openArrived(ctx, d.Disk)
		if err != nil {
			return err
		}
		d.layers = []layer{{file: f, format: "qcow2"}}
		return nil
	case d.Kind == guest.DiskImage:
		return m.openOverlay(ctx, d)
	}
	f, err := m.openBlank(d.Disk)
	if err != nil {
		return err
	}
	d.layers = []layer{{file: f, format: "raw"}}
	return nil
}

// makeLayer makes an empty layer over a disk as it is, no smaller than that.
func (m *machine) makeLayer(file, below string, d *disk) (*os.File, error) {
	size, err := layerSize(d.layers[0])
	if err != nil {
		return nil, err
	}
	over := qcow2.Backing{Name: below, Format: d.layers[0].format}
	return m.makeFile(m.diskPath(file), func(f *os.File) error { return qcow2.Empty(f, max(size, d.SizeBytes), over) })
}

func layerSize(l layer) (int64, error) {
	if l.format == "qcow2" {
		return qcow2.OwnSize(l.file)
	}
	return qcow2.Size(l.file, l.format)
}

// openArrived opens a disk whose content is that of one of another host,
// fetching it first if it is not here yet.
func (m *machine) openArrived(ctx context.Context, d guest.Disk) (*os.File, error) {
	path := m.diskPath(d.ID)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if m.d.images.source == nil {
		return nil, fault.Unavailablef("disk %s cannot be fetched", d.ID)
	}
	in, info, err := m.d.images.source.Open(ctx, d.From)
	if err != nil {
		return nil, fmt.Errorf("fetch disk %s: %w", d.ID, err)
	}
	defer in.Close() // only read
	stop := context.AfterFunc(ctx, func() { _ = in.Close() })
	defer stop()
	if info.Format != "qcow2" {
		return nil, fault.Invalidf("disk %s comes in format %q", d.ID, info.Format)
	}
	return m.makeFile(path, func(f *os.File) error {
		if err := receive(f, in, info); err != nil {
			return err
		}
		if _, err := qcow2.Size(f, "qcow2"); err != nil {
			return err // it refers to other files
		}
		return f.Sync()
	})
}

// openOverlay opens a disk that is copied on write over an image.
func (m *machine) openOverlay(ctx context.Context, d *disk) error {
	base, err := m.d.images.open(ctx, d.ImageID, d.ImageFormat)
	if err != nil {
		return err
	}
	d.layers = []layer{{file: base, format: d.ImageFormat, readOnly: true}}
	path := m.diskPath(d.ID)
	top, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		top, err = m.makeOverlay(path, base, d.Disk)
	}
	if err != nil {
		return fmt.Errorf("open disk %s: %w", d.ID, err)
	}
	d.layers = []layer{{file: top, format: "qcow2"}, d.layers[0]}
	return nil
}

func (m *machine) makeOverlay(path string, base *os.File, d guest.Disk) (*os.File, error) {
	least, err := qcow2.Size(base, d.ImageFormat)
	if err != nil {
		return nil, err
	}
	size := d.SizeBytes
	if size == 0 {
		size = least
	}
	if size < least {
		return nil, fault.Invalidf("the image needs a disk of %d bytes, and the server's has %d", least, size)
	}
	over := qcow2.Backing{Name: filepath.Join("../../../images", imageFile(d.ImageID, d.ImageFormat)), Format: d.ImageFormat}
	return m.makeFile(path, func(f *os.File) error { return qcow2.Empty(f, size, over) })
}

// openBlank opens an empty disk: a sparse file, so that space is taken as the
// guest writes and given back as it discards. Swap of another size than before
// is made anew: nothing in it outlives a start.
func (m *machine) openBlank(d guest.Disk) (*os.File, error) {
	path := m.diskPath(d.ID)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil && d.Fill == "swap" && m.proc == nil && m.rec.Saved == nil {
		info, stat := f.Stat()
		if stat == nil && info.Size() != d.SizeBytes {
			closeAll(f)
			err = fs.ErrNotExist
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		f, err = m.makeFile(path, func(f *os.File) error {
			if err := f.Truncate(d.SizeBytes); err != nil || d.Fill != "swap" {
				return err
			}
			_, err := f.WriteAt(swapHeader(d.SizeBytes), 0)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("open disk %s: %w", d.ID, err)
	}
	return f, nil
}

// swapHeader is what mkswap writes: version 1, the last page, and a signature
// at the end of the first page.
func swapHeader(size int64) []byte {
	const page = 4096
	b := make([]byte, page)
	binary.LittleEndian.PutUint32(b[1024:], 1)
	binary.LittleEndian.PutUint32(b[1028:], uint32(size/page-1))
	copy(b[page-10:], "SWAPSPACE2")
	return b
}
