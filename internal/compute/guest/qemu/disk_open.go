package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/configdrive"
	"github.com/mekcloud/mek/internal/fault"
)

// openDisk opens all files of a disk, making those of the guest's own that are
// missing. The caller closes it.
func (m *machine) openDisk(ctx context.Context, want guest.Disk, slot string) (d disk, err error) {
	d = disk{Disk: want, slot: slot}
	defer func() {
		if err != nil {
			d.close()
			return
		}
		d.bypass()
	}()
	switch want.Kind {
	case guest.DiskImage, guest.DiskBlank:
		err = m.openOwn(ctx, &d)
	case guest.DiskCD:
		base, err := m.d.images.open(ctx, want.ImageID, want.ImageFormat)
		if err != nil {
			return d, err
		}
		d.layers = []layer{{file: base, format: want.ImageFormat, readOnly: true}}
	case kindConfig:
		f, err := m.openDrive()
		if err != nil {
			return d, err
		}
		d.layers = []layer{{file: f, format: "raw", readOnly: true}}
	default:
		d.layers, err = m.openVolume(ctx, want)
	}
	return d, err
}

// makeFile makes a file of a guest under its final name, which it gets once it
// is whole. It is flushed while the guest starts: see flush.
func (m *machine) makeFile(path string, fill func(*os.File) error) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path+".part", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if err = fill(f); err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		_, _ = f.Close(), os.Remove(path+".part") // the first error says what happened
		return nil, err
	}
	m.unflushed = append(m.unflushed, path)
	return f, nil
}

// openDrive writes the config drive anew: metadata may have changed since.
func (m *machine) openDrive() (*os.File, error) {
	path := filepath.Join(m.dir, driveFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replace the config drive: %w", err)
	}
	if err := configdrive.Write(path, configdrive.Tree(m.rec.Spec.Metadata)); err != nil {
		return nil, err
	}
	return os.Open(path)
}

// openVolume opens what block storage put on this host.
func (m *machine) openVolume(ctx context.Context, d guest.Disk) ([]layer, error) {
	at, err := m.volume(ctx, d.VolumeID)
	if err != nil {
		return nil, err
	}
	var layers []layer
	for part := &at; part != nil; part = part.Base {
		l, err := openLayer(*part, len(layers) > 0 || d.ReadOnly || at.ReadOnly)
		if err != nil {
			for _, l := range layers {
				_ = l.file.Close() // nothing was done with it
			}
			return nil, fault.Unavailablef("volume %s is not on the host", d.VolumeID).Because(err)
		}
		layers = append(layers, l)
	}
	return layers, nil
}

func openLayer(at guest.VolumeFile, readOnly bool) (layer, error) {
	if at.Format != "raw" && at.Format != "qcow2" {
		return layer{}, fmt.Errorf("unknown format %q", at.Format)
	}
	flag := os.O_RDWR
	if readOnly {
		flag = os.O_RDONLY
	}
	f, err := os.OpenFile(at.Path, flag, 0)
	if err != nil {
		return layer{}, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close() // nothing was done with it
		return layer{}, err
	}
	return layer{file: f, format: at.Format, readOnly: readOnly, device: info.Mode()&fs.ModeDevice != 0}, nil
}
