// Package images keeps the records of images: create, list, show, update by
// JSON patch, delete, tags, deactivation. The bytes are package transfers'
// business; it moves an image through its statuses by the methods here.
//
// Invariants. A change of status is one of the published automaton, checked in
// the transaction that makes it. A transfer (upload, staging, import) owns its
// image by a token; who lost the token, because the image was deleted or the
// transfer was given up for dead, changes nothing any more.
//
// Rejected: rest.Resource for these reads. Glance takes every unknown
// parameter for a filter on additional properties, sorts downwards by default
// and shows properties beside its own members.
package images
