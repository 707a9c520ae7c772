package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// Kind says what a file is.
type Kind string

// The kinds, as they end a file's name.
const (
	Image   Kind = "image"
	Staged  Kind = "staged"
	Partial Kind = "part"
)

const (
	openMode   = 0o600
	sealedMode = 0o444
)

// Store is a folder of image files. Safe for concurrent use, by several
// processes too.
type Store struct {
	root    *os.Root
	reserve int64
}

// Open opens a store, making its folder if need be. reserve bytes of the file
// system stay free of images, for the database beside them.
func Open(dir string, reserve int64) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make image folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open image folder: %w", err)
	}
	return &Store{root: root, reserve: reserve}, nil
}

// Close releases the folder. Files that were opened stay open.
func (s *Store) Close() error { return s.root.Close() }

// Blob is a file open for reading. Its bytes never change.
type Blob struct {
	*os.File
	size int64
}

// Size is the length in bytes.
func (b *Blob) Size() int64 { return b.size }

// Open opens the file of an image. NotFound when there is none.
func (s *Store) Open(image string, kind Kind) (*Blob, error) {
	f, err := s.root.Open(image + "." + string(kind))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.NotFoundf("Image %s has no data", image)
	}
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", image, err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open image %s: %w", image, err)
	}
	return &Blob{File: f, size: st.Size()}, nil
}

// Delete removes a file for good, also from the folder on disk; one that does
// not exist is fine. Readers that opened it go on.
func (s *Store) Delete(image string, kind Kind) error {
	err := s.root.Remove(image + "." + string(kind))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete image %s: %w", image, err)
	}
	return s.syncFolder()
}

// Drop removes all that is kept of an image; there may be nothing.
func (s *Store) Drop(image string) error {
	return errors.Join(s.Delete(image, Image), s.Delete(image, Staged))
}

// Entry is a file of the store.
type Entry struct {
	Name     string // of the file, for Remove
	ID       string // of the image; empty: not a file of ours
	Kind     Kind
	Size     int64
	Modified time.Time
}

// List gives all files, sorted by name. Files that vanish meanwhile are left out.
func (s *Store) List() ([]Entry, error) {
	dir, err := s.root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	defer dir.Close()
	items, err := dir.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	out := make([]Entry, 0, len(items))
	for _, item := range items {
		info, err := item.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list images: %w", err)
		}
		e := Entry{Name: item.Name(), Size: info.Size(), Modified: info.ModTime()}
		e.ID, e.Kind = parseName(item.Name())
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// parseName is the inverse of the names this package gives; no id for others.
func parseName(name string) (string, Kind) {
	image, rest, _ := strings.Cut(name, ".")
	if !id.Valid(image) {
		return "", ""
	}
	token, last, cut := strings.Cut(rest, ".")
	switch {
	case !cut && (Kind(rest) == Image || Kind(rest) == Staged):
		return image, Kind(rest)
	case cut && token != "" && Kind(last) == Partial:
		return image, Partial
	}
	return "", ""
}

// Promote makes an image of its staged file, durably. NotFound when there is none.
func (s *Store) Promote(image string) error {
	err := s.root.Rename(image+"."+string(Staged), image+"."+string(Image))
	if errors.Is(err, fs.ErrNotExist) {
		return fault.NotFoundf("Image %s has no staged data", image)
	}
	if err != nil {
		return fmt.Errorf("promote image %s: %w", image, err)
	}
	return s.syncFolder()
}

// Remove deletes a listed file; one that is gone, or was replaced since, is fine.
func (s *Store) Remove(e Entry) error {
	switch now, err := s.root.Stat(e.Name); {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !now.ModTime().Equal(e.Modified):
		return nil
	case err != nil:
		return fmt.Errorf("remove %s: %w", e.Name, err)
	}
	if err := s.root.Remove(e.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", e.Name, err)
	}
	return s.syncFolder()
}

// Free is how many bytes may still be stored.
func (s *Store) Free() (int64, error) {
	dir, err := s.root.Open(".")
	if err != nil {
		return 0, fmt.Errorf("free space for images: %w", err)
	}
	defer dir.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return 0, fmt.Errorf("free space for images: %w", err)
	}
	return max(0, int64(st.Bavail)*st.Bsize-s.reserve), nil
}

func (s *Store) syncFolder() error {
	dir, err := s.root.Open(".")
	if err != nil {
		return fmt.Errorf("sync image folder: %w", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("sync image folder: %w", err)
	}
	return nil
}

// Write reads r to its end into a draft. At most limit bytes are taken.
// TooLarge when there are more, or when the disk is full; Invalid when r
// fails. After an error nothing is left behind.
func (s *Store) Write(ctx context.Context, image string, r io.Reader, limit int64) (*Draft, error) {
	name := image + "." + id.HexSecret(8) + "." + string(Partial)
	f, err := s.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, openMode)
	if err != nil {
		return nil, full(fmt.Errorf("store image %s: %w", image, err))
	}
	d := &Draft{store: s, file: f, name: name, image: image}
	if d.Sums, err = s.copy(ctx, f, r, limit); err != nil {
		return nil, errors.Join(err, d.Discard())
	}
	return d, nil
}

// full turns "no space" into a fault that users understand.
func full(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fault.New(fault.TooLarge, "Image storage media is full: There is not enough disk space on the image storage media.").Because(err)
	}
	return err
}
