// Package transfers gives volumes to other projects: the owner makes a
// transfer and passes its key on, the receiver accepts with it. The key is
// shown once; only its salted digest is kept.
package transfers
