package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/fault"
)

// create makes a volume under a passing name and renames it when it is whole.
// The caller holds the id's lock.
func (d *Driver) create(ctx context.Context, spec disk.Spec) (err error) {
	f, name, err := d.passing(spec.ID, "content")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(name) // New removes what is left
		}
	}()
	err = d.fill(ctx, spec, f)
	if err == nil {
		err = checkSize(f, spec)
	}
	if err == nil {
		err = f.Truncate(spec.SizeBytes)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("make volume %s: %w", spec.ID, err)
	}
	if err := os.Rename(name, d.path(spec.ID, spec.Epoch, spec.Kind)); err != nil {
		return fmt.Errorf("put volume %s in place: %w", spec.ID, err)
	}
	if err := d.syncDir(); err != nil || spec.Kind == disk.Snapshot || spec.Epoch == 0 {
		return err
	}
	return d.clear(spec.ID, spec.Epoch)
}

// passing makes a file of a name that New would remove.
func (d *Driver) passing(id, what string) (*os.File, string, error) {
	name := filepath.Join(d.cfg.Dir, id+"."+what+newEnd)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, "", fmt.Errorf("new file: %w", err)
	}
	return f, name, nil
}

// checkSize refuses a content that is larger than the volume: it would be cut.
func checkSize(f *os.File, spec disk.Spec) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("size of the content: %w", err)
	}
	if info.Size() > spec.SizeBytes {
		return fault.Invalidf("The source has %d bytes, more than the %d of the volume", info.Size(), spec.SizeBytes)
	}
	return nil
}

func (d *Driver) fill(ctx context.Context, spec disk.Spec, out *os.File) error {
	switch spec.Source.Kind {
	case disk.FromImage:
		return d.fromImage(ctx, spec, out)
	case disk.FromSnapshot, disk.FromVolume:
		return d.fromVolume(ctx, spec, out)
	case disk.FromHost:
		if d.cfg.Peers == nil {
			return fault.Unavailablef("this host cannot take volumes over")
		}
		return d.cfg.Peers.Fetch(ctx, disk.StreamRead, spec.Source.ID, out)
	case disk.FromBackup:
		if d.cfg.Peers == nil {
			return fault.Unavailablef("this host cannot fetch backups")
		}
		return d.cfg.Peers.Fetch(ctx, disk.StreamBackup, spec.Source.ID, out)
	}
	return nil
}

// fromImage fetches an image and, unless it is raw, has it converted.
func (d *Driver) fromImage(ctx context.Context, spec disk.Spec, out *os.File) error {
	if d.cfg.Images == nil {
		return fault.Unavailablef("this host cannot fetch images")
	}
	if spec.Source.Format == disk.Raw {
		format, err := d.cfg.Images.Fetch(ctx, spec.Source.ID, out)
		if err == nil && format != disk.Raw {
			err = fault.Invalidf("The image is not of the format it was said to have")
		}
		return err
	}
	fetched, name, err := d.passing(spec.ID, "image")
	if err != nil {
		return err
	}
	defer func() {
		_ = fetched.Close() // read only from here on
		_ = os.Remove(name) // New removes what is left
	}()
	format, err := d.cfg.Images.Fetch(ctx, spec.Source.ID, fetched)
	if err != nil {
		return err
	}
	return d.convert(ctx, fetched, format, out, spec.SizeBytes)
}

func (d *Driver) convert(ctx context.Context, in *os.File, format string, out *os.File, limit int64) error {
	if d.cfg.Converter == nil {
		return fault.Unavailablef("this host cannot convert images")
	}
	err := d.cfg.Converter.Convert(ctx, in, format, out, limit)
	if fault.Is(err, fault.TooLarge) {
		return fault.Invalidf("The image does not fit into a volume of %d bytes", limit).Because(err)
	}
	return err
}

// fromVolume copies a volume or snapshot of this host.
func (d *Driver) fromVolume(ctx context.Context, spec disk.Spec, out *os.File) error {
	if spec.Source.ID == spec.ID {
		return fault.Invalidf("volume %s is its own source", spec.ID)
	}
	defer d.share(spec.Source.ID)()
	if spec.Source.Guest != "" {
		done, err := d.fromGuest(ctx, spec, out)
		if done || err != nil {
			return err
		}
	}
	at, err := d.find(spec.Source.ID)
	if err != nil {
		return err
	}
	in, err := os.Open(at.path)
	if err != nil {
		return fmt.Errorf("open the source: %w", err)
	}
	return errors.Join(duplicate(ctx, in, out), in.Close())
}

// fromGuest has the guest that writes to the source make a consistent copy.
// done is false when no guest has it open after all.
func (d *Driver) fromGuest(ctx context.Context, spec disk.Spec, out *os.File) (done bool, err error) {
	if d.cfg.Guests == nil {
		return false, fault.Conflictf("This host cannot copy a volume that is in use")
	}
	copied, name, err := d.passing(spec.ID, "guest")
	if err != nil {
		return false, err
	}
	defer func() {
		_ = copied.Close()  // read only from here on
		_ = os.Remove(name) // New removes what is left
	}()
	err = d.cfg.Guests.CopyOpen(ctx, spec.Source.Guest, spec.Source.ID, spec.ID, copied)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, d.convert(ctx, copied, "qcow2", out, spec.SizeBytes)
}
