package app

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage/disk/files"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/image/worker"
)

// imageSource reads images from the server for guests.
type imageSource struct{ relay *hostlink.Relay }

// Open begins a transfer and gives what the server says of the image.
func (s imageSource) Open(ctx context.Context, imageID string) (io.ReadCloser, guest.ImageInfo, error) {
	stream, head, err := openImage(ctx, s.relay, imageID)
	if err != nil {
		return nil, guest.ImageInfo{}, err
	}
	info := guest.ImageInfo{Format: string(head.Format), SizeBytes: head.Size, VirtualBytes: head.VirtualSize, SHA512: head.SHA512}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(stream, head.Size), stream}, info, nil
}

func openImage(ctx context.Context, relay *hostlink.Relay, imageID string) (io.ReadCloser, image.StreamHead, error) {
	kind := image.StreamKind
	if strings.HasPrefix(imageID, compute.DiskSourcePrefix) {
		kind = compute.DiskStreamKind
	}
	stream, err := relay.Open(ctx, kind, image.StreamParams{ID: imageID})
	if err != nil {
		return nil, image.StreamHead{}, err
	}
	head, err := image.ReadHead(stream)
	if err != nil {
		stream.Close()
		return nil, head, fault.Unavailablef("the image could not be fetched").Because(err)
	}
	return stream, head, nil
}

// imageFetcher copies images into files for volumes, checked against their hash.
type imageFetcher struct{ relay *hostlink.Relay }

func (f imageFetcher) Fetch(ctx context.Context, imageID string, out *os.File) (format string, err error) {
	stream, head, err := openImage(ctx, f.relay, imageID)
	if err != nil {
		return "", err
	}
	defer stream.Close()
	sum := sha512.New()
	n, err := io.Copy(io.MultiWriter(out, sum), io.LimitReader(stream, head.Size))
	if err != nil {
		return "", fault.Unavailablef("the image could not be fetched whole").Because(err)
	}
	if n != head.Size || !strings.EqualFold(hex.EncodeToString(sum.Sum(nil)), head.SHA512) {
		return "", fault.Unavailablef("the image arrived damaged").Because(fmt.Errorf("%d of %d bytes", n, head.Size))
	}
	return string(head.Format), nil
}

// converter makes raw disks of images, in the sandbox.
type converter struct{ runner *worker.Runner }

func (c converter) Convert(ctx context.Context, in *os.File, format string, out *os.File, limit int64) error {
	return c.runner.Convert(ctx, in, image.Format(format), out, image.Raw, limit)
}

// volumeFiles tells guests where volumes are.
type volumeFiles struct{ disks *files.Driver }

func (v volumeFiles) Volume(ctx context.Context, volumeID string) (guest.VolumeFile, error) {
	f, err := v.disks.Locate(ctx, volumeID)
	if fault.Is(err, fault.NotFound) {
		return guest.VolumeFile{}, fault.Unavailablef("the volume is not on this host yet")
	}
	return guest.VolumeFile{Path: f.Path, Format: string(f.Format), ReadOnly: f.ReadOnly}, err
}

// openDisks copies volumes that a running guest writes to.
type openDisks struct{ host *host }

func (o openDisks) CopyOpen(ctx context.Context, guestID, volumeID, name string, out *os.File) error {
	driver := o.host.qemu // opened after the volumes; a copy is asked for only once both are there
	if _, err := driver.Snapshot(ctx, guestID, volumeID, name); err != nil {
		return err
	}
	from, err := driver.OpenSnapshot(ctx, guestID, name)
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := io.Copy(out, from); err != nil {
		return fault.Unavailablef("the volume could not be copied whole").Because(err)
	}
	return driver.DiscardSnapshot(ctx, guestID, name)
}

// relayTeller sends guests' messages to the server.
type relayTeller struct{ relay *hostlink.Relay }

func (t relayTeller) Tell(ctx context.Context, section hostlink.Section, object, verb string, params any) error {
	return t.relay.Tell(ctx, section, object, verb, params)
}

// addCapabilities writes into a host's facts what its driver found by trying.
func addCapabilities(f *hostlink.Facts, c guest.Capabilities) {
	f.Driver, f.DriverVer = c.Driver, c.VersionInt
	f.Traits = append(f.Traits, c.Traits...)
	if f.More == nil {
		f.More = map[string]string{}
	}
	if c.LiveMigration {
		f.More["live_migration"] = "yes"
	}
	f.More["accel"], f.More["accel_reason"] = c.Accel, c.AccelReason
}
