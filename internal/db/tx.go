package db

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mekcloud/mek/internal/fault"
)

type executor interface {
	Querier
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Tx is a running write transaction. It belongs to the function that Write
// called and must not be used after that returned, nor by another goroutine.
type Tx struct {
	exec   executor
	engine Engine
	after  []func()
	notes  []string // for other servers
	count  *counters

	changes *changes // nil where others write, too
	touched []*atomic.Uint64
}

// ExecContext runs a statement.
func (t *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	t.count.queries.Add(1)
	t.note(query)
	return t.exec.ExecContext(context.WithoutCancel(ctx), query, args...)
}

// QueryContext reads, seeing this transaction's own changes.
func (t *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	t.count.queries.Add(1)
	t.note(query)
	return t.exec.QueryContext(context.WithoutCancel(ctx), query, args...)
}

// QueryRowContext reads one row, seeing this transaction's own changes.
func (t *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	t.count.queries.Add(1)
	t.note(query)
	return t.exec.QueryRowContext(context.WithoutCancel(ctx), query, args...)
}

// Engine tells which database this is, for the few statements that differ (row locks).
func (t *Tx) Engine() Engine { return t.engine }

// AfterCommit has fn called once the transaction is durable, in the goroutine
// of the caller of Write: to wake a worker, never to do work.
func (t *Tx) AfterCommit(fn func()) { t.after = append(t.after, fn) }

type rehearsal struct{}

// Rehearse marks a context: what is written under it is rolled back instead of
// committed, and Write answers ErrRehearsed. Tests send requests that way which
// would otherwise use up the objects they are about.
func Rehearse(ctx context.Context) context.Context {
	return context.WithValue(ctx, rehearsal{}, true)
}

// ErrRehearsed is the answer of a write that would have been committed.
var ErrRehearsed = fault.Unavailablef("This was a rehearsal.")

// Write runs fn in a transaction and returns once it is durable. When fn
// fails nothing of it remains, and its error is returned as it is. fn may run
// more than once, and must not call Write.
func (d *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fault.Unavailablef("The request was given up.").Because(err)
	}
	if ctx.Value(rehearsal{}) != nil {
		play := fn
		fn = func(tx *Tx) error {
			if err := play(tx); err != nil {
				return err
			}
			return ErrRehearsed
		}
	}
	write := d.writeWithin
	if d.faults != nil {
		write = d.writeFaulty
	}
	err := write(ctx, fn)
	if fault.Is(err, fault.Unavailable) && !errors.Is(err, ErrRehearsed) {
		d.count.refused.Add(1)
	}
	return err
}

func (d *DB) writeSound(ctx context.Context, fn func(tx *Tx) error) error {
	if d.engine == SQLite {
		return d.leader.write(ctx, fn)
	}
	for try := 1; ; try++ {
		err := d.writeOnce(ctx, fn)
		if try == 10 || !retryable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(try) * 2 * time.Millisecond): // real time: it waits for another process
		}
	}
}

// Snapshot runs fn over one moment of the database: everything that fn reads
// was committed before, and nothing that is committed meanwhile shows.
func (d *DB) Snapshot(ctx context.Context, fn func(q Querier) error) error {
	opts := &sql.TxOptions{ReadOnly: true}
	if d.engine == Postgres {
		opts.Isolation = sql.LevelRepeatableRead
	}
	raw, err := d.read.BeginTx(ctx, opts)
	if err != nil {
		return fault.Unavailablef("The database does not answer.").Because(err)
	}
	defer raw.Rollback() //nolint:errcheck // it has only read
	return fn(snapshot{raw, d.engine, d.count})
}

type snapshot struct {
	*sql.Tx
	engine Engine
	count  *counters
}

// QueryContext reads of the snapshot's moment.
func (s snapshot) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s.count.queries.Add(1)
	return s.Tx.QueryContext(ctx, query, args...)
}

// QueryRowContext reads one row of the snapshot's moment.
func (s snapshot) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	s.count.queries.Add(1)
	return s.Tx.QueryRowContext(ctx, query, args...)
}

func (d *DB) writeOnce(ctx context.Context, fn func(tx *Tx) error) (err error) {
	raw, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return fault.Unavailablef("The database does not answer.").Because(err)
	}
	defer raw.Rollback() //nolint:errcheck // after a commit this does nothing, and otherwise the first error counts
	tx := &Tx{exec: raw, engine: d.engine, count: d.count}
	if err := call(fn, tx); err != nil {
		return err
	}
	if err := tx.tell(ctx, d.origin); err != nil {
		return err
	}
	if err := raw.Commit(); err != nil {
		return translate(err, "commit")
	}
	d.count.writes.Add(1)
	d.count.commits.Add(1)
	for _, f := range tx.after {
		f()
	}
	return nil
}

func retryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// call turns a panic of fn into an error, so that one request's defect does
// not take the others of its batch with it.
func call(fn func(tx *Tx) error, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Internalf("panic in a transaction: %v", p)
		}
	}()
	return fn(tx)
}
