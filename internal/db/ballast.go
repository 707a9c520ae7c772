package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
)

// ballast is a file beside an SQLite database that takes up room for one day: when
// the disk is full it is emptied, and what it gives back is for deletes, for the
// reports of hosts and for sagas on their way. New work is refused until there is
// room again, and then taken by itself.
type ballast struct {
	path string
	size int64
	low  atomic.Bool
	gave atomic.Int64 // how often it was emptied
	mu   sync.Mutex   // of the file
}

// BallastSize is right for a server: some thousand transactions.
const BallastSize = 32 << 20

// Ballast makes the file, or notes that there is no room for it. It does nothing
// for PostgreSQL, whose disk is not here. KeepBallast goes on from there.
func (d *DB) Ballast(ctx context.Context, size int64) error {
	if d.engine != SQLite {
		return nil
	}
	d.ballast = &ballast{path: filepath.Join(filepath.Dir(d.path), "ballast"), size: size}
	return d.KeepBallast(ctx)
}

// Full tells whether new work is refused for want of room.
func (d *DB) Full() bool { return d.ballast != nil && d.ballast.low.Load() }

// KeepBallast fills the file again when there is room for twice its size, and ends
// the refusal of new work. It is called from time to time.
func (d *DB) KeepBallast(context.Context) error {
	b := d.ballast
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	fi, err := os.Stat(b.path)
	if err == nil && fi.Size() == b.size {
		b.low.Store(false)
		return nil
	}
	var room unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(b.path), &room); err != nil {
		return fmt.Errorf("room of the database: %w", err)
	}
	if int64(room.Bavail)*room.Bsize < 2*b.size {
		b.low.Store(true)
		return nil
	}
	f, err := os.OpenFile(b.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("ballast of the database: %w", err)
	}
	if err := errors.Join(unix.Fallocate(int(f.Fd()), 0, 0, b.size), f.Close()); err != nil {
		return fmt.Errorf("ballast of the database: %w", err)
	}
	b.low.Store(false)
	return nil
}

// give empties the file; false: it was empty, and nobody has emptied it since
// it had been so often.
func (b *ballast) give(since int64) bool {
	b.low.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gave.Load() != since {
		return true
	}
	fi, err := os.Stat(b.path)
	if err != nil || fi.Size() == 0 || os.Truncate(b.path, 0) != nil {
		return false
	}
	b.gave.Add(1)
	return true
}

// writeWithin is writeSound on a disk that may be full.
func (d *DB) writeWithin(ctx context.Context, fn func(tx *Tx) error) error {
	b := d.ballast
	if b == nil {
		return d.writeSound(ctx, fn)
	}
	if b.low.Load() && event.ActorOf(ctx).NewWork {
		return fault.Unavailablef("The disk of the control plane is full. What there is can be read and deleted; try again later.")
	}
	since := b.gave.Load()
	err := d.writeSound(ctx, fn)
	if !outOfRoom(err) {
		return err
	}
	if gave := b.give(since); !gave || event.ActorOf(ctx).NewWork {
		return err
	}
	return d.writeSound(ctx, fn)
}

func outOfRoom(err error) bool {
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code() == sqliteFull
}
