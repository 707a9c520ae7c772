// Package store keeps objects on one machine: the index in Pebble, small bodies
// in it, larger ones as files.
//
// A change is one batch of Pebble, applied under the lock of its account and
// awaited outside of it, so that writers of one container share a flush. The
// batch is the only commit point: it holds the object, the counts of container
// and account, the claim on each file, and the audit record.
//
// A body that is too large to lie in the index is written below tmp/, renamed
// into data/, synced with its folder, and then claimed by the batch. A file
// belongs to exactly one object. A copy is a hard link, so nothing is counted,
// and what a composition moves only changes its owner. A file that no row claims
// is garbage whatever left it there: the sweep removes it. A file is unlinked
// after the batch that gave it up is durable and the last reader has closed.
//
// Rows are visible a moment before they are durable, as in Pebble itself; an
// answer is given after it. Bytes are hashed again from time to time; a file that
// rotted goes to quarantine/, and its object answers an error.
//
// Rejected: reference counts (a crash between two of them loses or leaks bytes),
// bodies inside the rows that listings read, one lock per container (accounts
// have quotas too), waiting for the flush under the lock (one commit at a time).
package store
