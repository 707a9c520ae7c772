// Package search finds providers. It is pure: an index of all providers in
// memory, and the questions it answers. Package records keeps it current.
//
// A request is compiled once: names of classes and traits become small numbers,
// so that looking at one of ten thousand hosts costs some tens of nanoseconds.
// The search goes tree by tree, since a candidate never spans two trees except
// for providers that share by an aggregate, and stops at the limit; OpenStack
// collects all answers of each group first and multiplies them afterwards.
package search
