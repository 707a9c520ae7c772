package db_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
)

// What is kept is what a query would answer, whoever wrote, and whatever came of it.
func TestKeptFollowsItsTables(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		reads := 0
		kept := db.Keep[string, int]("quota_limits", "DELETE serials")
		count := func(q db.Querier) int {
			t.Helper()
			n, err := kept.Get(q, "all", func() (n int, err error) {
				reads++
				err = q.QueryRowContext(ctx, "SELECT COUNT(*) FROM quota_limits").Scan(&n)
				return n, err
			})
			must(t, err)
			return n
		}
		insert := func(tx *db.Tx, name string) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO quota_limits (project_id, service, resource, hard_limit) VALUES ('p', 's', $1, 1)", name)
			return err
		}
		if n := count(d); n != 0 {
			t.Fatal(n)
		}
		must(t, d.Write(ctx, func(tx *db.Tx) error {
			must(t, insert(tx, "a"))
			if n := count(tx); n != 1 {
				t.Errorf("a transaction sees %d of its own rows, want 1", n)
			}
			return nil
		}))
		if n := count(d); n != 1 {
			t.Errorf("%d after the commit, want 1", n)
		}
		stop := errors.New("no")
		if err := d.Write(ctx, func(tx *db.Tx) error {
			must(t, insert(tx, "b"))
			count(tx)
			return stop
		}); !errors.Is(err, stop) {
			t.Fatal(err)
		}
		if n := count(d); n != 1 {
			t.Errorf("%d after what was rolled back, want 1", n)
		}
		before := reads
		count(d)
		count(d)
		if d.Engine() == db.SQLite && reads != before {
			t.Errorf("read %d times again, though nobody wrote", reads-before)
		}
		if d.Engine() == db.Postgres && reads != before+2 {
			t.Error("kept, though other servers write")
		}
		must(t, d.Write(ctx, func(tx *db.Tx) error { _, err := db.NextSerial(ctx, tx, "x"); return err }))
		count(d)
		if d.Engine() == db.SQLite && reads != before {
			t.Error("read again for an insert, though only deletes count")
		}
		must(t, d.Write(ctx, func(tx *db.Tx) error {
			_, err := tx.ExecContext(ctx, "DELETE FROM serials WHERE name = 'x'")
			return err
		}))
		before = reads
		if count(d); reads == before {
			t.Error("not read again after a delete")
		}
	})
}

// What follows its transaction is what a query would answer; where it cannot be
// known, it is read.
func TestKeptFollowsTransactions(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		var reads atomic.Int64
		kept := db.Keep[string, int]("serials")
		get := func(q db.Querier) int {
			t.Helper()
			n, err := kept.Get(q, "all", func() (n int, err error) {
				reads.Add(1)
				err = q.QueryRowContext(ctx, "SELECT COUNT(*) FROM serials").Scan(&n)
				return n, err
			})
			must(t, err)
			return n
		}
		add := func(name string, fail error) {
			t.Helper()
			err := d.Write(ctx, func(tx *db.Tx) error {
				get(tx)
				if _, err := db.NextSerial(ctx, tx, name); err != nil {
					return err
				}
				kept.Follow(tx, "all", func(n int) int { return n + 1 })
				return fail
			})
			if !errors.Is(err, fail) {
				t.Error(err)
			}
		}
		get(d)
		before := reads.Load()
		for i, name := range []string{"a", "b", "c"} {
			add(name, nil)
			if n := get(d); n != i+1 {
				t.Errorf("%d after %d were added", n, i+1)
			}
		}
		if d.Engine() == db.SQLite && reads.Load() != before {
			t.Errorf("read %d times, though it is known what became of it", reads.Load()-before)
		}
		add("d", errors.New("no"))
		if n := get(d); n != 3 {
			t.Errorf("%d after what was rolled back, want 3", n)
		}
		must(t, d.Write(ctx, func(tx *db.Tx) error {
			kept.Follow(tx, "all", func(int) int { return 99 })
			_, err := db.NextSerial(ctx, tx, "e")
			return err
		}))
		must(t, d.Write(ctx, func(tx *db.Tx) error { _, err := db.NextSerial(ctx, tx, "f"); return err }))
		if n := get(d); n != 5 {
			t.Errorf("%d after others wrote, want 5", n)
		}
		must(t, d.Write(ctx, func(tx *db.Tx) error {
			get(tx)
			for _, name := range []string{"g", "h"} {
				if _, err := db.NextSerial(ctx, tx, name); err != nil {
					return err
				}
				kept.Follow(tx, "all", func(n int) int { return n + 1 })
			}
			return nil
		}))
		if n := get(d); n != 7 {
			t.Errorf("%d after one wrote twice, want 7", n)
		}
		var all sync.WaitGroup
		for i := range 16 { // in batches, where nobody knows what the others do
			all.Go(func() { add(fmt.Sprint("many", i), nil) })
		}
		all.Wait()
		if n := get(d); n != 23 {
			t.Errorf("%d after many wrote at once, want 23", n)
		}
	})
}

// Who leaves gets no more rows, though no query is interrupted.
func TestWhoLeavesGetsNoMoreRows(t *testing.T) {
	d := dbtest.SQLite(t)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	rows, err := d.QueryContext(ctx, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) SELECT i FROM n")
	must(t, err)
	defer rows.Close()
	seen := 0
	for rows.Next() {
		if seen++; seen == 10 {
			leave()
		}
	}
	if !errors.Is(rows.Err(), context.Canceled) || seen > 1000 {
		t.Errorf("%d rows, then %v", seen, rows.Err())
	}
	if _, err := d.QueryContext(ctx, "SELECT 1"); !errors.Is(err, context.Canceled) {
		t.Errorf("who has left asks: %v", err)
	}
}
