package hostile

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/mekcloud/mek/internal/db"
)

// state is what a run must leave as it was.
type state struct {
	Heap, Goroutines, Descriptors, Rows int
}

// measure waits for what is under way, and counts.
func (r *run) measure() state {
	r.w.Cloud().RunTasks()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := state{Heap: int(m.HeapAlloc >> 20), Goroutines: runtime.NumGoroutine()}
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
		s.Rows += n
	}
	return s
}

// growth says what is more than it was: more than caches, pools and a quota's
// worth of a project's things explain.
func (s state) growth(later state) []string {
	var out []string
	check := func(what string, before, after, slack int) {
		if after > before+slack {
			out = append(out, fmt.Sprintf("%s grew from %d to %d", what, before, after))
		}
	}
	check("MiB of heap", s.Heap, later.Heap, 48)
	check("goroutines", s.Goroutines, later.Goroutines, 50)
	check("descriptors", s.Descriptors, later.Descriptors, 50)
	return out
}
