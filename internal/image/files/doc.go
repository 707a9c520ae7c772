// Package files keeps the bytes of images as files of one folder.
//
// A file's name is the image's id and what the file is: "ID.image" is an
// image, "ID.staged" waits for an import, "ID.RANDOM.part" is being written.
// So whatever a crash leaves can be told by its name (List), and belongs to a
// row or to nobody. An image or staged file appears whole or not at all:
// written under a .part name, synced, renamed, and the folder synced.
//
// The folder is the owner's alone (0700); the files in it may be read by all
// (0444), because a worker process of another user opens the one it was handed.
//
// Memory: four buffers of 1 MiB per upload, whatever the size of the image.
// Digests are computed beside the write, each in its own thread.
//
// Rejected: sparse writing of zeros (the size of an upload would no longer say
// what it takes on disk), and content addressing (deleting would need counts).
package files
