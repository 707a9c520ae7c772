package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// CopyTo writes one instant of an SQLite database into a new file, flushed,
// while writers go on. It takes as much space as the data.
func (d *DB) CopyTo(ctx context.Context, file string) error {
	if d.engine != SQLite {
		return fmt.Errorf("copy database: %s has no file", d.engine)
	}
	return CopyFile(ctx, d.path, file)
}

// CopyFile is CopyTo of a file that this process need not have open.
func CopyFile(ctx context.Context, from, to string) (err error) {
	handle, err := openToRead(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, handle.Close()) }()
	if _, err := handle.ExecContext(ctx, "VACUUM INTO $1", to); err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	for _, name := range []string{to, filepath.Dir(to)} {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("copy database: %w", err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("flush copy of database: %w", err)
		}
	}
	return nil
}

// Verify reads every page and follows every reference: the first thing that is
// wrong is the error.
func (d *DB) Verify(ctx context.Context) error {
	if d.engine == SQLite {
		var said string
		if err := d.read.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&said); err != nil {
			return fmt.Errorf("integrity of the database: %w", err)
		}
		if said != "ok" {
			return fmt.Errorf("integrity of the database: %s", said)
		}
	}
	found, err := d.Dangling(ctx, d)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("integrity of the database: %s %s", found[0].Subject, found[0].Text)
	}
	return err
}

// Glance reads an SQLite file without a trace: the log of writes beside it stays
// as it is, which the last writer that leaves would fold in and remove.
func Glance(ctx context.Context, path string, fn func(q Querier) error) (err error) {
	handle, err := openToRead(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, handle.Close()) }()
	return fn(handle)
}

func openToRead(path string) (*sql.DB, error) {
	v := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)"}}
	handle, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+v.Encode())
	if err != nil {
		return nil, fmt.Errorf("read database: %w", err)
	}
	return handle, nil
}

// Alone runs fn while nobody writes by this handle, and writers wait for it: for
// another connection whose turn would hardly come among theirs, since SQLite
// lets those who wait ask again now and then instead of queueing them.
func (d *DB) Alone(fn func() error) error {
	if d.engine == SQLite {
		d.leader.lead.Lock()
		defer d.leader.lead.Unlock()
	}
	return fn()
}
