// Package wire holds what several resources of block storage serve in the same
// way: metadata, and the filters and scopes of lists.
package wire
