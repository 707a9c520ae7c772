// Package symlinks makes links between objects of the Swift API: dynamic ones,
// which are looked up when they are read, and static ones, which hold for one
// ETag only. Package reading follows them.
package symlinks
