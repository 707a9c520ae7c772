package db

import (
	"context"

	"github.com/pressly/goose/v3"
)

// Down takes all migrations back, for the test that goes down and up again.
func (d *DB) Down(ctx context.Context) error {
	dialect := goose.DialectSQLite3
	if d.engine == Postgres {
		dialect = goose.DialectPostgres
	}
	if d.engine == SQLite { // the leader holds the only connection
		d.closed()
	}
	p, err := goose.NewProvider(dialect, d.write, migrations(), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = p.DownTo(ctx, 0)
	return err
}

// Up migrates again after Down.
func (d *DB) Up(ctx context.Context) error { return d.migrate(ctx) }
