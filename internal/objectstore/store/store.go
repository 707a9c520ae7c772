package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/objectstore"
)

// InlineMax is the most bytes of a body that lie in the index: up to here one
// flush of the log is cheaper than a file of its own.
const InlineMax = 32 << 10

const (
	cacheSize    = 8 << 20
	memTableSize = 8 << 20
	stripes      = 64
)

// Config says where objects lie. Its zero values are those of production.
type Config struct {
	Dir     string
	Reserve int64 // bytes of the file system that objects leave free
	Clock   clock.Clock
	Log     *slog.Logger
	FS      vfs.FS // nil: the operating system's
}

// Store implements objectstore.Store. It opens its index when it is first
// used; only one process can have it open.
type Store struct {
	Config
	gate    gate
	opening sync.Mutex
	db      atomic.Pointer[pebble.DB] // nil until opened

	locks    [stripes]sync.Mutex // of accounts
	commit   sync.Mutex          // sequence and order of batches
	sequence uint64              // of the last event, under commit
	broken   error               // the log does not take any more, under commit
	stuck    bool                // it failed with its locks held, under commit
	last     atomic.Uint64       // latest stamp given out

	files   files
	buffers sync.Pool // *[]byte of chunkSize
}

var _ objectstore.Store = (*Store)(nil)

// New makes a store that is not open yet.
func New(c Config) *Store {
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Clock == nil {
		c.Clock = clock.Real{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{Config: c}
	s.buffers.New = func() any { b := make([]byte, chunkSize); return &b }
	s.files.fs, s.files.dir, s.files.held = c.FS, c.Dir, map[fileID]*hold{}
	return s
}

// Ready opens the index now, and says why it cannot be opened.
func (s *Store) Ready() error {
	_, err := s.index()
	return err
}

// index gives the opened index.
func (s *Store) index() (*pebble.DB, error) {
	if db := s.db.Load(); db != nil {
		return db, nil
	}
	s.opening.Lock()
	defer s.opening.Unlock()
	if db := s.db.Load(); db != nil {
		return db, nil
	}
	db, err := s.open()
	if err != nil {
		return nil, fault.Unavailablef("Object storage is not ready").Because(err)
	}
	s.db.Store(db)
	return db, nil
}

func (s *Store) open() (*pebble.DB, error) {
	if err := s.files.prepare(); err != nil {
		return nil, err
	}
	o := &pebble.Options{
		FS: s.FS, Logger: indexLog{s.Log}, CacheSize: cacheSize, MemTableSize: memTableSize, MemTableStopWritesThreshold: 4,
		FormatMajorVersion: pebble.FormatNewest, MaxOpenFiles: 256,
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	o.EnsureDefaults()
	db, err := pebble.Open(path.Join(s.Dir, "index"), o)
	if err != nil {
		return nil, fmt.Errorf("open object index: %w", err)
	}
	if err := s.start(db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Names of facts about the store.
const (
	factID       = "id"       // 16 random bytes, to tell this store from its successor
	factExported = "exported" // sequence up to which events were exported
	factStamp    = "stamp"    // see leap
)

// start reads what is kept about the store itself.
func (s *Store) start(db *pebble.DB) error {
	if _, err := getFact(db, factID); errors.Is(err, pebble.ErrNotFound) {
		if err := db.Set(metaKey(factID), id.Bytes(16), pebble.Sync); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	exported, err := getNumber(db, factExported)
	if err != nil {
		return err
	}
	s.sequence = exported
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{eventFamily}, UpperBound: []byte{eventFamily + 1}})
	if err != nil {
		return err
	}
	if it.Last() {
		s.sequence = max(exported, binary.BigEndian.Uint64(it.Key()[1:]))
	}
	return it.Close()
}

func getFact(db pebble.Reader, name string) ([]byte, error) { return get(db, metaKey(name)) }

func getNumber(db pebble.Reader, name string) (uint64, error) {
	b, err := getFact(db, name)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err == nil && len(b) != 8 {
		err = errTorn
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

// get copies a value out of the index.
func get(db pebble.Reader, key []byte) ([]byte, error) {
	value, closer, err := db.Get(key)
	if err != nil {
		return nil, err
	}
	out := append([]byte{}, value...)
	return out, closer.Close()
}

// Close refuses further calls, waits for those that run, and ends the store.
// Contents that are open can be read on.
func (s *Store) Close() error {
	s.gate.close()
	db := s.db.Swap(nil)
	switch {
	case db == nil || s.stuck:
		return nil // only the end of the process frees it
	case s.failure() != nil:
		_ = db.Close() // it fails as it did before, and the next start recovers
		return nil
	}
	return db.Close()
}

// gate counts callers, and closes when there are none.
type gate struct {
	mu     sync.Mutex
	inside int
	closed chan struct{} // set when closing; closed when nobody is inside
}

func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		return fault.Unavailablef("Object storage has ended")
	}
	g.inside++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 && g.closed != nil {
		close(g.closed)
	}
}

func (g *gate) close() {
	g.mu.Lock()
	if g.closed == nil {
		g.closed = make(chan struct{})
		if g.inside == 0 {
			close(g.closed)
		}
	}
	done := g.closed
	g.mu.Unlock()
	<-done
}

// now gives a stamp that was not given out before by this process.
func (s *Store) now() stamp {
	for {
		last := s.last.Load()
		next := max(last+1, uint64(clock.Micros(s.Clock.Now())))
		if s.last.CompareAndSwap(last, next) {
			return stamp(next)
		}
	}
}

// enter gives the index, unless ctx has ended.
func (s *Store) enter(ctx context.Context) (*pebble.DB, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Unavailablef("The request has ended").Because(context.Cause(ctx))
	}
	return s.index()
}

// indexLog hands on what Pebble reports.
type indexLog struct{ log *slog.Logger }

func (indexLog) Infof(string, ...any) {}

func (l indexLog) Errorf(format string, args ...any) {
	l.log.Error("object index", "error", fmt.Sprintf(format, args...))
}

// Fatalf must not return: see mustStop.
func (l indexLog) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.log.Error("object index failed", "error", text)
	mustStop(text)
}

// indexFailure is what a failing index panics with: apply takes it, and writes
// are refused from then on. In a goroutine of Pebble it ends the process, and the
// next one recovers from the log.
type indexFailure string

func mustStop(text string) { panic(indexFailure(text)) }

// broke translates errors of the file system.
func broke(err error) error {
	if full(err) {
		return fault.Unavailablef("There is not enough space to store this").With(objectstore.CodeFull).Because(err)
	}
	return err
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// absent is no error where a key may be missing.
func absent(err error) error {
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	return err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
