package store

import (
	"errors"
	"fmt"
	"path"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/id"
)

const (
	folders    = 256
	perFolder  = 64 // files made in a folder before the next one: who writes at the same time shares its flush
	writeBytes = vfs.WriteCategoryUnspecified
	folderMode = 0o700
	dataName   = "data"
	tmpName    = "tmp"
	rottenName = "quarantine"
)

// files are the folders of bodies.
type files struct {
	fs  vfs.FS
	dir string

	mu   sync.Mutex
	held map[fileID]*hold
	made uint64

	folder [folders]folder
}

// hold keeps a file from being unlinked: it is being written, or read.
type hold struct {
	count  int
	doomed bool // unlinked at the last release
}

// folder shares the flushes of a directory.
type folder struct {
	mu   sync.Mutex
	turn sync.Mutex
	next *flush // has not begun
}

type flush struct {
	done chan struct{}
	err  error
}

func (f *files) folderPath(n byte) string { return path.Join(f.dir, dataName, fmt.Sprintf("%02x", n)) }
func (f *files) path(x fileID) string     { return path.Join(f.folderPath(x.folder()), x.String()) }
func (f *files) tmpPath(x fileID) string  { return path.Join(f.dir, tmpName, x.String()) }
func (f *files) rottenPath(x fileID) string {
	return path.Join(f.dir, rottenName, x.String())
}

// prepare makes the folders.
func (f *files) prepare() error {
	if err := f.fs.MkdirAll(path.Join(f.dir, "index"), folderMode); err != nil {
		return fmt.Errorf("make folder of objects: %w", err)
	}
	if _, err := f.fs.Stat(f.folderPath(folders - 1)); err == nil {
		return nil // made last
	}
	for _, name := range []string{tmpName, rottenName, dataName} {
		if err := f.fs.MkdirAll(path.Join(f.dir, name), folderMode); err != nil {
			return fmt.Errorf("make folder of objects: %w", err)
		}
	}
	for n := range folders {
		if err := f.fs.MkdirAll(f.folderPath(byte(n)), folderMode); err != nil {
			return fmt.Errorf("make folder of objects: %w", err)
		}
	}
	return errors.Join(f.syncPath(path.Join(f.dir, dataName)), f.syncPath(f.dir), f.syncPath(path.Dir(f.dir)))
}

func (f *files) syncPath(dir string) error {
	d, err := f.fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("flush folder: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// mint gives names for n new files of one folder, held until release.
func (f *files) mint(n int) []fileID {
	f.mu.Lock()
	defer f.mu.Unlock()
	where := byte(f.made / perFolder % folders)
	f.made += uint64(n)
	out := make([]fileID, n)
	for i := range out {
		out[i] = fileID(append([]byte{where}, id.Bytes(8)...))
		f.held[out[i]] = &hold{count: 1}
	}
	return out
}

// hold keeps files until release.
func (f *files) hold(ids []fileID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range ids {
		if h := f.held[x]; h != nil {
			h.count++
		} else {
			f.held[x] = &hold{count: 1}
		}
	}
}

func (f *files) isHeld(x fileID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held[x] != nil
}

// release lets files go, and unlinks those that were removed meanwhile.
func (f *files) release(ids []fileID) {
	var doomed []fileID
	f.mu.Lock()
	for _, x := range ids {
		h := f.held[x]
		if h.count--; h.count == 0 {
			delete(f.held, x)
			if h.doomed {
				doomed = append(doomed, x)
			}
		}
	}
	f.mu.Unlock()
	f.unlink(doomed)
}

// remove unlinks files that nobody owns any more, once nobody holds them.
func (f *files) remove(ids []fileID) {
	var free []fileID
	f.mu.Lock()
	for _, x := range ids {
		if h := f.held[x]; h != nil {
			h.doomed = true
		} else {
			free = append(free, x)
		}
	}
	f.mu.Unlock()
	f.unlink(free)
}

// unlink removes files; what fails is left to the sweep.
func (f *files) unlink(ids []fileID) {
	for _, x := range ids {
		if err := f.fs.Remove(f.path(x)); missing(err) {
			_ = f.fs.Remove(f.rottenPath(x)) // there only when the file rotted
		}
	}
}

// sync makes names in a folder durable. Callers that come while a flush runs
// share the next one.
func (f *files) sync(n byte) error {
	d := &f.folder[n]
	d.mu.Lock()
	r := d.next
	leads := r == nil
	if leads {
		r = &flush{done: make(chan struct{})}
		d.next = r
	}
	d.mu.Unlock()
	if !leads {
		<-r.done
		return r.err
	}
	d.turn.Lock()
	defer d.turn.Unlock()
	d.mu.Lock()
	d.next = nil // who comes from here on may have named a file that this flush misses
	d.mu.Unlock()
	r.err = f.syncPath(f.folderPath(n))
	close(r.done)
	return r.err
}

// link gives the bytes of files second names, and makes these durable. Where a
// file has as many names as the file system allows, its bytes are copied.
func (f *files) link(from, to []fileID) error {
	for i, x := range from {
		err := f.fs.Link(f.path(x), f.path(to[i]))
		if errors.Is(err, unix.EMLINK) {
			err = f.duplicate(x, to[i])
		}
		if err != nil {
			return fmt.Errorf("link bytes of an object: %w", err)
		}
	}
	if len(to) == 0 {
		return nil
	}
	return f.sync(to[0].folder())
}

func (f *files) duplicate(from, to fileID) error {
	if err := vfs.Copy(f.fs, f.path(from), f.path(to)); err != nil {
		return err
	}
	return nil
}

// room is how many bytes may be written without touching the reserve.
func (s *Store) room() (int64, error) {
	u, err := s.FS.GetDiskUsage(s.Dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return 1 << 62, nil
	}
	if err != nil {
		return 0, fmt.Errorf("ask for free space: %w", err)
	}
	return int64(min(u.AvailBytes, 1<<62)) - s.Reserve, nil
}

// needRoom refuses bytes that the disk has no room for.
func (s *Store) needRoom(n int64) error {
	room, err := s.room()
	if err == nil && room < n {
		err = broke(fmt.Errorf("%d bytes left: %w", room, unix.ENOSPC))
	}
	return err
}

func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
