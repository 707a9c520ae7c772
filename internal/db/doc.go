// Package db is the cloud's transactions, migrations and lists over two
// engines that speak one dialect: SQLite inside the process and PostgreSQL.
//
// Invariants: acknowledged means durable (SQLite WAL with synchronous=FULL);
// on SQLite there is one writer, and concurrent writes share one commit, each
// inside its own savepoint; a function given to Write does no I/O and may run
// twice; driver errors never leave a store.
//
// The dialect: $1 placeholders, bound parameters only, text/bigint/boolean,
// times as microseconds UTC (package clock), JSON in text columns and opaque
// to SQL, INSERT … ON CONFLICT, RETURNING. SQL stands in store*.go files.
//
// Rejected: an object mapper with relations (it writes values into SQL text or
// hides queries), two sets of migrations, a writer goroutine for good
// (whoever comes while nobody writes leads: a lonely writer changes no goroutine,
// and none is there while nobody writes).
package db
