// Package shipping copies the log of the SQLite database into a second folder
// while the server works, so that losing the database loses less than a second.
//
// The engine is litestream, which reads the write-ahead log beside the server's
// own connections; this package says when, where to, and how far it has come.
//
// Invariants: what Behind answers has been made durable in the second folder
// but for so long; a folder holds one history of the database, since each epoch
// has its own; a restore takes the latest history that is whole.
//
// The database is opened by Start before anything else of the process opens it,
// and closed by Close after everything else has closed it: closing one descriptor
// of a file ends all of the process's locks on it.
//
// Rejected: copying pages by our own reading of the log; SQLite's session
// extension, which knows rows but neither schema nor order between databases.
package shipping
