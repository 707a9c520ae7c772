package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/event"
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

// leader lets one of several waiting writers run all of their transactions as
// one: each in a savepoint, one durable commit for all.
type leader struct {
	conn    *sql.Conn // used only while lead is held
	count   *counters
	changes *changes

	lead   sync.Mutex
	commit time.Duration // that the last one took; used only while lead is held
	mu     sync.Mutex
	queue  turns
}

type request struct {
	ctx     context.Context
	project string
	fn      func(tx *Tx) error
	tx      *Tx
	err     error
	done    chan struct{}
}

func (l *leader) write(ctx context.Context, fn func(tx *Tx) error) error {
	r := &request{ctx: ctx, project: event.ActorOf(ctx).ProjectID, fn: fn, done: make(chan struct{})}
	l.mu.Lock()
	l.queue.Add(r.project, r)
	l.mu.Unlock()
	l.lead.Lock()
	for !r.finished() {
		for _, b := range l.run() {
			if b.tx != nil {
				b.tx.over()
			}
			close(b.done)
		}
	}
	l.lead.Unlock()
	if r.err != nil {
		return r.err
	}
	for _, f := range r.tx.after {
		f()
	}
	return nil
}

func (r *request) finished() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// next takes the next request of a batch that has been worked on for a while.
func (l *leader) next(b *batch, worked time.Duration) (*request, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.next(b, worked)
}

// all takes everybody who waits into a batch.
func (l *leader) all(b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r, ok := l.queue.Next(nil); ok; r, ok = l.queue.Next(nil) {
		b.requests = append(b.requests, r)
	}
}

// begin takes the first of a batch.
func (l *leader) begin() (*batch, *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.queue.begin(l.commit)
	r, _ := l.queue.next(b, 0) // somebody waits: the caller
	return b, r
}

// run writes one batch and gives who was in it.
func (l *leader) run() []*request {
	ctx := context.Background() // a batch is not cut short by one caller who gave up
	var steady clock.Real
	b, r := l.begin()
	begun := steady.Elapsed()
	_, err := l.conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	switch {
	case err != nil:
		l.all(b) // who waits would wait as long for the same
		b.fail(translate(err, "begin"))
		return b.requests
	case b.most == 1: // nobody else's work has to survive its failure
		if l.runAlone(ctx, r) != nil {
			return b.requests
		}
	default:
		for n, ok := 0, true; ok; n++ {
			r.err = l.runOne(ctx, r, fmt.Sprintf("s%d", n))
			r, ok = l.next(b, steady.Elapsed()-begun)
		}
	}
	worked := steady.Elapsed()
	if _, err := l.conn.ExecContext(ctx, "COMMIT"); err != nil {
		b.fail(translate(err, "commit"))
		// A failed commit may already have rolled back.
		_, _ = l.conn.ExecContext(ctx, "ROLLBACK")
		return b.requests
	}
	l.commit = steady.Elapsed() - worked
	l.count.commits.Add(1)
	for _, r := range b.requests {
		if r.err == nil {
			l.count.writes.Add(1)
		}
	}
	return b.requests
}

// fail gives those of a batch that have not failed themselves an error.
func (b *batch) fail(err error) {
	for _, r := range b.requests {
		if r.err == nil {
			r.err = err
		}
	}
}

// runAlone leaves no transaction behind when it fails.
func (l *leader) runAlone(ctx context.Context, r *request) error {
	r.err = r.play(l)
	if r.err != nil {
		if _, e := l.conn.ExecContext(ctx, "ROLLBACK"); e != nil {
			r.err = errors.Join(r.err, translate(e, "rollback"))
		}
	}
	return r.err
}

// play runs the request's function.
func (r *request) play(l *leader) error {
	if err := r.ctx.Err(); err != nil {
		return fault.Unavailablef("The request was given up.").Because(err)
	}
	r.tx = &Tx{exec: l.conn, engine: SQLite, count: l.count, changes: l.changes}
	return call(r.fn, r.tx)
}

func (l *leader) runOne(ctx context.Context, r *request, savepoint string) error {
	if _, err := l.conn.ExecContext(ctx, "SAVEPOINT "+savepoint); err != nil {
		return translate(err, "savepoint")
	}
	err := r.play(l)
	if err != nil {
		if _, e := l.conn.ExecContext(ctx, "ROLLBACK TO "+savepoint); e != nil {
			return errors.Join(err, translate(e, "rollback"))
		}
	}
	if _, e := l.conn.ExecContext(ctx, "RELEASE "+savepoint); e != nil {
		return errors.Join(err, translate(e, "release"))
	}
	return err
}
