package db_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
)

func insert(ctx context.Context, name string, size int) func(tx *db.Tx) error {
	return func(tx *db.Tx) error {
		return things.Insert(ctx, tx, &thing{ID: name, Name: name, Size: int64(size)})
	}
}

// A statement that is kept parsed answers as one that is parsed anew: within its
// own rows, after it failed, and when the schema has changed under it.
func TestKeptStatementsAnswerAsNewOnes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		create(t, d)
		ctx := t.Context()
		for i := range 3 {
			write(t, d, insert(ctx, fmt.Sprint("t", i), i))
		}
		for range 2 {
			if err := d.Write(ctx, insert(ctx, "t1", 7)); !fault.Is(err, fault.Conflict) {
				t.Fatalf("a second t1: %v", err)
			}
		}
		write(t, d, insert(ctx, "t3", 3))

		const all = "SELECT id, size FROM things WHERE size < $1 ORDER BY id"
		var seen []string
		nested := func(q db.Querier) {
			t.Helper()
			rows, err := q.QueryContext(ctx, all, 2)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				var id, first string
				var size, sum int
				if err := rows.Scan(&id, &size); err != nil {
					t.Fatal(err)
				}
				if err := q.QueryRowContext(ctx, all, 1).Scan(&first, &sum); err != nil {
					t.Fatal(err)
				}
				seen = append(seen, id+first)
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
		}
		if d.Engine() == db.SQLite { // PostgreSQL has one conversation at a time in a transaction
			write(t, d, func(tx *db.Tx) error { nested(tx); return nil })
			write(t, d, func(tx *db.Tx) error { nested(tx); return nil })
		}
		nested(d)
		if got := strings.Join(seen, " "); !strings.HasSuffix(got, "t0t0 t1t0") {
			t.Errorf("rows within rows: %s", got)
		}

		const star = "SELECT * FROM things WHERE id = 't1'"
		width := func() int {
			rows, err := d.QueryContext(ctx, star)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			names, err := rows.Columns()
			if err != nil || !rows.Next() {
				t.Fatal(err, rows.Err())
			}
			return len(names)
		}
		if d.Engine() == db.SQLite { // pgx refuses the first after the change, as PostgreSQL does
			was := width()
			write(t, d, func(tx *db.Tx) error {
				_, err := tx.ExecContext(ctx, "ALTER TABLE things ADD COLUMN more text NOT NULL DEFAULT 'x'")
				return err
			})
			if now := width(); now != was+1 {
				t.Errorf("%d columns after the change, %d before", now, was)
			}
		}
	})
}

// What a connection keeps has a bound, and nothing of it is lost by that.
func TestKeptStatementsAreBounded(t *testing.T) {
	d, err := db.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "mek.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for round := range 2 {
		for i := range db.KeptByReader * 3 {
			var n int
			if err := d.QueryRowContext(t.Context(), fmt.Sprintf("SELECT %d + $1", i), round).Scan(&n); err != nil || n != i+round {
				t.Fatal(n, err)
			}
		}
		if n := d.Kept(t.Context()); n == 0 || n > db.KeptByReader {
			t.Errorf("a connection keeps %d statements, %d at most", n, db.KeptByReader)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	d := benchmarked(b)
	for b.Loop() {
		if _, err := things.Get(b.Context(), d, "t1"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWrite is one row, one writer, one durable commit.
func BenchmarkWrite(b *testing.B) {
	d := benchmarked(b)
	n := 1
	for b.Loop() {
		n++
		if err := d.Write(b.Context(), insert(b.Context(), fmt.Sprint("t", n), n)); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarked(b *testing.B) *db.DB {
	b.Helper()
	d, err := db.Open(b.Context(), "sqlite://"+filepath.Join(b.TempDir(), "mek.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close() })
	create(b, d)
	write(b, d, insert(b.Context(), "t1", 1))
	return d
}

// TestReadersThatRestAreClosed: what a burst of readers took is given back.
func TestReadersThatRestAreClosed(t *testing.T) {
	address := "sqlite://" + filepath.Join(t.TempDir(), "mek.db")
	synctest.Test(t, func(t *testing.T) {
		d, err := db.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		all := func() error { return nil }
		for range 4 { // each asks while those before are at it
			inner := all
			all = func() error {
				return d.Snapshot(t.Context(), func(db.Querier) error { return inner() })
			}
		}
		if err := all(); err != nil {
			t.Fatal(err)
		}
		if n := d.IdleReaders(); n < 4 {
			t.Fatalf("%d readers rest", n)
		}
		<-time.After(2 * time.Minute)
		if n := d.IdleReaders(); n != 0 {
			t.Errorf("%d readers still rest after two minutes", n)
		}
	})
}
