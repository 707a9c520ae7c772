package db_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/test/report"
	"github.com/mekcloud/mek/test/smalldisk"
)

// Of many changes that find the disk full at once one has the ballast emptied,
// and none of those that may go on is refused (F7).
func TestBallastIsForAll(t *testing.T) {
	dir := smalldisk.Dir(t, "48m")
	run := report.Start(t, "F7", 0)
	d, err := db.Open(t.Context(), "sqlite://"+filepath.Join(dir, "mek.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	write := func(statement string, args ...any) error {
		return d.Write(t.Context(), func(tx *db.Tx) error {
			_, err := tx.ExecContext(context.Background(), statement, args...)
			return err
		})
	}
	if err := errors.Join(d.Ballast(t.Context(), 8<<20), write("CREATE TABLE full (name TEXT, text TEXT)")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 48<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	run.Fault("disk full", 1)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 15 {
				run.Operations(1)
				if err := write("INSERT INTO full (name, text) VALUES ($1, $2)", fmt.Sprint(n, " ", i), strings.Repeat("x", 20_000)); err != nil {
					run.Violation("a change that may go on on a full disk: %v", err)
				}
			}
		})
	}
	all.Wait()
	if !d.Full() {
		t.Error("the ballast was never needed")
	}
	if err := d.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
