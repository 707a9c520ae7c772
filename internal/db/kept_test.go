package db_test

import (
	"context"
	"errors"
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
