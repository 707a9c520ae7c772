// Package objects serves objects of the Swift API: reads with conditions and
// ranges, writes that are streamed to the store, attributes, and versions.
package objects
