// Package wire holds what several resources of block storage serve in the same
// way: metadata, the filters and scopes of lists, and how rules are declared.
package wire
