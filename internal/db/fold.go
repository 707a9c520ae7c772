package db

import (
	"context"
	"fmt"
	"sync"
)

const (
	// foldEvery is after how many writes the log is folded, some two thousand pages.
	foldEvery = 128
	// longLog is how many pages the log may have before writers wait until the
	// rest is folded, too: then the next one begins it anew.
	longLog = 2000
)

// folder copies what lies in the log of writes into the database file. It does so
// beside the writers; who writes at the moment when SQLite would do it by itself
// waits ten to twenty milliseconds.
//
// A folding that fails is tried again with the next: nothing is lost, the log
// grows. SQLite folds by itself when it is much too long.
type folder struct {
	db *DB

	mu      sync.Mutex
	left    bool // to others, or the database is closed
	writes  int  // since the last folding began
	running sync.WaitGroup
	busy    bool
}

// count counts writes and begins a folding when there were many.
func (f *folder) count(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes += n
	if f.left || f.busy || f.writes < foldEvery {
		return
	}
	f.writes, f.busy = 0, true
	f.running.Go(f.fold)
}

func (f *folder) fold() {
	pages, err := f.passive()
	if err == nil && pages >= longLog {
		_ = f.db.Alone(func() error { _, err := f.passive(); return err }) // see folder
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy = false
}

// passive folds what no reader needs in the log, and waits for nobody. It tells how
// many pages the log has.
func (f *folder) passive() (pages int, err error) {
	var blocked, folded int
	err = f.db.read.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)").Scan(&blocked, &pages, &folded)
	return pages, err
}

// leave ends folding for good, and waits for the one that is under way.
func (f *folder) leave() {
	f.mu.Lock()
	f.left = true
	f.mu.Unlock()
	f.running.Wait()
}

// LeaveCheckpoints leaves it to another connection to fold the log of writes into
// the database file: one that has to have read the log before.
func (d *DB) LeaveCheckpoints(ctx context.Context) error {
	if d.engine != SQLite {
		return nil
	}
	d.leader.folder.leave()
	return d.Alone(func() error {
		if _, err := d.leader.conn.ExecContext(ctx, "PRAGMA wal_autocheckpoint=0"); err != nil {
			return fmt.Errorf("leave checkpoints: %w", err)
		}
		return nil
	})
}
