package db

import (
	"context"

	"github.com/pressly/goose/v3"
)

// Down takes all migrations back, for the test that goes down and up again.
func (d *DB) Down(ctx context.Context) error { return d.MigrateTo(ctx, 0) }

// Up migrates again after Down.
func (d *DB) Up(ctx context.Context) error { return d.migrate(ctx) }

// Versions lists the migrations.
func (d *DB) Versions() (out []int64, err error) {
	p, err := d.provider()
	if err != nil {
		return nil, err
	}
	for _, s := range p.ListSources() {
		out = append(out, s.Version)
	}
	return out, nil
}

// MigrateTo goes up or down to a schema.
func (d *DB) MigrateTo(ctx context.Context, to int64) error {
	return d.alone(ctx, func() error {
		p, err := d.provider()
		if err != nil {
			return err
		}
		if _, err = p.DownTo(ctx, to); err == nil && to > 0 {
			_, err = p.UpTo(ctx, to)
		}
		return err
	})
}

// UpAs migrates as a program that knows the migrations up to one.
func (d *DB) UpAs(ctx context.Context, latest int64) error {
	return d.alone(ctx, func() error {
		all, err := d.provider()
		if err != nil {
			return err
		}
		var later []int64
		for _, s := range all.ListSources() {
			if s.Version > latest {
				later = append(later, s.Version)
			}
		}
		dialect := goose.DialectSQLite3
		if d.engine == Postgres {
			dialect = goose.DialectPostgres
		}
		p, err := goose.NewProvider(dialect, d.write, migrations(), goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true), goose.WithExcludeVersions(later))
		if err == nil {
			_, err = p.Up(ctx)
		}
		return err
	})
}

// alone lends the only connection for writing.
func (d *DB) alone(ctx context.Context, do func() error) error {
	if d.engine == Postgres {
		return do()
	}
	d.closed()
	if err := do(); err != nil {
		return err
	}
	conn, err := d.write.Conn(ctx)
	if err == nil {
		d.leader.conn = conn
		d.closed = func() { conn.Close() }
	}
	return err
}

// KeptByReader is how many statements a connection keeps.
const KeptByReader = keptByReader

// Kept tells how many statements the reader keeps that was used last.
func (d *DB) Kept(ctx context.Context) (n int) {
	conn, err := d.read.Conn(ctx)
	if err != nil {
		return -1
	}
	defer conn.Close()
	_ = conn.Raw(func(c any) error { n = c.(*cachedConn).order.Len(); return nil })
	return n
}

// IdleReaders is how many readers wait for work.
func (d *DB) IdleReaders() int { return d.read.Stats().Idle }
