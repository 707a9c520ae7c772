// Package dbtest runs a test on both database engines: SQLite in a directory of
// the test, and a fresh database of a private PostgreSQL cluster that this
// process starts when the first test asks for it.
//
// The cluster runs as an unprivileged user on a socket in a temporary
// directory, without durability, and dies with this process. Its directory is
// removed by Main, or by the next process that looks (a test binary without a
// TestMain has no end it could hook into). One cluster for all processes was
// rejected: somebody would have to own it.
package dbtest
