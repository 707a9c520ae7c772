package db_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
)

func TestSerialsCountByName(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		var got []int64
		next := func(name string, end error) {
			var n int64
			err := d.Write(ctx, func(tx *db.Tx) (err error) {
				if n, err = db.NextSerial(ctx, tx, name); err != nil {
					return err
				}
				return end
			})
			if !errors.Is(err, end) {
				t.Fatal(err)
			}
			if end == nil {
				got = append(got, n)
			}
		}
		next("a", nil)
		next("a", nil)
		next("b", nil)
		next("a", errors.New("not committed"))
		next("a", nil)
		if !slices.Equal(got, []int64{1, 2, 1, 3}) {
			t.Errorf("numbers %v", got)
		}
	})
}
