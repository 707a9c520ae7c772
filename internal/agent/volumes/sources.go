package volumes

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/blockstorage/disk/files"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/image/worker"
)

// Images fetches images from the server for the files driver.
type Images struct{ Upstream hostlink.Upstream }

var _ files.Images = Images{}

// Fetch writes an image to out and checks it against its hash. Blocks of zeros
// become holes.
func (i Images) Fetch(ctx context.Context, id string, out *os.File) (string, error) {
	stream, err := i.Upstream.Open(ctx, image.StreamKind, image.StreamParams{ID: id})
	if err != nil {
		return "", err
	}
	defer context.AfterFunc(ctx, func() { _ = stream.Close() })() // ends a read that waits
	head, err := image.ReadHead(stream)
	if err == nil {
		err = receive(out, stream, head)
	}
	if err = errors.Join(err, stream.Close()); err != nil {
		return "", fault.Unavailablef("the image could not be fetched").Because(err)
	}
	return string(head.Format), nil
}

func receive(out *os.File, in io.Reader, head image.StreamHead) error {
	sum := sha512.New()
	buf := make([]byte, 256<<10)
	var at int64
	for at < head.Size {
		n, err := io.ReadFull(in, buf[:min(int64(len(buf)), head.Size-at)])
		if err != nil {
			return fmt.Errorf("read image at %d: %w", at, err)
		}
		_, _ = sum.Write(buf[:n]) // a hash takes everything
		if !zero(buf[:n]) {
			if _, err := out.WriteAt(buf[:n], at); err != nil {
				return fmt.Errorf("write image: %w", err)
			}
		}
		at += int64(n)
	}
	if err := out.Truncate(head.Size); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); head.SHA512 != "" && got != head.SHA512 {
		return fmt.Errorf("image %s does not hash to its record", head.ID)
	}
	return nil
}

// Peers takes volumes over from other hosts, by way of the server, and backups from it.
type Peers struct{ Upstream hostlink.Upstream }

var _ files.Peers = Peers{}

// Fetch writes all bytes of a stream to out; blocks of zeros become holes.
func (p Peers) Fetch(ctx context.Context, kind, id string, out *os.File) error {
	stream, err := p.Upstream.Open(ctx, kind, disk.ReadParams{ID: id})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = stream.Close() })() // ends a read that waits
	if err := errors.Join(sparse(out, stream), stream.Close()); err != nil {
		return fault.Unavailablef("the volume could not be fetched").Because(err)
	}
	return nil
}

func sparse(out *os.File, in io.Reader) error {
	buf := make([]byte, 256<<10)
	for at := int64(0); ; {
		n, err := io.ReadFull(in, buf)
		if n > 0 && !zero(buf[:n]) {
			if _, err := out.WriteAt(buf[:n], at); err != nil {
				return fmt.Errorf("write volume: %w", err)
			}
		}
		at += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // the stream's own end is whole: see hostlink.StreamHandler
			return out.Truncate(at)
		}
		if err != nil {
			return fmt.Errorf("read volume at %d: %w", at, err)
		}
	}
}

// zero compares a block with itself, one byte on: as fast as memory is.
func zero(b []byte) bool {
	return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}

// Converter has the sandboxed worker turn images into raw bytes.
type Converter struct{ Runner *worker.Runner }

var _ files.Converter = Converter{}

// Convert writes the disk inside an image.
func (c Converter) Convert(ctx context.Context, in *os.File, format string, out *os.File, limit int64) error {
	return c.Runner.Convert(ctx, in, image.Format(format), out, image.Raw, limit)
}

// Guests asks the guests' driver for copies of volumes that guests have open.
type Guests struct{ Driver guest.Driver }

var _ files.Guests = Guests{}

// CopyOpen takes a snapshot of the guest's disk, which carries the volume's id, and moves its bytes to out.
func (g Guests) CopyOpen(ctx context.Context, server, volume, name string, out *os.File) error {
	if _, err := g.Driver.Snapshot(ctx, server, volume, name); err != nil {
		return err
	}
	r, err := g.Driver.OpenSnapshot(ctx, server, name)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, r)
	if err = errors.Join(err, r.Close()); err != nil {
		return fault.Unavailablef("the guest's copy of the volume could not be read").Because(err)
	}
	return g.Driver.DiscardSnapshot(ctx, server, name)
}

// Resolver tells the guests' driver where volumes are.
type Resolver struct{ Driver disk.Driver }

var _ guest.Volumes = Resolver{}

// Volume answers where a volume is.
func (r Resolver) Volume(ctx context.Context, id string) (guest.VolumeFile, error) {
	f, err := r.Driver.Locate(ctx, id)
	if err != nil {
		return guest.VolumeFile{}, err
	}
	return guest.VolumeFile{Path: f.Path, Format: f.Format, ReadOnly: f.ReadOnly}, nil
}
