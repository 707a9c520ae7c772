package db_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/test/report"
)

// TestAnotherHoldsTheDatabase: while another program keeps the file for itself, as
// an operator's may, all who wait are told so at the same time, not one after the
// other; reads are answered; once it lets go, changes go on (F6).
func TestAnotherHoldsTheDatabase(t *testing.T) {
	t.Parallel()
	run := report.Start(t, "F6", 0)
	url := dbtest.SQLiteURL(t)
	d, err := db.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	other, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(url, "sqlite://")+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	write := func() error {
		return d.Write(t.Context(), func(tx *db.Tx) error {
			_, err := db.NextSerial(context.Background(), tx, "n")
			return err
		})
	}
	held, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	run.Fault("the database held by another", 1)
	const writers = 20
	begun, fails := time.Now(), make(chan error, writers)
	for range writers {
		go func() { fails <- write() }()
	}
	var first time.Duration
	for i := range writers {
		if err := <-fails; !fault.Is(err, fault.Unavailable) {
			t.Errorf("a write while another holds the database: %v", err)
		}
		if i == 0 {
			first = time.Since(begun)
		}
	}
	if all := time.Since(begun); all > first*3/2 {
		t.Errorf("the first was told after %v, the last after %v", first, all)
	}
	var n int
	if err := d.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM outbox_records").Scan(&n); err != nil {
		t.Errorf("a read: %v", err)
	}
	if err := held.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := write(); err != nil {
		t.Errorf("a write after it: %v", err)
	}
	run.Operations(writers + 2)
}
