package qemu

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/qcow2"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// keepUnused is how long an image that no guest is written over stays, in case
// the next one is.
const keepUnused = 24 * time.Hour

// cache holds the images that guests of this host are copies over, one file
// per image and format, read only. A file under its final name is whole.
type cache struct {
	dir    string
	source guest.ImageSource
	clock  clock.Clock

	mu    sync.Mutex
	turns map[string]chan struct{} // by file name: one fetch at a time
}

func imageFile(imageID, format string) string { return imageID + "." + format }

// open answers a cached image, fetching it first if need be. The caller closes it.
func (c *cache) open(ctx context.Context, imageID, format string) (*os.File, error) {
	f, _, err := c.ensure(ctx, imageID, format, 0)
	return f, err
}

// ensure is open that tells whether it fetched, and leaves so many bytes of the
// host's disk free when it does; 0: whatever is left.
func (c *cache) ensure(ctx context.Context, imageID, format string, spare int64) (f *os.File, fetched bool, err error) {
	name := imageFile(imageID, format)
	path := filepath.Join(c.dir, name)
	f, err = os.Open(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, false, err
	}
	turn := c.turn(name)
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, false, fault.Unavailablef("the image is not on the host yet").Because(context.Cause(ctx))
	}
	defer func() { <-turn }()
	f, err = os.Open(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, false, err // somebody else fetched it meanwhile
	}
	if err := c.fetch(ctx, imageID, format, path, spare); err != nil {
		return nil, false, err
	}
	f, err = os.Open(path)
	return f, true, err
}

// spareAhead stays free of images that nobody has asked a guest of yet.
const spareAhead = 2 << 30

// Cache fetches an image ahead of use. One that is there counts as used now.
func (d *Driver) Cache(ctx context.Context, imageID, format string) (bool, error) {
	if !id.Valid(imageID) || format != "raw" && format != "qcow2" {
		return false, fault.Invalidf("there is no image %q in format %q", imageID, format)
	}
	f, fetched, err := d.images.ensure(ctx, imageID, format, spareAhead)
	if err != nil {
		return false, err
	}
	defer f.Close() // only read
	now := d.cfg.Clock.Now()
	if err := os.Chtimes(f.Name(), now, now); err != nil {
		return fetched, fault.Unavailablef("the image left the host again").Because(err) // pruned this moment
	}
	return fetched, nil
}

// room refuses bytes that would leave less than spare of the cache's disk.
func (c *cache) room(bytes, spare int64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(c.dir, &s); err != nil {
		return fmt.Errorf("measure the room for images: %w", err)
	}
	if free := int64(s.Bavail) * s.Bsize; spare > 0 && free-bytes < spare {
		return fault.New(fault.TooLarge, "the image has %d bytes, and the host %d bytes free", bytes, free)
	}
	return nil
}

func (c *cache) turn(name string) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turns[name] == nil {
		c.turns[name] = make(chan struct{}, 1)
	}
	return c.turns[name]
}

// fetch copies an image here: temporary name, checked, flushed, renamed.
func (c *cache) fetch(ctx context.Context, imageID, format, path string, spare int64) (err error) {
	in, info, err := c.source.Open(ctx, imageID)
	if err != nil {
		return fmt.Errorf("open image %s: %w", imageID, err)
	}
	defer in.Close() // only read
	stop := context.AfterFunc(ctx, func() { _ = in.Close() })
	defer stop()
	if info.Format != format {
		return fault.Invalidf("image %s is in %s format, not in %s", imageID, info.Format, format)
	}
	if err := c.room(info.SizeBytes, spare); err != nil {
		return err
	}
	out, err := os.OpenFile(path+".part", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("cache image %s: %w", imageID, err)
	}
	defer func() {
		if closed := out.Close(); err == nil && closed != nil {
			err = fmt.Errorf("cache image %s: %w", imageID, closed)
		}
		if err == nil {
			err = errors.Join(os.Rename(path+".part", path), syncDir(c.dir))
		}
		if err != nil {
			_ = os.Remove(path + ".part") // gone already, or overwritten by the next attempt
		}
	}()
	if err := receive(out, in, info); err != nil {
		return fmt.Errorf("fetch image %s: %w", imageID, errors.Join(err, context.Cause(ctx)))
	}
	if _, err := qcow2.Size(out, format); err != nil {
		return err
	}
	return out.Sync()
}

// receive copies bytes and holds them against what was promised.
func receive(out io.Writer, in io.Reader, info guest.ImageInfo) error {
	sum := sha512.New()
	if info.SHA512 != "" {
		out = io.MultiWriter(out, sum)
	}
	n, err := io.Copy(out, in)
	if err != nil {
		return fault.Unavailablef("the image could not be fetched").Because(err)
	}
	if info.SizeBytes != 0 && n != info.SizeBytes {
		return fault.Unavailablef("the image arrived incomplete")
	}
	if info.SHA512 != "" && !strings.EqualFold(hex.EncodeToString(sum.Sum(nil)), info.SHA512) {
		return fault.Unavailablef("the image arrived damaged")
	}
	return nil
}

// prune removes images that are in no guest's use (by file name) and have not
// been for a day, and what interrupted fetches left.
func (c *cache) prune(used map[string]bool) error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("list cached images: %w", err)
	}
	now := c.clock.Now()
	for _, e := range entries {
		path := filepath.Join(c.dir, e.Name())
		info, err := e.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return fmt.Errorf("look at a cached image: %w", err)
		case used[e.Name()]:
			// Its age counts from the last time it was in use.
			if err := os.Chtimes(path, now, now); err != nil {
				return fmt.Errorf("mark a cached image: %w", err)
			}
		case now.Sub(info.ModTime()) > keepUnused:
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove a cached image: %w", err)
			}
		}
	}
	return nil
}
