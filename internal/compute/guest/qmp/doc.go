// Package qmp is a client of QEMU's machine protocol: JSON over a unix socket,
// with file descriptors passed beside it.
//
// Each command carries an id, so that answers find their caller in any order
// and out-of-band commands overtake a busy monitor. Every wait ends with its
// context: a QEMU that falls silent blocks nobody for ever. Events go to
// subscribers that never hold up the reader.
//
// The bytes come from a process that runs a tenant's machine and may be taken
// over by it. Lines are bounded, JSON is decoded by the standard library into
// what was asked for, and anything that is not the protocol ends the connection.
//
// Rejected: digitalocean/go-qemu (one command at a time, no deadline);
// generating types from QEMU's schema (two hundred thousand lines for the
// thirty commands in use).
package qmp
