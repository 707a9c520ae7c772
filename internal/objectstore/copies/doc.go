// Package copies copies objects of the Swift API within the store: the method
// COPY and the header X-Copy-From. A plain object is copied without touching its
// bytes; ranges and large objects are read and written.
package copies
