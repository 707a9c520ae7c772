package db

import "sync/atomic"

// Counts is how much a database was used since it was opened.
type Counts struct {
	Queries int64 // statements, inside transactions and outside
	Writes  int64 // transactions that committed
	Commits int64 // durable commits; on SQLite one may carry many writes
	Refused int64 // transactions that the database could not take: no room, no answer
}

type counters struct{ queries, writes, commits, refused atomic.Int64 }

// Counts reads the counters.
func (d *DB) Counts() Counts {
	return Counts{d.count.queries.Load(), d.count.writes.Load(), d.count.commits.Load(), d.count.refused.Load()}
}
