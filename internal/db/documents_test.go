package db_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/listing"
)

// TestDocumentsOfLongLists reads lists that are decoded while they are read; a
// document that cannot be decoded fails the list wherever it stands.
func TestDocumentsOfLongLists(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		create(t, d)
		var rows []*thing
		for i := range 300 {
			name := fmt.Sprintf("%03d", i)
			rows = append(rows, &thing{ID: name, CreatedAt: int64(i), Name: name, Tags: db.J([]string{name}), Extra: db.J(&extraPart{A: i})})
		}
		write(t, d, func(tx *db.Tx) error { return things.Insert(ctx, tx, rows...) })
		list := func(n int) ([]*thing, error) {
			return things.List(ctx, d, listing.Query{Limit: n, Order: []listing.Order{{Column: "id"}}})
		}
		for _, n := range []int{1, 63, 64, 65, 128, 300} {
			got, err := list(n)
			if err != nil || len(got) != n {
				t.Fatalf("%d of %d rows, %v", len(got), n, err)
			}
			for i, row := range got {
				if row.ID != rows[i].ID || len(row.Tags.V) != 1 || row.Tags.V[0] != row.ID || row.Extra.V.A != i {
					t.Fatalf("row %d: %+v", i, row)
				}
			}
		}
		for _, broken := range []string{"000", "063", "064", "190", "299"} {
			write(t, d, func(tx *db.Tx) error {
				_, err := tx.ExecContext(ctx, "UPDATE things SET tags = '[' WHERE id = $1", broken)
				return err
			})
			if _, err := list(300); err == nil || !strings.Contains(err.Error(), "JSON") {
				t.Errorf("document %s is broken: %v", broken, err)
			}
			write(t, d, func(tx *db.Tx) error {
				return things.Set(ctx, tx, broken, map[string]any{"tags": `["` + broken + `"]`})
			})
		}
		if _, err := list(300); err != nil {
			t.Error(err)
		}
	})
}

// bomb is a document whose decoding panics.
type bomb struct{}

func (*bomb) UnmarshalJSON([]byte) error { panic("boom") }

type mined struct {
	ID   string        `db:"id"`
	Tags db.JSON[bomb] `db:"tags"`
}

// TestDecodingThatPanics beside the reader is an error of the list, and nobody
// waits for it.
func TestDecodingThatPanics(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		create(t, d)
		var rows []*thing
		for i := range 2000 {
			name := fmt.Sprint(i)
			rows = append(rows, &thing{ID: name, Name: name, Tags: db.J([]string{name})})
		}
		write(t, d, func(tx *db.Tx) error { return things.Insert(t.Context(), tx, rows...) })
		_, err := db.NewTable[mined]("things", "id", "Thing").List(t.Context(), d, listing.Query{Order: []listing.Order{{Column: "id"}}})
		if err == nil || !strings.Contains(err.Error(), "boom") {
			t.Errorf("%v", err)
		}
	})
}
