package hostile

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"

	"github.com/mekcloud/mek/internal/db"
)

// state is what a run must leave as it was.
type state struct {
	Heap, Goroutines, Descriptors int
	Rows                          map[string]int // by table
}

// measure waits for what is under way, and counts.
func (r *run) measure() state {
	r.w.Cloud().RunTasks()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := state{Heap: int(m.HeapAlloc >> 20), Goroutines: runtime.NumGoroutine(), Rows: map[string]int{}}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		s.Descriptors = len(open)
	}
	ctx, d := context.Background(), r.w.Cloud().DB
	query := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if d.Engine() == db.Postgres {
		query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
	}
	rows, err := d.QueryContext(ctx, query)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			r.t.Fatal(err)
		}
		n := 0
		if err := d.QueryRowContext(ctx, `SELECT count(*) FROM "`+name+`"`).Scan(&n); err != nil {
			r.t.Fatal(err)
		}
		s.Rows[name] = n
	}
	return s
}

// belongings is what quotas may let the callers own, in rows of one table.
const belongings = 1000

// perChange is how many records a change leaves in the outbox, at most: one for
// the audit, one for its readers, and as many when a task ends it. They are kept
// for their time.
const perChange = 4

// growth says what is more than it was: more than caches, pools, quotas and the
// records of so many changes explain.
func (s state) growth(later state, changes int) []string {
	var out []string
	check := func(what string, before, after, slack int) {
		if after > before+slack {
			out = append(out, fmt.Sprintf("%s grew from %d to %d", what, before, after))
		}
	}
	check("MiB of heap", s.Heap, later.Heap, 48)
	check("goroutines", s.Goroutines, later.Goroutines, 50)
	check("descriptors", s.Descriptors, later.Descriptors, 50)
	for _, table := range slices.Sorted(maps.Keys(later.Rows)) {
		slack := belongings
		if table == "outbox_records" || table == "outbox_waiting" {
			slack += changes * perChange
		}
		check("rows of "+table, s.Rows[table], later.Rows[table], slack)
	}
	return out
}

// difference is what there is more or less of than before, for the figures.
func (s state) difference(later state) map[string]int {
	out := map[string]int{"heap_mib": later.Heap - s.Heap, "goroutines": later.Goroutines - s.Goroutines, "descriptors": later.Descriptors - s.Descriptors}
	for table, n := range later.Rows {
		if n != s.Rows[table] {
			out[table] = n - s.Rows[table]
		}
	}
	return out
}
