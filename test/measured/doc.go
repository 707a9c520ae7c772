// Package measured is one line of JSON for each thing that "make limits", "make
// bench" and "make scale" measure. tools/performance writes docs/performance.md
// from such lines, and from nothing else.
package measured
