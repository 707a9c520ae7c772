package db_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/db"
)

// What a commit writes to the log comes in one piece, and no later than its flush;
// a transaction that is larger than the writer's memory reads its own pages back.
func TestCommitsAreWrittenAtOnce(t *testing.T) {
	s, dir := installShim(t), started(t, migrated(t))
	d, err := db.Open(t.Context(), "sqlite://"+dir+"/mek.db")
	must(t, err)
	defer d.Close()
	must(t, put(t.Context(), d, 1)) // makes the log
	writes, unflushed := 0, 0
	s.watch(t, dir, func(o op) (int32, int) {
		if o.file == "mek.db-wal" {
			switch o.kind {
			case "write":
				writes, unflushed = writes+1, unflushed+1
			case "sync":
				unflushed = 0
			}
		}
		return 0, 0
	})
	must(t, put(t.Context(), d, 2))
	if writes != 1 || unflushed != 0 {
		t.Errorf("a commit is %d writes, %d of them not flushed", writes, unflushed)
	}
	const rows = 6000 // of 4 KiB: three times the writer's memory
	text := strings.Repeat("x", 4000)
	must(t, d.Write(t.Context(), func(tx *db.Tx) error {
		for i := range rows {
			if _, err := tx.ExecContext(context.Background(), "INSERT INTO toolkit_facts (name, value) VALUES ($1, $2)", fmt.Sprint("large-", i), text); err != nil {
				return err
			}
		}
		var n int
		if err := tx.QueryRowContext(context.Background(), "SELECT COUNT(*) FROM toolkit_facts WHERE name LIKE 'large-%' AND value = $1", text).Scan(&n); err != nil || n != rows {
			return fmt.Errorf("%d rows, %w", n, err)
		}
		return nil
	}))
	var n int
	must(t, d.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM toolkit_facts WHERE name LIKE 'large-%' AND value = $1", text).Scan(&n))
	if n != rows || unflushed != 0 {
		t.Errorf("%d rows, %d writes not flushed", n, unflushed)
	}
	must(t, d.Verify(t.Context()))
}
