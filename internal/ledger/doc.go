// Package ledger remembers every change that a cloud makes to its host, in one
// append-only file. A change is recorded before it is made, so that whatever a
// crash leaves behind is known; "uninstall" replays the file backwards and
// "doctor" compares it with the host.
//
// Invariants:
//   - Record returns after the line is on disk. Only then may the change be made.
//   - Each line carries a checksum. A torn last line is dropped, and the change
//     it announced was never made. A damaged line in the middle is an error.
//   - Several processes append at once (up, server, agent): each write takes a
//     lock on a file beside the ledger and starts from the file's real end.
//   - Recording what is already recorded changes nothing, and keeps the old
//     value that was seen first: the value to return to.
//
// Rejected: a table in the database (must outlive it, and is needed before it
// exists); reading the host and guessing what is ours from names (a name is no
// proof of ownership).
package ledger
