package db

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Engine is the database behind a DB.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Querier reads: a DB outside a transaction, a Tx inside one.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// DB is an open database. Safe for concurrent use.
type DB struct {
	engine Engine
	read   *sql.DB
	write  *sql.DB
	leader *leader // SQLite only
	path   string  // SQLite only
	// ballast is set before the first Write; nil: there is none.
	ballast *ballast
	pool    *pgxpool.Pool // PostgreSQL only
	origin  string        // of what this process tells others, so that it need not hear it
	closed  func()
	faults  Faults // nil outside tests
	count   *counters
	changes *changes // nil where others write, too
}

// Open opens the database at a URL, "postgres://…" or "sqlite:///path/file.db",
// and migrates it to this program's schema.
func Open(ctx context.Context, address string) (*DB, error) {
	d, err := connect(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := d.migrate(ctx); err != nil {
		d.Close()
		return nil, fmt.Errorf("migrate database: %w", err)
	}
	return d, nil
}

func connect(ctx context.Context, address string) (*DB, error) {
	if path, ok := strings.CutPrefix(address, "sqlite://"); ok {
		return openSQLite(ctx, path)
	}
	if !strings.HasPrefix(address, "postgres://") && !strings.HasPrefix(address, "postgresql://") {
		return nil, fmt.Errorf("the database address must begin with sqlite:// or postgres://")
	}
	return openPostgres(ctx, address)
}

// readerRests is how long a reader that nobody uses stays: each holds three
// megabytes of pages and parsed statements.
const readerRests = 20 * time.Second

func openSQLite(ctx context.Context, path string) (*DB, error) {
	dsn := func(extra ...string) string {
		v := url.Values{"_pragma": {"journal_mode(WAL)", "busy_timeout(10000)", "foreign_keys(1)", "synchronous(FULL)",
			"wal_autocheckpoint(20000)", "journal_size_limit(67108864)", "temp_store(MEMORY)"}}
		v["_pragma"] = append(v["_pragma"], extra...)
		v.Set("_txlock", "immediate")
		return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + v.Encode()
	}
	registerRegexp()
	gathered, err := gatherWrites()
	if err != nil {
		return nil, err
	}
	write, err := openCached(dsn("cache_size(-8000)")+"&vfs="+gathered, keptByWriter)
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	conn, err := write.Conn(ctx)
	if err != nil {
		write.Close()
		return nil, err
	}
	// Readers are many, and the system caches the file for all of them.
	read, err := openCached(dsn("query_only(1)", "cache_size(-1000)"), keptByReader)
	if err != nil {
		write.Close()
		return nil, err
	}
	read.SetMaxOpenConns(2 + 2*runtime.NumCPU())
	read.SetMaxIdleConns(2 + 2*runtime.NumCPU())
	read.SetConnMaxIdleTime(readerRests)
	count := &counters{}
	d := &DB{engine: SQLite, read: read, write: write, leader: &leader{conn: conn, count: count, changes: newChanges()}, path: path, count: count}
	d.changes = d.leader.changes
	d.leader.folder = &folder{db: d}
	d.closed = func() { conn.Close() }
	return d, nil
}

// Close releases the handles, after what has begun to be written is written.
// What comes later fails.
func (d *DB) Close() error {
	if d.engine == SQLite {
		d.leader.end()
	}
	err := d.read.Close()
	if d.closed != nil && d.engine == SQLite {
		d.closed()
	}
	if d.write != d.read {
		err = d.write.Close()
	}
	if d.closed != nil && d.engine == Postgres {
		d.closed()
	}
	return err
}

// Engine tells which database this is.
func (d *DB) Engine() Engine { return d.engine }

// QueryContext reads outside a transaction; it sees what was committed before.
func (d *DB) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	d.count.queries.Add(1)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return d.read.QueryContext(d.calm(ctx), query, args...)
}

// QueryRowContext reads one row outside a transaction.
func (d *DB) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	d.count.queries.Add(1)
	return d.read.QueryRowContext(d.calm(ctx), query, args...)
}

func (d *DB) migrate(ctx context.Context) error {
	if d.engine == SQLite { // the leader holds the only connection of d.write; migrations run before any Write
		d.leader.conn.Close()
	}
	p, err := d.provider()
	if err == nil {
		_, err = p.Up(ctx)
	}
	if err != nil || d.engine != SQLite {
		return err
	}
	conn, err := d.write.Conn(ctx)
	if err != nil {
		return err
	}
	d.leader.conn = conn
	d.closed = func() { conn.Close() }
	return nil
}

// provider runs migrations. Their numbers grow, but branches land in any order.
func (d *DB) provider() (*goose.Provider, error) {
	dialect := goose.DialectSQLite3
	if d.engine == Postgres {
		dialect = goose.DialectPostgres
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true)}
	if d.engine == Postgres { // servers that start side by side migrate one after the other
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(dialect, d.write, migrations(), options...)
}
