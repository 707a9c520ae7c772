package objectstore

import "context"

// Reader gives objects as clients see them: links are followed, large objects
// are whole. What it gives has the same bytes in every API.
//
// Errors are those of Store, and Conflict for links that lead nowhere good and
// large objects whose first segment is not what its manifest says. Those faults
// name the object that they are about in Detail[DetailLocation].
type Reader interface {
	Head(ctx context.Context, k Key, v View) (*Whole, error)
	Open(ctx context.Context, k Key, v View) (*Whole, Content, error)
}

// DetailLocation is the member of a fault's Detail with the path of the object
// behind a link, escaped, as Swift's Content-Location has it.
const DetailLocation = "location"

// View says how to look at an object. The zero View is a client's.
type View struct {
	Link     bool // a link itself, not what it points to
	Manifest bool // the bytes of a large object's manifest
	// Allow is asked before objects behind a link or a manifest are read; its error
	// is the answer. nil allows everything.
	Allow func(ctx context.Context, account, container string) error
}

// Kind tells how an object's bytes are kept.
type Kind uint8

// The kinds of objects.
const (
	PlainObject   Kind = iota
	StaticLarge        // by a list of segments
	DynamicLarge       // by a prefix of names
	SymbolicLink       // only with View.Link
	LargeManifest      // only with View.Manifest: the manifest of a StaticLarge
)

// Whole is an object as a client sees it. Size and ETag are those of all bytes.
type Whole struct {
	Object
	Kind         Kind
	ManifestETag string  // of the bytes of the manifest
	Parts        []int64 // sizes of the segments of a StaticLarge; Head leaves them out
	Through      []Key   // links on the way to Object, the first one is what was asked for
}

// Attributes by which objects say that they are more than their bytes. They are
// set by the Swift API; a store does not know them.
const (
	HeaderManifest      = "X-Object-Manifest"        // container/prefix, escaped
	HeaderStatic        = "X-Static-Large-Object"    // "True"
	HeaderStaticETag    = "X-Sysmeta-Slo-Etag"       // of the whole
	HeaderStaticSize    = "X-Sysmeta-Slo-Size"       // of the whole
	HeaderLink          = "X-Sysmeta-Symlink-Target" // container/object, escaped
	HeaderLinkAccount   = "X-Sysmeta-Symlink-Target-Account"
	HeaderLinkETag      = "X-Sysmeta-Symlink-Target-Etag" // the target must have it
	HeaderLinkBytes     = "X-Sysmeta-Symlink-Target-Bytes"
	HeaderRead          = "X-Container-Read"
	HeaderWrite         = "X-Container-Write"
	HeaderAccountAccess = "X-Account-Access-Control"
	HeaderProjectDomain = "X-Sysmeta-Project-Domain-Id"
)

// Primed is a reader that can make sure that its first bytes are there before
// anything is told about them. Prime MUST be called before the first Read, or not at all.
type Primed interface{ Prime() error }
