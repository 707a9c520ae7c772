// Package disk is what block storage and the hosts that keep volumes say to
// each other: the document of section hostlink.Volumes, the facts of its
// reports, and the interface of drivers.
//
// Invariants. A volume's content is that of its source at the time it was
// made, padded with zeros; once it is made the source is never looked at
// again, so a source may change or go. A volume never shrinks. What is not in
// the document is removed. A new volume never shows bytes of an older one.
//
// Rejected: volumes that are copy on write over their snapshots. They are
// quick to make, but then a snapshot cannot go before its children, a chain
// grows without bound, and one damaged file takes all that hang on it. Where
// the file system can share blocks (reflink) a copy is just as quick.
package disk
