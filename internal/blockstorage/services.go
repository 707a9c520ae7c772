package blockstorage

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
)

// Viewer is on whose behalf another service asks.
type Viewer struct {
	ProjectID string
	UserID    string
	Admin     bool // sees every project's volumes
}

// NewVolume asks for a volume. The id is minted by the caller, so that the
// call may be repeated.
type NewVolume struct {
	ID        string
	Viewer    Viewer
	Name      string
	SizeGiB   int64 // 0: the source's
	Type      string
	Zone      string
	ImageID   string
	Snapshot  string
	Volume    string
	Transient bool
	Host      string // where it shall be made; empty: anywhere
	Metadata  map[string]string
}

// Reservation asks for a volume for a server. ID is the attachment's, minted by the caller.
type Reservation struct {
	ID       string
	VolumeID string
	ServerID string
	Viewer   Viewer
	ReadOnly bool
}

// NewSnapshot asks for a snapshot of a volume, which may be in use. The id is
// minted by the caller, so that the call may be repeated.
type NewSnapshot struct {
	ID, VolumeID string
	Viewer       Viewer
	Name         string
}

// Service is what compute may ask of block storage. Safe for concurrent use;
// every call may be repeated with the same ids.
type Service interface {
	// Lookup finds a volume of the viewer; NotFound otherwise.
	Lookup(ctx context.Context, viewer Viewer, id string) (*Volume, error)
	// LookupSnapshot finds a snapshot of the viewer; NotFound otherwise.
	LookupSnapshot(ctx context.Context, viewer Viewer, id string) (*Snapshot, error)
	// Create records a volume and begins to make it. OverQuota, Invalid, NotFound of a source.
	Create(ctx context.Context, in NewVolume) (*Volume, error)
	// Ready waits until the volume is made. Unavailable when ctx ends first,
	// Conflict with its reason when it cannot be made, NotFound when it was deleted.
	Ready(ctx context.Context, id string) (*Volume, error)
	// Discard deletes a volume that no server uses, whatever its status; one
	// that does not exist is fine. It does not wait.
	Discard(ctx context.Context, id string) error
	// Reserve keeps a volume for a server: status reserved. Invalid when its
	// status forbids it. Repeating it with the same id changes nothing.
	Reserve(ctx context.Context, r Reservation) (*Attachment, error)
	// Connect makes the volume available on the server's host, moving it there
	// if it is elsewhere, which may take long; call it again until it succeeds.
	Connect(ctx context.Context, attachment, host string) (*Volume, error)
	// Disconnect says that the server no longer uses the volume on a host other
	// than keep, so that Connect may take it there; an attachment that is not
	// connected elsewhere, or not there, is fine.
	Disconnect(ctx context.Context, attachment, keep string) error
	// Complete says that the server has the volume: status in-use.
	Complete(ctx context.Context, attachment, device string) error
	// BeginDetach marks that the server gives the volume back: status
	// detaching. Invalid when the volume is not in use.
	BeginDetach(ctx context.Context, attachment string) error
	// RollDetach takes BeginDetach back.
	RollDetach(ctx context.Context, attachment string) error
	// Detach ends an attachment in any state; one that does not exist is fine.
	Detach(ctx context.Context, attachment string) error
	// Reimage overwrites a volume, which no running guest has, with an image that
	// the user may use, and waits. A call while one is under way waits for that
	// one. Unavailable when ctx ends first, Conflict when it failed, Invalid for
	// an image that does not fit.
	Reimage(ctx context.Context, volume, imageID string) error
	// Snapshot records a snapshot and begins to take it. OverQuota, Invalid, NotFound of the volume.
	Snapshot(ctx context.Context, in NewSnapshot) error
	// SnapshotReady waits until a snapshot is taken. Unavailable when ctx ends
	// first, Conflict with its reason when it cannot be, NotFound when it was deleted.
	SnapshotReady(ctx context.Context, id string) error
	// DiscardSnapshot deletes a snapshot, whatever its status; one that does
	// not exist is fine. It does not wait.
	DiscardSnapshot(ctx context.Context, id string) error
}

// Servers is what block storage may tell compute.
type Servers interface {
	// Extended says that a volume of a running server has grown, so that the
	// guest learns it. request is the id of the request that asked for it. It does not wait.
	Extended(ctx context.Context, server, volume, request string, sizeGiB int64) error
}

// Volumes is what the features of this service see of volumes.
type Volumes interface {
	// Get loads a volume with its attachments; NotFound when there is none.
	Get(ctx context.Context, id string) (*Volume, error)
	// Change loads a volume inside a transaction, keeps others from it, lets f
	// change it and writes it. An error of f leaves it as it is.
	Change(ctx context.Context, tx *db.Tx, id string, f func(v *Volume) error) (*Volume, error)
	// CheckQuota refuses with OverQuota when the project may not have so much more.
	CheckQuota(ctx context.Context, tx *db.Tx, project string, deltas map[string]int64) error
	// Detached removes an attachment and gives the volume the status that is left.
	Detached(ctx context.Context, tx *db.Tx, volume, attachment string) error
	// RaiseHost tells that what a host shall keep has changed, and returns the revision to wait for.
	RaiseHost(ctx context.Context, tx *db.Tx, host string) (int64, error)
}

// Types is what the features of this service see of types.
type Types interface {
	// Resolve finds a type by id or name among those that a project may use.
	// An empty word gives the project's default type.
	Resolve(ctx context.Context, word, project string, admin bool) (*Type, error)
	// Names maps ids to names, for views of many volumes, as tx sees them; nil:
	// as they are committed. Nobody changes the map.
	Names(ctx context.Context, tx *db.Tx) (map[string]string, error)
}

// Snapshots is what volumes see of snapshots.
type Snapshots interface {
	// Get loads a snapshot; NotFound when there is none.
	Get(ctx context.Context, id string) (*Snapshot, error)
	// CountOf tells how many snapshots a volume has.
	CountOf(ctx context.Context, tx *db.Tx, volume string) (int64, error)
	// DropAll marks all snapshots of a volume as being deleted: hosts no longer keep them.
	DropAll(ctx context.Context, tx *db.Tx, volume string) error
	// EraseAll removes the rows of all snapshots of a volume.
	EraseAll(ctx context.Context, tx *db.Tx, volume string) error
	// Latest is the newest snapshot of a volume; NotFound when it has none.
	Latest(ctx context.Context, volume string) (*Snapshot, error)
	// Alter loads a snapshot in a transaction, lets f change it and writes it.
	Alter(ctx context.Context, tx *db.Tx, id string, f func(s *Snapshot) error) error
}

// Backups is what volumes see of backups.
type Backups interface {
	// Get loads one; NotFound when there is none.
	Get(ctx context.Context, id string) (*Backup, error)
	// BeginRestore marks that a volume is made from a backup. Invalid when the
	// backup's status forbids it.
	BeginRestore(ctx context.Context, tx *db.Tx, backup, volume string) error
	// EndRestore says that this is over. A backup that is gone is fine.
	EndRestore(ctx context.Context, tx *db.Tx, backup, volume string) error
}

// Relics keeps what hosts still have of volumes and snapshots that were unmanaged.
type Relics interface {
	// Get loads one; NotFound when there is none.
	Get(ctx context.Context, id string) (*Relic, error)
	// Keep records one in the transaction that forgets what it was.
	Keep(ctx context.Context, tx *db.Tx, r *Relic) error
	// Drop forgets one; one that is not there is fine. Its host removes the data
	// as soon as it is raised, which is the caller's to do.
	Drop(ctx context.Context, tx *db.Tx, id string) error
}

// Groups is what volumes see of groups.
type Groups interface {
	// Get loads one; NotFound when there is none.
	Get(ctx context.Context, id string) (*Group, error)
}

// Attachments is what volumes see of attachments.
type Attachments interface {
	// Get loads one; NotFound when there is none.
	Get(ctx context.Context, id string) (*Attachment, error)
	// Of lists the attachments of volumes, by volume.
	Of(ctx context.Context, volumes ...string) (map[string][]Attachment, error)
	// InTx lists the attachments of one volume as a transaction sees them.
	InTx(ctx context.Context, tx *db.Tx, volume string) ([]Attachment, error)
	// Insert, Set and Remove write attachments; Remove of a missing one is fine.
	Insert(ctx context.Context, tx *db.Tx, a *Attachment) error
	Set(ctx context.Context, tx *db.Tx, a *Attachment) error
	Remove(ctx context.Context, tx *db.Tx, id string) error
}

// Message tells a user why accepted work failed.
type Message struct {
	ProjectID, RequestID string
	Kind                 string // "VOLUME", "VOLUME_SNAPSHOT"
	ResourceID           string
	Event                string // upstream's number of action and detail, "001_003"
	Text                 string
}

// Messages takes messages in the transaction that records the failure.
type Messages interface {
	Tell(ctx context.Context, tx *db.Tx, m Message) error
}
