package db_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/test/report"
)

// TestPostgresTakesNoChanges: a PostgreSQL that only reads, as one whose disk an
// operator protects or a standby, has changes refused clearly and reads answered;
// once it takes changes again they go on by themselves, on the same connections (F7).
func TestPostgresTakesNoChanges(t *testing.T) {
	run := report.Start(t, "F7", 0)
	url := dbtest.PostgresURL(t)
	d, err := db.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	admin, err := sql.Open("pgx", strings.NewReplacer("pool_max_conns=12&", "", "&pool_max_conns=12", "").Replace(url)) // that is for pools
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	readOnly := func(value string) {
		t.Helper()
		c, err := admin.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, s := range []string{"SET default_transaction_read_only = off",
			"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = " + value + "', current_database()); END $$",
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"} {
			if _, err := c.ExecContext(t.Context(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	write := func() error {
		return d.Write(t.Context(), func(tx *db.Tx) error {
			_, err := db.NextSerial(context.Background(), tx, "n")
			return err
		})
	}
	until := func(what string, ok func(error) bool) {
		t.Helper()
		var err error
		for range 20 { // connections that were cut are noticed one by one
			if err = write(); ok(err) {
				return
			}
			if !fault.Is(err, fault.Unavailable) {
				t.Fatalf("%s: %v", what, err)
			}
		}
		t.Fatalf("%s: %v", what, err)
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	before := d.Counts().Refused
	readOnly("on")
	run.Fault("PostgreSQL read-only", 1)
	until("read-only", func(err error) bool {
		return fault.Is(err, fault.Unavailable) && fault.As(err).Text == "The database takes no changes at present."
	})
	var n int
	if err := d.QueryRowContext(t.Context(), "SELECT last FROM serials WHERE name = 'n'").Scan(&n); err != nil || n != 1 {
		t.Errorf("a read meanwhile: %d, %v", n, err)
	}
	if d.Counts().Refused == before {
		t.Error("I-42: nothing counts refused changes")
	}
	readOnly("off")
	until("again", func(err error) bool { return err == nil })
	if err := d.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
