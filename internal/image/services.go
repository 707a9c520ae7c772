package image

import (
	"context"
	"io"
)

// Viewer is on whose behalf another service asks for an image.
type Viewer struct {
	ProjectID string
	Admin     bool // sees every image
}

// NewImage is what a snapshot of a server or volume becomes. The id is minted
// by the caller, so that every call may be repeated.
type NewImage struct {
	ID         string
	Name       string
	Owner      string
	Visibility Visibility // empty: private
	Disk       Format
	Container  string // empty: bare
	MinDisk    int64  // GiB
	MinRAM     int64  // MiB
	Protected  bool
	Tags       []string
	Properties map[string]string
}

// Bytes is an image's content, open for reading.
type Bytes interface {
	io.Reader
	io.ReaderAt
	io.Closer
	Size() int64
}

// Service is what compute and block storage may ask of the image service.
// Safe for concurrent use.
type Service interface {
	// Lookup finds an image that the viewer may use. NotFound for one that does
	// not exist or is not shown to it. It does not ask for a status: see Image.Usable.
	Lookup(ctx context.Context, viewer Viewer, id string) (*Image, error)
	// Find lists a project's active images that have all these properties, newest first.
	Find(ctx context.Context, owner string, properties map[string]string) ([]*Image, error)
	// Open opens the bytes of an active image without asking who wants them:
	// callers MUST have looked the image up for their user. NotFound when it has none.
	Open(ctx context.Context, id string) (*Image, Bytes, error)
	// Create records an image without bytes, status queued. Creating it again
	// with the same id and owner changes nothing; Conflict for another owner.
	// OverQuota when the project may have no more images.
	Create(ctx context.Context, in NewImage) error
	// Fill stores the bytes of an image that Create recorded and makes it
	// active. An image that is active already is left alone and r is not read,
	// and an upload that was left unfinished is taken over; so a repeated call is
	// safe. The content must be of the declared format, UnsupportedMedia otherwise.
	// TooLarge when it does not fit, Gone or NotFound when it was deleted meanwhile.
	Fill(ctx context.Context, id string, r io.Reader) (*Image, error)
	// Discard deletes an image that Create recorded, in any status, protected
	// or not; one that does not exist is fine.
	Discard(ctx context.Context, id string) error
}

// Claims tells which hosts may read which images: those with a server or a
// volume that is made from it. Compute and block storage each have one.
type Claims interface {
	HostMayRead(ctx context.Context, host, image string) (bool, error)
}
