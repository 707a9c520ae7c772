package shipping

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/benbjohnson/litestream/file"
	"github.com/superfly/ltx"
)

const (
	// mostWaiting is how much log may wait for a folder that is away. Beyond it, and
	// beyond twice the size of the database, a new copy costs less than the log: what
	// waits is dropped, and the folder gets a copy when it is back.
	mostWaiting = 512 << 20
	// lookEvery is how often it is seen how much waits.
	lookEvery = 5 * time.Second
)

// anew is how far a new copy is that takes the place of a log that became too long.
type anew int

const (
	no    anew = iota
	due        // the log was dropped
	begun      // the copy has its folder, and is not complete
)

// errAway is a folder without what makes it this cloud's: somebody has taken it
// away, or it is no longer mounted, and what lies there is another disk.
var errAway = errors.New("the folder is not there, or it has been emptied: after the latter, restart mek server")

// marker is the file that says across a restart that the log was dropped.
func (s *Shipper) marker() string { return filepath.Join(s.db.MetaPath(), "anew") }

func (s *Shipper) wanted() anew {
	if _, err := os.Stat(s.marker()); err == nil {
		return due
	}
	return no
}

// reach makes sure that the folder is there, and the history in it.
func (s *Shipper) reach() error {
	if !Is(s.cfg.Dir) {
		return errAway
	}
	if s.anew != due {
		return nil
	}
	s.into.part++
	if err := s.enter(); err != nil {
		return err
	}
	s.anew = begun
	return nil
}

// enter has everything go into the present history from now on.
func (s *Shipper) enter() error {
	dir := s.into.dir(s.cfg.Dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("ship log: %w", err)
	}
	c := file.NewReplicaClient(dir)
	c.Replica = s.db.Replica // which knows the owner and mode of what it ships
	s.folder.now.Store(c)
	s.db.Replica.SetPos(ltx.Pos{})
	return nil
}

// complete notes that everything is in the folder.
func (s *Shipper) complete() error {
	if s.anew != begun {
		return nil
	}
	if err := os.Remove(s.marker()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ship log: %w", err)
	}
	s.anew = no
	s.cfg.Log.Info("the folder of the database's log has a new copy", "to", s.into.dir(s.cfg.Dir))
	return nil
}

// bound drops the log that waits once it is too much.
func (s *Shipper) bound(ctx context.Context) error {
	now := s.cfg.Clock.Now()
	if now.Sub(s.looked) < lookEvery {
		return nil
	}
	s.looked = now
	waiting, err := sizeOf(s.db.LTXLevelDir(0))
	if err != nil {
		return err
	}
	database, err := os.Stat(s.cfg.Database)
	if err != nil {
		return fmt.Errorf("ship log: %w", err)
	}
	most := s.cfg.Waiting
	if most == 0 {
		most = mostWaiting
	}
	if waiting <= max(most, 2*database.Size()) {
		return nil
	}
	f, err := os.OpenFile(s.marker(), os.O_WRONLY|os.O_CREATE, 0o600)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err == nil {
		err = s.db.ResetLocalState(ctx)
	}
	if err != nil {
		return fmt.Errorf("ship log: %w", err)
	}
	s.anew = due
	s.cfg.Log.Error("the log that waits for its folder became too long and was dropped; the folder gets a new copy of the database when it is back", "to", s.cfg.Dir, "bytes", waiting)
	return nil
}

func sizeOf(dir string) (sum int64, err error) {
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("ship log: %w", err)
	}
	for _, e := range list {
		if info, err := e.Info(); err == nil { // else it is gone
			sum += info.Size()
		}
	}
	return sum, nil
}

// folder is a litestream client whose history can be changed while it works.
// It writes nothing where the folder is away.
type folder struct {
	root string
	now  atomic.Pointer[file.ReplicaClient]
}

var _ litestream.ReplicaClient = (*folder)(nil)

func (f *folder) Type() string                   { return file.ReplicaClientType }
func (f *folder) Init(ctx context.Context) error { return f.now.Load().Init(ctx) }
func (f *folder) SetLogger(l *slog.Logger) {
	if c := f.now.Load(); c != nil {
		c.SetLogger(l)
	}
}

func (f *folder) LTXFiles(ctx context.Context, level int, seek ltx.TXID, useMetadata bool) (ltx.FileIterator, error) {
	return f.now.Load().LTXFiles(ctx, level, seek, useMetadata)
}

func (f *folder) OpenLTXFile(ctx context.Context, level int, minTXID, maxTXID ltx.TXID, offset, size int64) (io.ReadCloser, error) {
	return f.now.Load().OpenLTXFile(ctx, level, minTXID, maxTXID, offset, size)
}

// WriteLTXFile refuses what was put together from another history: its parts are
// not in this one.
func (f *folder) WriteLTXFile(ctx context.Context, level int, minTXID, maxTXID ltx.TXID, r io.Reader) (*ltx.FileInfo, error) {
	if !Is(f.root) {
		return nil, errAway
	}
	c := f.now.Load()
	if level > 0 && level < litestream.SnapshotLevel {
		parts, err := litestream.FindLTXFiles(ctx, c, level-1, false, func(i *ltx.FileInfo) (bool, error) { return i.MaxTXID == maxTXID, nil })
		if err != nil || len(parts) == 0 {
			return nil, errors.Join(errors.New("a new history has begun"), err)
		}
	}
	return c.WriteLTXFile(ctx, level, minTXID, maxTXID, r)
}

func (f *folder) DeleteLTXFiles(ctx context.Context, a []*ltx.FileInfo) error {
	return f.now.Load().DeleteLTXFiles(ctx, a)
}

func (f *folder) DeleteAll(ctx context.Context) error { return f.now.Load().DeleteAll(ctx) }
