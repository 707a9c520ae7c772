// Package backup is one file with the whole control plane in it: the database at
// one instant, the index of objects, settings, certificates and sealed secrets.
//
// Invariants: a file under its final name is whole (it is written beside, flushed
// and renamed); its last member is a manifest with the SHA-256 of every other, so
// that a cut file has none; what is unpacked is exactly what the manifest lists.
//
// The index of objects is taken before the database: what the database then says
// of exported events is never behind the index.
//
// Not inside: bytes. Images, volumes, disks of servers and bodies of objects stay
// where they are, and are backed up by whatever backs up file systems.
//
// Rejected: a format of our own. A tar with gzip can be opened by hand on the day
// when nothing else works.
package backup
