package db

import (
	"container/list"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"

	"modernc.org/sqlite"
)

// How many statements a connection to SQLite keeps parsed. One takes some ten
// kilobytes; readers are many, and mostly the first of them is used.
const (
	keptByWriter = 256
	keptByReader = 128
	keptLongest  = 4096 // bytes of text; lists of a thousand values do not come again
)

// openCached opens a handle whose connections keep the statements that come
// often parsed: parsing is a fifth of what a short request costs. SQLite itself
// parses a kept statement anew when the schema has changed under it.
func openCached(dsn string, kept int) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(caching{c, kept}), nil
}

type caching struct {
	driver.Connector
	kept int
}

// Connect opens one connection.
func (c caching) Connect(ctx context.Context) (driver.Conn, error) {
	raw, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := raw.(liteConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver of SQLite lacks what a connection must do"), raw.Close())
	}
	return &cachedConn{liteConn: conn, kept: c.kept, idle: map[string]*list.Element{}, order: list.New()}, nil
}

// liteConn is what database/sql asks of a connection, and SQLite's has.
type liteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// liteStmt is a statement of SQLite.
type liteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// cachedConn keeps statements that nobody runs at the moment; one that runs is
// not among them, so that the same text may run inside its own rows. As all
// connections it is used by one goroutine at a time.
type cachedConn struct {
	liteConn
	kept  int
	idle  map[string]*list.Element // of parsed
	order *list.List               // the one used last is in front
}

type parsed struct {
	text string
	stmt liteStmt
}

// ExecContext runs a statement.
func (c *cachedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if !lasting(query) {
		return c.liteConn.ExecContext(ctx, query, args)
	}
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	done, err := s.ExecContext(ctx, args)
	if err != nil {
		_ = s.Close() // it tells the same error again
		return nil, err
	}
	return done, c.keep(parsed{query, s})
}

// QueryContext runs a statement that gives rows.
func (c *cachedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if !lasting(query) {
		return c.liteConn.QueryContext(ctx, query, args)
	}
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		_ = s.Close() // it tells the same error again
		return nil, err
	}
	out := &cachedRows{Rows: rows, conn: c, of: parsed{query, s}}
	if quiet, ok := ctx.(calm); ok {
		out.asked = quiet.Context
	}
	return out, nil
}

// Close forgets all statements and closes the connection.
func (c *cachedConn) Close() error {
	c.kept = 0
	return errors.Join(c.trim(), c.liteConn.Close())
}

func (c *cachedConn) take(ctx context.Context, query string) (liteStmt, error) {
	if e, ok := c.idle[query]; ok {
		c.order.Remove(e)
		delete(c.idle, query)
		return e.Value.(parsed).stmt, nil
	}
	s, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	stmt, ok := s.(liteStmt)
	if !ok {
		return nil, errors.Join(errors.New("the driver of SQLite lacks what a statement must do"), s.Close())
	}
	return stmt, nil
}

func (c *cachedConn) keep(p parsed) error {
	if _, twice := c.idle[p.text]; twice {
		return p.stmt.Close()
	}
	c.idle[p.text] = c.order.PushFront(p)
	return c.trim()
}

func (c *cachedConn) trim() error {
	var errs []error
	for c.order.Len() > c.kept {
		p := c.order.Remove(c.order.Back()).(parsed)
		delete(c.idle, p.text)
		errs = append(errs, p.stmt.Close())
	}
	return errors.Join(errs...)
}

type cachedRows struct {
	driver.Rows
	conn  *cachedConn
	of    parsed
	done  bool
	asked context.Context // whose rows they are; nil: of somebody who does not leave
	given uint
}

// calm is a context that nobody waits for. database/sql and the driver have a
// goroutine each wait for the end of a context, for as long as a query lasts:
// of short queries, which nearly all are, that is most of the cost. Who has left
// is noticed between the rows instead.
type calm struct{ context.Context }

// Done is never.
func (calm) Done() <-chan struct{} { return nil }

// Err is none: the query goes on.
func (calm) Err() error { return nil }

// calm is how a context is handed to the engine of a read.
func (d *DB) calm(ctx context.Context) context.Context {
	if d.engine != SQLite || ctx.Done() == nil {
		return ctx
	}
	return calm{ctx}
}

// lookEvery is after how many rows it is looked whether somebody still waits for them.
const lookEvery = 64

// Next reads a row.
func (r *cachedRows) Next(into []driver.Value) error {
	if r.given++; r.given%lookEvery == 0 && r.asked != nil {
		if err := r.asked.Err(); err != nil {
			return err
		}
	}
	return r.Rows.Next(into)
}

// Close ends the rows; their statement may be used again.
func (r *cachedRows) Close() error {
	if r.done {
		return nil
	}
	r.done = true
	if err := r.Rows.Close(); err != nil {
		_ = r.of.stmt.Close() // it tells the same error again
		return err
	}
	return r.conn.keep(r.of)
}

// lasting tells whether a statement is one to keep: not those that change the
// schema or the connection.
func lasting(query string) bool {
	if len(query) > keptLongest {
		return false
	}
	word, _, _ := strings.Cut(query, " ")
	switch word {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE":
		return true
	}
	return false
}
