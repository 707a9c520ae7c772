package shipping

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"

	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/benbjohnson/litestream/file"

	"github.com/mekcloud/mek/internal/clock"
)

const (
	// pause between two looks at the log. What is lost with the database is what
	// was committed since the last look but one at most.
	pause = 100 * time.Millisecond
	// keptHistories are those of epochs before: a wrong restore is not the end.
	keptHistories = 2
	// longLog is from which length on the log is folded into the database file.
	longLog = 4 << 20
)

// Config is what Start needs.
type Config struct {
	Database string // path of the SQLite file, which exists and has its schema
	Epoch    int64  // that the database is in
	Dir      string // second folder
	Manifest Manifest
	Waiting  int64 // bytes of log that may wait for the folder; 0: mostWaiting
	Clock    clock.Clock
	Log      *slog.Logger
}

// Shipper ships one database. Make it with Start; Behind is safe for concurrent use.
type Shipper struct {
	cfg   Config
	db    *litestream.DB
	store *litestream.Store

	into   history // what is shipped to
	folder *folder
	anew   anew
	looked time.Time // when it was last seen how much waits

	mu      sync.Mutex
	shipped time.Time // everything committed by then is in the second folder
	failure error     // of the last try; nil: it went well
}

// Start opens the database for shipping and ships what there is. A folder that
// cannot be written is no error: Run tries again, and Behind tells.
func Start(ctx context.Context, c Config) (*Shipper, error) {
	s := &Shipper{cfg: c, shipped: c.Clock.Now()}
	s.db = litestream.NewDB(c.Database)
	s.db.MonitorInterval = 0                // Run looks at the log
	s.db.MinCheckpointPageN = math.MaxInt32 // and folds it: looking waits for nobody
	s.db.CheckpointInterval = 0
	s.folder = &folder{root: c.Dir}
	s.db.Replica = litestream.NewReplicaWithClient(s.db, s.folder)
	s.db.Replica.MonitorEnabled = false
	s.store = litestream.NewStore([]*litestream.DB{s.db}, litestream.DefaultCompactionLevels)
	s.store.SetShutdownSyncTimeout(2 * time.Second)                  // of its databases, too
	quiet := slog.New(atLeast{c.Log.Handler(), slog.LevelError + 1}) // what fails is told by Run, once
	s.store.Logger = quiet
	s.db.SetLogger(quiet)
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	if err := s.store.Open(ctx); err != nil {
		return nil, fmt.Errorf("ship log: %w", err)
	}
	if err := s.db.Sync(ctx); err != nil { // opens the database
		return nil, errors.Join(fmt.Errorf("ship log: %w", err), s.store.Close(ctx))
	}
	s.note(c.Clock.Now(), s.ship(ctx))
	s.prune()
	return s, nil
}

// prepare makes sure that the folder can be written and is this cloud's, and
// finds the history that goes on, or begins one.
func (s *Shipper) prepare(ctx context.Context) (err error) {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("ship log: %w", err)
	}
	if err := s.cfg.Manifest.write(s.cfg.Dir); err != nil {
		return err
	}
	if s.into, err = latest(s.cfg.Dir, s.cfg.Epoch); err != nil {
		return err
	}
	if s.anew = s.wanted(); s.anew == due {
		s.into.part++
	}
	dir := s.into.dir(s.cfg.Dir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) { // it begins with a copy
		if err := s.db.ResetLocalState(ctx); err != nil {
			return fmt.Errorf("ship log: %w", err)
		}
	}
	if err := s.enter(); err != nil {
		return err
	}
	if s.anew == due {
		s.anew = begun
	}
	return nil
}

// Writers are those of the database that is shipped.
type Writers interface {
	// Alone runs fn while none of them writes.
	Alone(fn func() error) error
}

// Run ships until ctx ends.
func (s *Shipper) Run(ctx context.Context, w Writers) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.cfg.Clock.After(pause):
		}
		begun := s.cfg.Clock.Now()
		err := s.ship(ctx)
		if ctx.Err() != nil {
			return nil
		}
		s.note(begun, err)
		if err := s.fold(ctx, w); err != nil && ctx.Err() == nil {
			s.cfg.Log.Debug("the database's log is folded later", "error", err) // somebody reads an older state
		}
	}
}

// fold moves a long log into the database file. It takes the lock of writers,
// for which it would wait for seconds while they work.
func (s *Shipper) fold(ctx context.Context, w Writers) error {
	if s.db.SyncDiagnostic().LastSyncedWALOffset < longLog {
		return nil
	}
	return w.Alone(func() error { return s.db.Checkpoint(ctx, litestream.CheckpointModePassive) })
}

func (s *Shipper) ship(ctx context.Context) error {
	if err := s.db.Sync(ctx); err != nil {
		return err
	}
	err := s.reach()
	if err == nil {
		err = s.db.Replica.Sync(ctx)
	}
	if err != nil {
		return errors.Join(err, s.bound(ctx))
	}
	return s.complete()
}

// note remembers how a try ended, and logs the first of a row.
func (s *Shipper) note(begun time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil && s.failure == nil:
		s.cfg.Log.Error("the database's log cannot be shipped", "to", s.cfg.Dir, "error", err)
	case err == nil && s.failure != nil:
		s.cfg.Log.Info("the database's log is shipped again", "to", s.cfg.Dir)
	}
	if s.failure = err; err == nil {
		s.shipped = begun
	}
}

// Behind is how much would be lost with the database now, and why it is more
// than usual; nil: nothing is wrong.
func (s *Shipper) Behind() (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.Clock.Now().Sub(s.shipped), s.failure
}

// Close ships what is left.
func (s *Shipper) Close() error {
	if err := s.store.Close(context.Background()); err != nil {
		return fmt.Errorf("ship log: %w", err)
	}
	return nil
}

// prune removes histories of epochs long gone, once this one is safe.
func (s *Shipper) prune() {
	if _, err := s.Behind(); err != nil {
		return
	}
	list, err := histories(s.cfg.Dir)
	if err != nil {
		return // it was just written; the next start prunes
	}
	earlier := 0
	for _, h := range list {
		if h.compare(s.into) >= 0 {
			continue
		}
		if earlier++; earlier > keptHistories {
			if err := os.RemoveAll(h.dir(s.cfg.Dir)); err != nil {
				s.cfg.Log.Warn("an old log stays", "folder", h.dir(s.cfg.Dir), "error", err)
			}
		}
	}
}

// atLeast is a log that leaves out what is less than its level.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(a []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(a), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}

// Restored is where a restored database comes from.
type Restored struct {
	Manifest
	Epoch int64     // of the history
	Last  time.Time // when the last of it was shipped
}

// Restore builds the database at its last moment in a new file. A history that
// is not whole, since the server died while it began, is passed over.
func Restore(ctx context.Context, dir, to string) (Restored, error) {
	m, err := Read(dir)
	if err != nil {
		return Restored{}, err
	}
	list, err := histories(dir)
	if err != nil {
		return Restored{}, err
	}
	failed := fmt.Errorf("shipped log: %s holds nothing yet", dir)
	for _, h := range list {
		r := Restored{Manifest: m, Epoch: h.epoch}
		if r.Last, err = restore(ctx, h.dir(dir), to); err == nil {
			return r, nil
		}
		failed = fmt.Errorf("shipped log: %s: %w", filepath.Base(h.dir(dir)), err)
	}
	return Restored{}, failed
}

func restore(ctx context.Context, from, to string) (time.Time, error) {
	replica := litestream.NewReplicaWithClient(nil, file.NewReplicaClient(from))
	opt := litestream.NewRestoreOptions()
	opt.OutputPath = to
	_, last, err := replica.TimeBounds(ctx)
	if err == nil {
		err = replica.Restore(ctx, opt)
	}
	return last, err
}
