package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Dump is one table of PostgreSQL as DumpTables wrote it.
type Dump struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

func quoted(names ...string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = pgx.Identifier{n}.Sanitize()
	}
	return strings.Join(out, ", ")
}

// DumpTables writes all tables of one moment, those that others refer to first.
// open gives the place of a table.
func (d *DB) DumpTables(ctx context.Context, open func(table string) (io.WriteCloser, error)) ([]Dump, error) {
	if d.engine != Postgres {
		return nil, fmt.Errorf("dump: %s is copied as a file", d.engine)
	}
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, translate(err, "dump")
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, translate(err, "dump")
	}
	defer tx.Rollback(ctx) //nolint:errcheck // it only read
	list, err := tablesInOrder(ctx, tx)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		out, err := open(t.Table)
		if err != nil {
			return nil, err
		}
		_, err = tx.Conn().PgConn().CopyTo(ctx, out, "COPY (SELECT "+quoted(t.Columns...)+" FROM "+quoted(t.Table)+") TO STDOUT")
		if err = errors.Join(err, out.Close()); err != nil {
			return nil, fmt.Errorf("dump %s: %w", t.Table, err)
		}
	}
	return list, nil
}

func tablesInOrder(ctx context.Context, tx pgx.Tx) ([]Dump, error) {
	columns := map[string][]string{}
	var names []string
	if err := pairs(ctx, tx, `SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN information_schema.tables t
		ON t.table_schema = c.table_schema AND t.table_name = c.table_name
		WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND c.table_name <> 'goose_db_version' ORDER BY 1, c.ordinal_position`,
		func(table, column string) {
			if columns[table] == nil {
				names = append(names, table)
			}
			columns[table] = append(columns[table], column)
		}); err != nil {
		return nil, err
	}
	needs := map[string][]string{}
	if err := pairs(ctx, tx, `SELECT a.relname::text, b.relname::text FROM pg_constraint k JOIN pg_class a ON a.oid = k.conrelid JOIN pg_class b ON b.oid = k.confrelid
		WHERE k.contype = 'f' AND k.conrelid <> k.confrelid AND k.connamespace = current_schema()::regnamespace`, func(a, b string) { needs[a] = append(needs[a], b) }); err != nil {
		return nil, err
	}
	var out []Dump
	done := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		if done[name] {
			return
		}
		done[name] = true
		for _, n := range slices.Sorted(slices.Values(needs[name])) {
			add(n)
		}
		out = append(out, Dump{name, columns[name]})
	}
	for _, n := range names {
		add(n)
	}
	return out, nil
}

func pairs(ctx context.Context, tx pgx.Tx, query string, each func(a, b string)) error {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return translate(err, "list tables")
	}
	var a, b string
	_, err = pgx.ForEachRow(rows, []any{&a, &b}, func() error { each(a, b); return nil })
	return translate(err, "list tables")
}

// LoadTables puts what DumpTables wrote into a PostgreSQL database, in place of
// what is there: that is renamed to the schema aside, and comes back if loading
// fails. The database has the schema version of the dump afterwards.
func LoadTables(ctx context.Context, address, aside string, version int64, list []Dump, open func(table string) (io.ReadCloser, error)) (err error) {
	d, err := connect(ctx, address)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if d.engine != Postgres {
		return fmt.Errorf("load: %s is restored as a file", d.engine)
	}
	exec := func(statements ...string) error {
		for _, s := range statements {
			if _, err := d.pool.Exec(ctx, s); err != nil {
				return translate(err, "load")
			}
		}
		return nil
	}
	// Statements in one text are one transaction.
	if err := exec("ALTER SCHEMA public RENAME TO " + quoted(aside) + "; CREATE SCHEMA public"); err != nil {
		return err
	}
	if err := d.load(ctx, version, list, open); err != nil {
		return errors.Join(err, exec("DROP SCHEMA public CASCADE; ALTER SCHEMA "+quoted(aside)+" RENAME TO public"))
	}
	return nil
}

func (d *DB) load(ctx context.Context, version int64, list []Dump, open func(table string) (io.ReadCloser, error)) error {
	p, err := d.provider()
	if err == nil {
		_, err = p.UpTo(ctx, version)
	}
	if err != nil {
		return fmt.Errorf("make schema %d: %w", version, err)
	}
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return translate(err, "load")
	}
	defer conn.Release()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return translate(err, "load")
	}
	defer tx.Rollback(ctx) //nolint:errcheck // after a commit this does nothing, and otherwise the first error counts
	for _, t := range slices.Backward(list) {
		if _, err := tx.Exec(ctx, "DELETE FROM "+quoted(t.Table)); err != nil { // rows that migrations make
			return translate(err, "load "+t.Table)
		}
	}
	for _, t := range list {
		in, err := open(t.Table)
		if err != nil {
			return err
		}
		_, err = tx.Conn().PgConn().CopyFrom(ctx, in, "COPY "+quoted(t.Table)+" ("+quoted(t.Columns...)+") FROM STDIN")
		if err = errors.Join(err, in.Close()); err != nil {
			return fmt.Errorf("load %s: %w", t.Table, err)
		}
	}
	return translate(tx.Commit(ctx), "load")
}
