package db_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// compare is the model: the given keys, then created_at and id in the direction of the last key.
func compare(order []listing.Order) func(a, b *thing) int {
	desc := len(order) > 0 && order[len(order)-1].Desc
	full := append(slices.Clone(order), listing.Order{Column: "created_at", Desc: desc}, listing.Order{Column: "id", Desc: desc})
	return func(a, b *thing) int {
		for _, o := range full {
			c := map[string]int{"name": cmp.Compare(a.Name, b.Name), "size": cmp.Compare(a.Size, b.Size),
				"created_at": cmp.Compare(a.CreatedAt, b.CreatedAt), "id": cmp.Compare(a.ID, b.ID)}[o.Column]
			if o.Desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	}
}

func TestPagesFollowTheModel(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		create(t, d)
		rapid.Check(t, func(t *rapid.T) {
			n := rapid.IntRange(0, 25).Draw(t, "rows")
			model := make([]*thing, n)
			for i := range model {
				model[i] = &thing{ID: fmt.Sprintf("%02d", i), Name: fmt.Sprint(i, rapid.StringMatching(`[a-cA-C]`).Draw(t, "name")),
					Size: rapid.Int64Range(0, 3).Draw(t, "size"), CreatedAt: rapid.Int64Range(0, 3).Draw(t, "at")}
			}
			err := d.Write(ctx, func(tx *db.Tx) error {
				_, err := things.DeleteWhere(ctx, tx)
				return errors.Join(err, things.Insert(ctx, tx, model...))
			})
			if err != nil {
				t.Fatal(err)
			}
			var order []listing.Order
			for _, c := range rapid.Permutation([]string{"name", "size", "created_at"}).Draw(t, "keys")[:rapid.IntRange(0, 3).Draw(t, "count")] {
				order = append(order, listing.Order{Column: c, Desc: rapid.Bool().Draw(t, "desc")})
			}
			slices.SortFunc(model, compare(order))
			limit := rapid.IntRange(1, 7).Draw(t, "limit")
			split := rapid.Int64Range(0, 4).Draw(t, "split")
			either := []db.Cond{{SQL: "size < ?", Args: []any{split}}, {SQL: "size = ?", Args: []any{split}}, {SQL: "size > ?", Args: []any{split}}}
			for _, parts := range [][]db.Cond{nil, either} {
				if got := walk(t, d, listing.Query{Order: order, Limit: limit}, parts); got != ids(model) {
					t.Fatalf("forward %v by %d in %d parts:\n got %s\nwant %s", order, limit, len(parts), got, ids(model))
				}
			}
			if all, err := things.ListEither(ctx, d, listing.Query{Order: order}, either); err != nil || ids(all) != ids(model) {
				t.Fatalf("all in parts: got %s, want %s, %v", ids(all), ids(model), err)
			}
			if n == 0 {
				return
			}
			at := rapid.IntRange(0, n-1).Draw(t, "marker")
			back, err := things.ListEither(ctx, d, listing.Query{Order: order, Limit: limit, Marker: model[at].ID, Back: true}, either)
			if want := ids(model[max(0, at-limit):at]); err != nil || ids(back) != want {
				t.Fatalf("back from %s: got %s, want %s, %v", model[at].ID, ids(back), want, err)
			}
		})
	})
}

func walk(t *rapid.T, d *db.DB, q listing.Query, either []db.Cond) string {
	var all []*thing
	for {
		page, err := things.ListEither(context.Background(), d, q, either)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if len(page) < q.Limit {
			return ids(all)
		}
		q.Marker = page[len(page)-1].ID
	}
}

func TestConditions(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		create(t, d)
		write(t, d, func(tx *db.Tx) error {
			for i, name := range []string{"Web-1", "web_2", "100%", `back\slash`, "Ärger"} {
				if err := things.Insert(ctx, tx, &thing{ID: fmt.Sprint(i), Name: name, Size: int64(i)}); err != nil {
					return err
				}
			}
			return nil
		})
		for _, c := range []struct {
			op     listing.Op
			column string
			values []any
			want   string
		}{
			{listing.Eq, "name", []any{"Web-1"}, "0"},
			{"", "size", []any{3}, "3"},
			{listing.NotEq, "size", []any{3}, "0 1 2 4"},
			{listing.Less, "size", []any{2}, "0 1"},
			{listing.LessEq, "size", []any{2}, "0 1 2"},
			{listing.More, "size", []any{2}, "3 4"},
			{listing.MoreEq, "size", []any{2}, "2 3 4"},
			{listing.In, "size", []any{1, 2, 9}, "1 2"},
			{listing.In, "size", nil, ""},
			{listing.NotIn, "size", []any{1, 2, 9}, "0 3 4"},
			{listing.NotIn, "size", nil, "0 1 2 3 4"},
			{listing.Contains, "name", []any{"WEB"}, "0 1"},
			{listing.Contains, "name", []any{"_"}, "1"},
			{listing.Contains, "name", []any{"%"}, "2"},
			{listing.Contains, "name", []any{`\`}, "3"},
			{listing.Contains, "name", []any{"Ärg"}, "4"},
			{listing.Prefix, "name", []any{"web"}, "1"},
			{listing.Prefix, "name", []any{"Är"}, "4"},
			{listing.Prefix, "name", []any{""}, "0 1 2 3 4"},
			{listing.Matches, "name", []any{"^web.[0-9]$"}, "0 1"},
			{listing.Matches, "name", []any{"S"}, "3"},
			{listing.Matches, "name", []any{"WEB-"}, "0"},
			{listing.Matches, "name", []any{"%"}, "2"},
			{listing.Matches, "name", []any{"_"}, "1"},
			{listing.In, "name", []any{"Web-1", "WEB_2", "100%", "Ärger", "'", `"`}, "0 2 4"},
			{listing.In, "name", []any{"a", "b", "c", "d", "e"}, ""},
		} {
			rows, err := things.Find(ctx, d, listing.Term{Column: c.column, Op: c.op, Values: c.values})
			if err != nil || ids(rows) != c.want {
				t.Errorf("%s %s %v: got %s, want %s, %v", c.column, c.op, c.values, ids(rows), c.want, err)
			}
		}
		rows, err := things.List(ctx, d, listing.Query{Limit: 1}, db.Cond{SQL: "size > ? OR name = ?", Args: []any{2, "web_2"}}, db.Cond{SQL: "1 = 1"})
		if err != nil || ids(rows) != "1" {
			t.Errorf("own condition: %s, %v", ids(rows), err)
		}
		for name, q := range map[string]listing.Query{
			"marker":   {Marker: "nobody"},
			"operator": listing.Query{}.And("size", "~", 1),
			"value":    listing.Query{}.And("size", listing.Eq),
		} {
			if _, err := things.List(ctx, d, q); err == nil || (name == "marker") != fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		hostile := strings.Repeat("'", 3) + `"; DROP TABLE things; --`
		if rows, err := things.Find(ctx, d, listing.Term{Column: "name", Op: listing.Contains, Values: []any{hostile}}); err != nil || len(rows) != 0 {
			t.Errorf("hostile value: %v %v", rows, err)
		}
		long := strings.Repeat("é", 70_000) // SQLite refuses such patterns
		if rows, err := things.Find(ctx, d, listing.Term{Column: "name", Op: listing.Contains, Values: []any{long}}); err != nil || len(rows) != 0 {
			t.Errorf("long value: %v %v", rows, err)
		}
		if _, err := things.Find(ctx, d, listing.Term{Column: "name", Op: listing.In, Values: make([]any, 70_000)}); !fault.Is(err, fault.Invalid) {
			t.Errorf("many values: %v", err)
		}
		// PostgreSQL stores no such text, SQLite does: neither takes it for a defect
		if rows, err := things.Find(ctx, d, listing.Term{Column: "name", Op: listing.Eq, Values: []any{"a\x00\xff"}}); len(rows) != 0 || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("no text: %v %v", rows, err)
		}
	})
}
