// Package watch records every committed change of some columns of an SQLite
// database, and which rows came and went, for tests: a trigger sees what any
// code does, and what is rolled back leaves no trace. Records and triggers are
// temporary: they belong to the one connection that writes, and no other sees
// them. PostgreSQL is not watched; the same code runs on both engines.
package watch
