package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/fault"
)

// The ends of file names.
const (
	volumeEnd   = ".raw"
	snapshotEnd = ".snap"
	newEnd      = ".new"
)

// Images gives the bytes of images to a host.
type Images interface {
	// Fetch writes an image's bytes to out, checked against their hash, and
	// says what format they have.
	Fetch(ctx context.Context, id string, out *os.File) (format string, err error)
}

// Converter turns an image into raw bytes in a sandbox.
type Converter interface {
	// Convert writes at most limit bytes to out, which is empty. TooLarge when the disk inside is larger.
	Convert(ctx context.Context, in *os.File, format string, out *os.File, limit int64) error
}

// Peers gives bytes that the server sends: of a volume that another host
// keeps until now, or of a backup.
type Peers interface {
	// Fetch writes all bytes of a stream of the kind to out.
	Fetch(ctx context.Context, kind, id string, out *os.File) error
}

// Guests gives a consistent copy of a volume that a running guest writes to.
type Guests interface {
	// CopyOpen writes the present content of a guest's disk to out, as qcow2
	// without a base. It may be called again with the same name after a crash;
	// name is forgotten when it has returned without an error. NotFound or
	// Conflict when the guest does not have the volume open: then nobody
	// writes to it.
	CopyOpen(ctx context.Context, guest, volume, name string, out *os.File) error
}

// Config is what the driver works with. All but Dir may be
// nil; what needs them is then refused.
type Config struct {
	Dir       string // made when missing, 0700
	Images    Images
	Converter Converter
	Guests    Guests
	Peers     Peers
}

// Driver keeps volumes as files.
type Driver struct {
	cfg Config

	mu    sync.Mutex
	locks map[string]*lock
}

type lock struct {
	sync.RWMutex
	users int
}

var _ disk.Driver = (*Driver)(nil)

// New opens a directory of volumes and removes what a crash left half made.
func New(cfg Config) (*Driver, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("directory of volumes: %w", err)
	}
	d := &Driver{cfg: cfg, locks: map[string]*lock{}}
	entries, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	latest := map[string]int64{}
	for _, e := range entries {
		if id, epoch, _, ok := parse(e.Name()); ok {
			latest[id] = max(latest[id], epoch)
		}
	}
	for _, e := range entries {
		id, epoch, _, ok := parse(e.Name())
		if strings.HasSuffix(e.Name(), newEnd) || ok && epoch < latest[id] {
			if err := os.Remove(filepath.Join(cfg.Dir, e.Name())); err != nil {
				return nil, fmt.Errorf("remove unfinished volume: %w", err)
			}
		}
	}
	return d, nil
}

// take locks an id against others; share does so for reading.
func (d *Driver) take(id string) (release func()) {
	l := d.lockOf(id)
	l.Lock()
	return func() { l.Unlock(); d.leave(id, l) }
}

func (d *Driver) share(id string) (release func()) {
	l := d.lockOf(id)
	l.RLock()
	return func() { l.RUnlock(); d.leave(id, l) }
}

func (d *Driver) lockOf(id string) *lock {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, ok := d.locks[id]
	if !ok {
		l = &lock{}
		d.locks[id] = l
	}
	l.users++
	return l
}

func (d *Driver) leave(id string, l *lock) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(d.locks, id)
	}
}

// List tells of every volume and snapshot in the directory.
func (d *Driver) List(context.Context) ([]disk.Facts, error) {
	entries, err := os.ReadDir(d.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	var list []disk.Facts
	seen := map[string]bool{}
	for _, e := range entries {
		id, _, _, ok := parse(e.Name())
		if !ok || seen[id] {
			continue
		}
		seen[id] = true
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("size of a volume: %w", err)
		}
		list = append(list, disk.Facts{ID: id, SizeBytes: info.Size(), Format: disk.Raw})
	}
	return list, nil
}

// parse reads a file name: ID.raw, ID.EPOCH.raw or ID.snap.
func parse(name string) (id string, epoch int64, kind disk.Kind, ok bool) {
	if id, ok := strings.CutSuffix(name, snapshotEnd); ok {
		return id, 0, disk.Snapshot, plain(id)
	}
	id, ok = strings.CutSuffix(name, volumeEnd)
	if !ok {
		return "", 0, "", false
	}
	id, number, later := strings.Cut(id, ".")
	if later {
		var err error
		if epoch, err = strconv.ParseInt(number, 10, 64); err != nil || epoch <= 0 {
			return "", 0, "", false
		}
	}
	return id, epoch, disk.Volume, plain(id)
}

func (d *Driver) path(id string, epoch int64, kind disk.Kind) string {
	switch {
	case kind == disk.Snapshot:
		return filepath.Join(d.cfg.Dir, id+snapshotEnd)
	case epoch > 0:
		return filepath.Join(d.cfg.Dir, id+"."+strconv.FormatInt(epoch, 10)+volumeEnd)
	}
	return filepath.Join(d.cfg.Dir, id+volumeEnd)
}

// place is where a volume or snapshot is.
type place struct {
	path  string
	size  int64
	kind  disk.Kind
	epoch int64
}

// find looks for a volume or snapshot of the latest epoch. NotFound when there is neither.
func (d *Driver) find(id string) (place, error) {
	if !plain(id) {
		return place{}, fault.Invalidf("%q is no id of a volume", id)
	}
	names, err := filepath.Glob(filepath.Join(d.cfg.Dir, id+".*"))
	if err != nil {
		return place{}, fmt.Errorf("look for volume %s: %w", id, err)
	}
	found, there := place{epoch: -1}, false
	for _, name := range names {
		_, epoch, kind, ok := parse(filepath.Base(name))
		if !ok || epoch <= found.epoch {
			continue
		}
		info, err := os.Stat(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return place{}, fmt.Errorf("look for volume %s: %w", id, err)
		}
		found, there = place{name, info.Size(), kind, epoch}, true
	}
	if !there {
		return place{}, fault.NotFoundf("volume %s is not on this host", id)
	}
	return found, nil
}

// plain tells whether an id can be part of a file name.
func plain(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, c := range id {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// Ensure makes or grows a volume.
func (d *Driver) Ensure(ctx context.Context, spec disk.Spec) (disk.Facts, error) {
	if err := spec.Check(); err != nil {
		return disk.Facts{}, err
	}
	if !plain(spec.ID) || spec.Source.Kind != disk.None && !plain(spec.Source.ID) {
		return disk.Facts{}, fault.Invalidf("%q is no id of a volume", spec.ID)
	}
	defer d.take(spec.ID)()
	at, err := d.find(spec.ID)
	old := err == nil && at.kind == disk.Volume && at.epoch < spec.Epoch
	switch {
	case (fault.Is(err, fault.NotFound) || old) && spec.Made:
		return disk.Facts{}, disk.Lost(spec.ID)
	case fault.Is(err, fault.NotFound) || old:
		if err := d.create(ctx, spec); err != nil {
			return disk.Facts{}, clearly(err)
		}
		at.size = spec.SizeBytes
	case err != nil:
		return disk.Facts{}, err
	case at.size < spec.SizeBytes:
		if err := grow(at.path, spec.SizeBytes); err != nil {
			return disk.Facts{}, clearly(err)
		}
		at.size = spec.SizeBytes
	}
	return disk.Facts{ID: spec.ID, SizeBytes: at.size, Format: disk.Raw}, nil
}

// clearly says so when the disk is full.
func clearly(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fault.Conflictf("There is not enough space on the host").Because(err)
	}
	return err
}

func grow(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open volume: %w", err)
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("grow volume: %w", err), f.Close())
	}
	return f.Close()
}

// Destroy removes a volume, also one half made.
func (d *Driver) Destroy(_ context.Context, id string) error {
	if !plain(id) {
		return fault.Invalidf("%q is no id of a volume", id)
	}
	defer d.take(id)()
	if err := d.clear(id, -1); err != nil {
		return err
	}
	return d.syncDir()
}

// clear removes the files of an id, but the volume of one epoch.
func (d *Driver) clear(id string, but int64) error {
	names, err := filepath.Glob(filepath.Join(d.cfg.Dir, id+".*"))
	if err != nil {
		return fmt.Errorf("look for volume %s: %w", id, err)
	}
	for _, name := range names {
		_, epoch, kind, ok := parse(filepath.Base(name))
		if !ok || kind == disk.Volume && epoch == but {
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove volume %s: %w", id, err)
		}
	}
	return nil
}

// Locate tells where a volume is.
func (d *Driver) Locate(_ context.Context, id string) (disk.File, error) {
	at, err := d.find(id)
	if fault.Is(err, fault.NotFound) {
		return disk.File{}, fault.Unavailablef("volume %s is not on this host yet", id)
	}
	if err != nil {
		return disk.File{}, err
	}
	return disk.File{Path: at.path, Format: disk.Raw, ReadOnly: at.kind == disk.Snapshot}, nil
}

// Open reads a volume. The volume is kept from removal until it is closed.
func (d *Driver) Open(_ context.Context, id string) (io.ReadCloser, disk.Facts, error) {
	release := d.share(id)
	at, err := d.find(id)
	if err != nil {
		release()
		return nil, disk.Facts{}, err
	}
	f, err := os.Open(at.path)
	if err != nil {
		release()
		return nil, disk.Facts{}, fmt.Errorf("open volume %s: %w", id, err)
	}
	return &reader{File: f, release: sync.OnceFunc(release)}, disk.Facts{ID: id, SizeBytes: at.size, Format: disk.Raw}, nil
}

type reader struct {
	*os.File
	release func()
}

func (r *reader) Close() error {
	defer r.release()
	return r.File.Close()
}

// Space measures the file system of the directory.
func (d *Driver) Space(context.Context) (disk.Space, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(d.cfg.Dir, &fs); err != nil {
		return disk.Space{}, fmt.Errorf("measure the disk: %w", err)
	}
	return disk.Space{Total: int64(fs.Blocks) * fs.Bsize, Free: int64(fs.Bavail) * fs.Bsize}, nil
}

func (d *Driver) syncDir() error {
	dir, err := os.Open(d.cfg.Dir)
	if err != nil {
		return fmt.Errorf("open directory of volumes: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}
