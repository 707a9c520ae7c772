package db_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
)

func TestFaultyWrites(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		var before, after error
		f := d.Faulty(func(_ context.Context, committed bool) error {
			if committed {
				return after
			}
			return before
		})
		told := 0
		write := func() error {
			return f.Write(ctx, func(tx *db.Tx) error {
				tx.AfterCommit(func() { told++ })
				_, err := db.NextSerial(ctx, tx, "n")
				return err
			})
		}
		last := func() (n int64) {
			if err := d.Write(ctx, func(tx *db.Tx) (err error) { n, err = db.NextSerial(context.Background(), tx, "n"); return err }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if err := write(); err != nil || told != 1 || last() != 2 {
			t.Fatalf("no fault: %v, told %d times", err, told)
		}
		before = errors.New("input/output error")
		if err := write(); err == nil || fault.Is(err, fault.NotFound) || told != 1 || last() != 3 {
			t.Fatalf("before: %v", err)
		}
		before, after = nil, errors.New("input/output error")
		if err := write(); err == nil || told != 1 || last() != 5 {
			t.Fatalf("after: %v, told %d times", err, told)
		}
	})
}
