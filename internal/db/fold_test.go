package db_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
)

// The log of writes stays short whoever writes, since it is folded beside them; it
// does not once that is left to others.
func TestTheLogOfWritesStaysShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fold.db")
	d, err := db.Open(t.Context(), "sqlite://"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	write := func(statement string, args ...any) {
		t.Helper()
		err := d.Write(t.Context(), func(tx *db.Tx) error {
			_, err := tx.ExecContext(t.Context(), statement, args...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	write("CREATE TABLE fold_things (id bigint PRIMARY KEY, body text NOT NULL)")
	body := strings.Repeat("x", 60<<10)
	rows := 0
	grow := func() (mib int64) {
		t.Helper()
		for range 1000 { // sixty megabytes
			rows++
			write("INSERT INTO fold_things (id, body) VALUES ($1, $2)", rows, fmt.Sprint(rows, body))
		}
		log, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return log.Size() >> 20
	}
	if mib := grow(); mib > 30 {
		t.Errorf("the log has %d MiB", mib)
	}
	if err := d.LeaveCheckpoints(t.Context()); err != nil {
		t.Fatal(err)
	}
	if mib := grow(); mib < 50 {
		t.Errorf("the log has %d MiB, though nobody was to fold it", mib)
	}
}

// Closing waits for what has begun to be written, and refuses what comes later.
func TestCloseWaitsForWriters(t *testing.T) {
	d, err := db.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "closed.db"))
	if err != nil {
		t.Fatal(err)
	}
	begun, goOn, closed := make(chan struct{}), make(chan struct{}), make(chan error)
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		first <- d.Write(context.Background(), func(*db.Tx) error { close(begun); <-goOn; return nil })
	}()
	<-begun
	go func() { second <- d.Write(context.Background(), func(*db.Tx) error { return nil }) }()
	go func() { closed <- d.Close() }()
	select {
	case err := <-closed:
		t.Fatalf("closed while somebody writes: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(goOn)
	if err := errors.Join(<-first, <-closed); err != nil {
		t.Error(err)
	}
	if err := <-second; err != nil && !fault.Is(err, fault.Unavailable) {
		t.Errorf("who came meanwhile: %v", err)
	}
	if err := d.Write(context.Background(), func(*db.Tx) error { return nil }); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after the end: %v", err)
	}
}
