// Package objectstore is the contract of object storage: accounts, containers
// and objects as Swift knows them, with versions as S3 knows them. It has no I/O.
//
// Store is what a back end offers; objectstore/store keeps bytes in files and
// the index in Pebble, and objectstore/storetest holds the suite that every back
// end passes. The Swift API and the S3 API both stand on a Store: what one of
// them writes, the other one shows.
//
// Invariants: a write is durable when it returns; an object is either whole or
// not there; a container's counts are those of its rows; the ETag of bytes is
// verified before they become visible.
//
// Rejected: a store of Swift's verbs (the S3 side would have to imitate an HTTP
// client), and hidden containers for versions as Swift's middleware keeps them
// (no change of two containers is atomic there).
package objectstore
