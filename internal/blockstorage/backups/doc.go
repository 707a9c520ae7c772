// Package backups copies volumes into a store of backups and back.
//
// The server reads a volume's bytes from its host. Of a volume that a server
// writes to, the host first makes a passing copy, as for a snapshot, and the
// bytes are read from that. A host that makes a volume from a backup fetches
// the bytes from the server, which checks that it shall have them.
//
// Invariants. A backup whose children are incremental is not deleted. What a
// backup keeps is removed when its last record is: an imported record shares
// the pieces of the one that was exported.
package backups
