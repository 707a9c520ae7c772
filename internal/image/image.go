package image

import "time"

// Visibility says who sees an image.
type Visibility string

// The visibilities. Community images are usable by everyone but listed only on request.
const (
	Public    Visibility = "public"
	Private   Visibility = "private"
	Shared    Visibility = "shared"
	Community Visibility = "community"
)

// Store is the name of the one store there is.
const Store = "file"

// HashAlgo is the secure hash that images carry (os_hash_algo).
const HashAlgo = "sha512"

// Image is one image. Text members that are not set are empty; on the wire
// most of them are then null.
type Image struct {
	ID          string
	Name        string
	Named       bool   // a name was given; without one it is null on the wire
	Owner       string // project; empty: nobody's
	Status      Status
	Visibility  Visibility
	Disk        Format // disk_format as declared; empty: not declared yet
	Container   string // container_format; empty: not declared yet
	Content     Format // what the worker found in the bytes; empty: unknown, or no bytes
	Size        int64  // bytes; -1 before there are any
	VirtualSize int64  // bytes that a guest sees; -1 when unknown
	MinDisk     int64  // GiB
	MinRAM      int64  // MiB
	Checksum    string // MD5 in hexadecimal
	HashValue   string // SHA-512 in hexadecimal
	Protected   bool
	Hidden      bool
	Tags        []string          // sorted, each once
	Properties  map[string]string // additional properties
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Usable tells whether servers and volumes may be made from the image, and
// why not: it needs bytes, allowed to be read, of a format that is known.
func (i *Image) Usable() bool {
	return i.Status == Active && i.Content != ""
}

// Visible tells whether a project sees the image. member is the status of its
// membership, empty when it is none; an image that is only offered ("pending")
// can be used by its id all the same.
func (i *Image) Visible(project, member string) bool {
	switch {
	case i.Visibility == Public || i.Visibility == Community:
		return true
	case project != "" && i.Owner == project:
		return true
	}
	return i.Visibility == Shared && member != ""
}
