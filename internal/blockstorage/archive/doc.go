// Package archive turns the bytes of a volume into pieces that a store of
// backups keeps, and back.
//
// A volume is cut into pieces of four mebibytes. A manifest names them by
// their hashes and says where each one is kept, so that an incremental backup
// keeps only what its parent does not have, and is restored from its own
// manifest alone. Pieces of zeros are kept nowhere. The manifest is written
// last: a backup without one is unfinished. What is read back is checked
// against its hash.
//
// Stores are small on purpose: files today, an object store next.
package archive
