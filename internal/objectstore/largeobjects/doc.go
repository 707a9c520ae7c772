// Package largeobjects writes and deletes large objects of the Swift API:
// manifests of static large objects are checked segment by segment when they are
// put; dynamic ones are a header. Package reading gives them as wholes.
package largeobjects
