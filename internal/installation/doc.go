// Package installation puts a cloud on a machine and takes it off again: what
// stands behind "mek up", "down", "status", "wait", "env", "launch", "ssh",
// "doctor" and "uninstall". Commands parse flags and print; this package works.
//
// Invariants:
//   - Every change of the host is in the ledger before it is made.
//   - Up is idempotent: a second one on a healthy cloud changes nothing. Killed
//     at any moment and run again, it arrives at the same place.
//   - What a person deleted is not made again: samples are remembered once made.
//   - Existing network cards, bridges, packet filters and services are never touched.
//
// An error that people see is a Failure: what failed, why, what to do, where to
// look. Data goes to standard output, progress and warnings to standard error
// when output is for machines.
package installation
