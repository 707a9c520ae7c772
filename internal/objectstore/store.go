package objectstore

import (
	"context"
	"io"
	"time"

	"github.com/mekcloud/mek/internal/event"
)

// Store is a back end. All methods are safe for concurrent use.
//
// Errors are faults: NotFound for what is not there (or is a delete marker, or
// has expired), Conflict for a container that is not empty or a deleted account,
// TooLarge for bytes beyond Put.Limit, Invalid with code CodeChecksum for bytes
// that do not hash to Put.ETag, Invalid with code CodeIncomplete for a body that
// ended early, Unavailable with code CodeFull when the disk is full, Internal for
// bytes that rotted. Faults of a body and errors of the functions check and change
// are returned as they are. NotFound for a delete marker has code CodeMarker, and
// its version as Detail["version"].
//
// Every change carries an event record that commits with it. A zero record means
// that the change is the cloud's own and is not audited.
type Store interface {
	// Account gives an account; NotFound until something was made in it.
	Account(ctx context.Context, name string) (*Account, error)
	// ChangeAccount makes an account that is missing and stores what change did
	// to its Headers.
	ChangeAccount(ctx context.Context, name string, change func(*Account) error, e event.Record) (*Account, error)
	// DeleteAccount marks an account deleted at once; its containers and objects
	// go in the background, and then the account itself is forgotten.
	DeleteAccount(ctx context.Context, name string, e event.Record) error
	// Accounts lists names in order of their bytes.
	Accounts(ctx context.Context, after string, limit int) ([]string, error)

	Container(ctx context.Context, account, name string) (*Container, error)
	// PutContainer makes a container (and its account) that is missing, and stores
	// what change did to its Headers and Versioning; created tells change and the
	// caller which of the two it was.
	PutContainer(ctx context.Context, account, name string, change func(c *Container, created bool) error, e event.Record) (c *Container, created bool, err error)
	// DeleteContainer refuses one that holds anything, versions included.
	DeleteContainer(ctx context.Context, account, name string, e event.Record) error
	// Containers lists an account in the order of Listing.
	Containers(ctx context.Context, account string, l Listing) ([]ContainerEntry, error)

	// Put stores bytes as an object. Any error of body aborts it without a trace.
	Put(ctx context.Context, p Put, body io.Reader) (*Object, error)
	// Compose stores an object whose bytes are those of parts, in order, without
	// reading them. p.ETag is what the object shows. With move the parts go in the
	// same commit; otherwise they stay, and share their bytes with it. One part is
	// a copy. NotFound when a part is missing.
	Compose(ctx context.Context, p Put, parts []Key, move bool) (*Object, error)
	// Head gives an object without its bytes.
	Head(ctx context.Context, k Key) (*Object, error)
	// Open gives an object with its bytes, which stay readable until Close
	// whatever happens to the object.
	Open(ctx context.Context, k Key) (*Object, Content, error)
	// ChangeObject stores what change did to Headers, ContentType and DeleteAt.
	ChangeObject(ctx context.Context, k Key, change func(*Object) error, e event.Record) (*Object, error)
	// Delete removes an object as the versioning of its container says, or exactly
	// the version that k names; then the newest one that is left is the current one.
	// Where versions are kept, deleting what is not there makes a delete marker
	// too: check gets nil, and nothing is Removed.
	Delete(ctx context.Context, k Key, check func(*Object) error, e event.Record) (Deletion, error)
	// Withdraw is Delete as the Swift API has it: while versioning is suspended no
	// markers are made, no other version becomes current when the current one goes,
	// and NullVersion names the current object where there is no null version.
	Withdraw(ctx context.Context, k Key, check func(*Object) error, e event.Record) (Deletion, error)
	// Restore makes the version that k names the current object, whatever is newer.
	// check is that of Put.
	Restore(ctx context.Context, k Key, check func(a *Account, c *Container, current *Object) error, e event.Record) (*Object, error)
	// Objects lists a container in the order of Listing.
	Objects(ctx context.Context, account, container string, l Listing) ([]ObjectEntry, error)
	// Expired lists objects whose DeleteAt is not after now, the oldest first.
	Expired(ctx context.Context, now time.Time, limit int) ([]Object, error)
}

// Codes of faults that the APIs answer in their own way.
const (
	CodeChecksum   = "BadDigest"
	CodeIncomplete = "IncompleteBody"
	CodeFull       = "InsufficientStorage"
	CodeMarker     = "DeleteMarker"
)

// Put says what to store under a key. Key.Version must be empty.
type Put struct {
	Key
	Size        int64 // bytes of the body; -1: until it ends
	Limit       int64 // most bytes taken; 0: no limit
	ETag        string
	ContentType string
	Headers     Headers // kept as they are when the body has ended: its reader may add what came behind it
	DeleteAt    time.Time
	ListedSize  int64 // as in Object
	ListedETag  string
	// Check, when set, decides once more right before the commit, under the lock
	// of the container: conditions and quotas hold exactly. current is nil when
	// there is no such object. It must not block.
	Check func(a *Account, c *Container, current *Object) error
	Event event.Record
}

// Deletion is what a delete did.
type Deletion struct {
	Removed *Object // what went, or became noncurrent
	Marker  *Object // the delete marker that was made, or nil
}

// Content is the bytes of an opened object.
type Content interface {
	io.Closer
	// Range reads length bytes from offset. The reader is an io.WriterTo that
	// copies file by file, so that a kernel may send them without our help.
	Range(offset, length int64) io.Reader
}
