// Package transfers moves the bytes of images: upload and download, staging
// and import, snapshots made by other services, streams to hosts.
//
// How a crash is survived. A transfer first takes the image by a token (status
// saving, uploading or importing), then writes a file under a name of its own,
// has it inspected by the sandboxed worker, renames it, and last records size,
// digests and status under the token. Whatever is interrupted before that last
// transaction leaves an image that Sweep takes back to "queued", and a file
// that Sweep removes. No bytes are ever served that are not recorded.
//
// Rejected: a saga per upload. The client's connection is part of the work and
// cannot be resumed, so there is nothing a saga could go on with.
package transfers
