package objectstore

import "time"

// Headers are the attributes that an account, a container or an object keeps,
// by canonical HTTP header name: "X-Container-Meta-Color", "X-Container-Read",
// "Content-Encoding". A store does not interpret them. Names that begin with
// "X-Sysmeta-" belong to features and are never shown.
type Headers map[string]string

// Account is one account. Its counts are those of its containers.
type Account struct {
	Name       string // as in the path: "AUTH_" and the project's id
	Headers    Headers
	Containers int64
	Objects    int64
	Bytes      int64 // of current objects
	AllBytes   int64 // of current objects and versions: what quotas count
	CreatedAt  time.Time
	ChangedAt  time.Time
	Deleted    bool // waits for the reaper; nothing can be made or found in it
}

// Versioning says what happens to an object that is replaced or deleted.
type Versioning uint8

// The states of versioning. Suspended keeps the versions there are, and new
// objects replace the one whose version is NullVersion.
const (
	Unversioned Versioning = iota
	Versioned
	Suspended
)

// Container is one container, an S3 bucket.
type Container struct {
	Account    string
	Name       string
	Headers    Headers
	Versioning Versioning
	Objects    int64 // current objects; versions and delete markers are not counted
	Bytes      int64 // of current objects
	Versions   int64 // noncurrent versions and delete markers
	AllBytes   int64 // of current objects and versions: what quotas count
	CreatedAt  time.Time
	ChangedAt  time.Time
}

// NullVersion is the version of an object that was written while its container
// was not versioned, or while versioning was suspended.
const NullVersion = "null"

// Key names an object. Version is empty for the current one.
type Key struct {
	Account   string
	Container string
	Name      string // UTF-8 without NUL, at most 1024 bytes
	Version   string
}

// Object is one object, or one version of it. Listings give it too.
type Object struct {
	Key               // Version is always set: NullVersion, or an identifier that sorts newest first
	Current      bool // false: a noncurrent version
	DeleteMarker bool // stands for "deleted": no bytes
	Size         int64
	ETag         string // MD5 of the bytes in hexadecimal, or what the writer of a composed object said
	ContentType  string
	Headers      Headers
	ModifiedAt   time.Time // of the last PUT or POST; unique within a name
	CreatedAt    time.Time // of the bytes
	DeleteAt     time.Time // zero: never
	// ListedSize and ListedETag stand in listings and sums of manifests, whose
	// own bytes are a list of segments. ListedETag empty: ETag and Size hold.
	ListedSize int64
	ListedETag string
}
