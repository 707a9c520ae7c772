package disk

import (
	"context"
	"io"

	"github.com/mekcloud/mek/internal/fault"
)

// Document is the body of the document of section hostlink.Volumes: every
// volume and snapshot that one host should keep, in the order of their ids.
type Document struct {
	Volumes []Spec `json:"volumes"`
}

// Kind tells volumes from snapshots. Snapshots are never opened for writing.
type Kind string

// The kinds.
const (
	Volume   Kind = "volume"
	Snapshot Kind = "snapshot"
)

// Raw is the format of all volumes that drivers keep today.
const Raw = "raw"

// SourceKind is where the first content comes from.
type SourceKind string

// The sources; the zero value is an empty disk.
const (
	None         SourceKind = ""
	FromImage    SourceKind = "image"
	FromSnapshot SourceKind = "snapshot" // on the same host
	FromVolume   SourceKind = "volume"   // on the same host
	FromHost     SourceKind = "host"     // the volume itself, which another host keeps until now
	FromBackup   SourceKind = "backup"   // bytes that the server reads out of its backups
)

// StreamRead is the kind of stream that reads a volume's bytes, with
// ReadParams: of hosts, and of the server for hosts that take a volume over.
const StreamRead = "volume"

// StreamBackup is the kind of stream by which the server gives hosts the bytes
// of a backup, with ReadParams: a volume is made from it.
const StreamBackup = "volume-backup"

// ReadParams name a volume or snapshot to read.
type ReadParams struct {
	ID string `json:"id"`
}

// Source is where the first content comes from.
type Source struct {
	Kind   SourceKind `json:"kind,omitempty"`
	ID     string     `json:"id,omitempty"`
	Format string     `json:"format,omitempty"` // of an image's bytes: "raw" or "qcow2", as the image service checked it
	// Guest is the server that has the source volume open; its driver then
	// gives a consistent copy. Empty: nobody writes to the source.
	Guest string `json:"guest,omitempty"`
}

// Spec is one volume or snapshot as a host should have it.
type Spec struct {
	ID        string `json:"id"`
	Kind      Kind   `json:"kind"`
	SizeBytes int64  `json:"size_bytes"` // raising it grows the volume, lowering it does nothing
	Format    string `json:"format"`     // Raw
	Source    Source `json:"source"`
	// Made says that it was there before: a host that does not have it has
	// lost it, and must say so instead of making an empty one.
	Made bool `json:"made,omitempty"`
	// Epoch is raised to replace the content: a host that has the volume of an
	// earlier epoch makes it anew from Source and keeps the old content until
	// the new one is whole. A later epoch than asked for is as good.
	Epoch int64 `json:"epoch,omitempty"`
}

// Lost is what a driver answers when a volume that was made is gone.
func Lost(id string) error { return fault.NotFoundf("the data of volume %s is not on its host", id) }

// Check refuses a spec that can never be met.
func (s Spec) Check() error {
	switch {
	case s.ID == "":
		return fault.Invalidf("a volume needs an id")
	case s.Kind != Volume && s.Kind != Snapshot:
		return fault.Invalidf("volume %s is of an unknown kind", s.ID)
	case s.SizeBytes <= 0:
		return fault.Invalidf("volume %s needs a size", s.ID)
	case s.Format != Raw:
		return fault.Invalidf("volume %s has a format that hosts do not keep", s.ID)
	case s.Source.Kind != None && s.Source.ID == "":
		return fault.Invalidf("volume %s has a source without an id", s.ID)
	case s.Epoch < 0:
		return fault.Invalidf("volume %s has an epoch that cannot be", s.ID)
	}
	switch s.Source.Kind {
	case None, FromImage, FromSnapshot, FromVolume, FromHost, FromBackup:
		return nil
	}
	return fault.Invalidf("volume %s has an unknown source", s.ID)
}

// Facts are what a host knows of one volume or snapshot: facts of a hostlink report.
type Facts struct {
	ID        string `json:"id"`
	SizeBytes int64  `json:"size_bytes"`
	Format    string `json:"format"`
}

// Space is how much a host can keep, in bytes.
type Space struct {
	Total int64 `json:"total"`
	Free  int64 `json:"free"`
}

// File is where a volume is on its host.
type File struct {
	Path     string
	Format   string
	ReadOnly bool
}

// Driver keeps volumes on one host. Safe for concurrent use; calls for one id
// take turns. Errors are faults: Invalid and Conflict for what will never
// work (a size too small for the image, no space left), Unavailable for what
// may work later, NotFound for a source that is not there.
type Driver interface {
	// List tells of everything that is kept, made by whichever process.
	List(ctx context.Context) ([]Facts, error)
	// Ensure makes the volume as spec says. It MUST be idempotent, MUST leave
	// nothing that List shows when it fails to make one, and MUST be able to
	// begin again after a crash at any point.
	Ensure(ctx context.Context, spec Spec) (Facts, error)
	// Destroy removes it; one that is not here is no error.
	Destroy(ctx context.Context, id string) error
	// Locate tells where it is. Unavailable when it is not here yet.
	Locate(ctx context.Context, id string) (File, error)
	// Open reads its bytes, raw, from the first to the last. NotFound when it is not here.
	Open(ctx context.Context, id string) (io.ReadCloser, Facts, error)
	// Space measures.
	Space(ctx context.Context) (Space, error)
}
