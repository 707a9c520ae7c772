// Package reconcile keeps things true: named functions that look at the whole
// truth and repair what differs, run periodically and when poked.
//
// A reconciler takes no arguments and a poke carries no data: a lost, repeated
// or early poke changes nothing but the time, and there is one code path for
// "something changed" and "something was missed". Runs of one reconciler never
// overlap; a poke during a run causes one more. A failure is tried again with
// back-off; a panic is a failure.
//
// For work that somebody waits for and that must be undone there is package task.
package reconcile
