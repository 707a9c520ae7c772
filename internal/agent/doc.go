// Package agent is the core of the process on every host: it keeps what the
// server last said each section should be, has the section's Applier make it
// so, and tells the server how far things are.
//
// Invariants: a document is on disk before it is accepted; an older document
// never replaces a newer one; what is on disk is applied again at start
// without asking anybody, so a host works on while the server is down; a
// command runs once per token, and its result is kept until it is forgotten;
// commands of one object run one after the other.
//
// Drivers live in subpackages and below the services; this package knows no
// guest, port or volume. A database for the journal was rejected: it holds a
// few records, is read once, and must survive a cut in the middle of a write.
package agent
