// Package quota checks a project's limits inside the transaction that creates.
//
// Usage is counted, never accumulated: Check takes the lock row of (project,
// service), counts what is there, compares and lets the caller insert. Two
// creates of one project therefore follow each other; k of them against a
// free quota q give exactly min(k, q) successes on both engines.
//
// Rejected: reservations and counters, which drift; per-user quotas, which
// upstream took away.
package quota
