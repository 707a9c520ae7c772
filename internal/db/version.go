package db

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Latest is the schema of this program.
func Latest() int64 {
	var latest int64
	names, err := fs.Glob(migrations(), "*.sql")
	if err != nil {
		return 0 // cannot happen: the pattern is well formed
	}
	for _, name := range names {
		word, _, _ := strings.Cut(name, "_")
		n, err := strconv.ParseInt(word, 10, 64)
		if err == nil {
			latest = max(latest, n)
		}
	}
	return latest
}

// Version is the schema that the database has.
func (d *DB) Version(ctx context.Context) (version int64, err error) {
	err = d.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version").Scan(&version)
	return version, translate(err, "read schema version")
}

// OpenAsIs opens a database without migrating it, to look at it.
func OpenAsIs(ctx context.Context, address string) (*DB, error) {
	d, err := connect(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return d, nil
}
