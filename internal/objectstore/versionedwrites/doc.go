// Package versionedwrites keeps what is replaced in another container, as Swift
// did before it had versions of objects: as a stack, from which a delete brings
// the last one back (X-Versions-Location), or as a history, in which a delete
// leaves a mark (X-History-Location).
//
// What is kept shares its bytes with what was replaced, and coming back is a
// move: nothing is copied. Invariant: an object is replaced only after it is kept.
package versionedwrites
