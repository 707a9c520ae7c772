package matrix

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/testcloud/world"
)

// digest gives a number for each table that changes with its rows.
func digest(t *testing.T, w *world.World) map[string]uint64 {
	t.Helper()
	ctx, d := context.Background(), w.Cloud().DB
	list := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if d.Engine() == db.Postgres {
		list = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
	}
	out := map[string]uint64{}
	for _, name := range texts(t, d, list) {
		out[name] = rowsOf(t, ctx, d, name)
	}
	return out
}

// settled waits until what background work does for earlier requests is done.
func settled(t *testing.T, w *world.World) map[string]uint64 {
	t.Helper()
	w.Cloud().RunTasks()
	before := digest(t, w)
	for range 20 {
		<-clock.Real{}.After(1500 * time.Millisecond) // longer than the outbox waits between its rounds
		after := digest(t, w)
		if len(changed(before, after)) == 0 {
			return after
		}
		before = after
	}
	t.Fatal("the database never rests")
	return nil
}

func texts(t *testing.T, d *db.DB, query string) []string {
	t.Helper()
	rows, err := d.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// rowsOf adds up the hashes of a table's rows: their order does not matter.
func rowsOf(t *testing.T, ctx context.Context, d *db.DB, table string) uint64 {
	t.Helper()
	rows, err := d.QueryContext(ctx, `SELECT * FROM "`+table+`"`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	var sum uint64
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		h := fnv.New64a()
		fmt.Fprint(h, values...)
		sum += h.Sum64() | 1
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return sum
}

func changed(before, after map[string]uint64) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if before[name] != after[name] && !strings.HasPrefix(name, "sqlite_") {
			out = append(out, name)
		}
	}
	return out
}
