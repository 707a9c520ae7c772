package hostlink

import (
	"context"
	"encoding/json"
	"io"
	"time"
)

// Section names one part of what a host should have; each has one owner.
type Section string

// The sections there are.
const (
	Guests  Section = "guests"  // compute: guest.Spec per server
	Ports   Section = "ports"   // network: hostnet.Port per bound port
	Volumes Section = "volumes" // block storage: disk.Spec per volume or snapshot kept on this host
)

// Document is what one host should have of one section, rendered by the server.
// Digest is SHA-256 in hexadecimal over the canonical JSON of Body.
type Document struct {
	Section  Section         `json:"section"`
	Revision int64           `json:"revision"` // one counter per host and section, raised in the changing transaction
	Digest   string          `json:"digest"`
	Body     json.RawMessage `json:"body"`
	// Epoch is raised when the server's database went back in time, as after a
	// restore: a document of a later epoch replaces one of an earlier epoch
	// whatever their revisions, and what the earlier one named and the later
	// one does not is kept (see Kept).
	Epoch int64 `json:"epoch,omitempty"`
	// Kept is what the host keeps beside or instead of what Body says, by id.
	// The agent's core sets it for Apply; it does not travel.
	Kept map[string]Kept `json:"-"`
}

// Phase is how far a host is with one object.
type Phase string

// The phases of an object on a host.
const (
	Pending Phase = "pending" // being worked on
	Ready   Phase = "ready"   // as desired
	Failed  Phase = "failed"  // cannot be as desired; Error says why; tried again only when the object's spec changes
	Absent  Phase = "absent"  // not on the host, and not desired
	// Quarantined: on the host, and unknown to the server since its database
	// went back in time. It is harmless and kept until it is released or
	// desired again.
	Quarantined Phase = "quarantined"
)

// KeptKind says why a host departs from its document.
type KeptKind string

// The kinds. All come from a database that went back in time.
const (
	KeptUnknown  KeptKind = "unknown"  // the host had it, the document does not name it: it is quarantined
	KeptLost     KeptKind = "lost"     // the document names it, its data is not on the host: it is not made empty
	KeptDiverged KeptKind = "diverged" // obeying the document would throw away what its disks hold: it stays as it is
)

// Kept is one such object. Quarantine ends when a document names the object
// again or the server releases it; the others end when no document names it.
type Kept struct {
	ID    string          `json:"id"`
	Kind  KeptKind        `json:"kind"`
	Epoch int64           `json:"epoch"`          // in which it was found
	Spec  json.RawMessage `json:"spec,omitempty"` // as the last document of the earlier epoch had it
	Now   json.RawMessage `json:"now,omitempty"`  // as the first document of Epoch has it; lost and diverged
}

// VerbRelease is the command, of every section, that ends the quarantine of
// its object and has the host remove it.
const VerbRelease = "release-kept"

// Recoverer is an Applier whose objects hold what cannot be made again.
type Recoverer interface {
	// Recover is called once when the database went back in time, before the
	// first document of the new epoch is applied, with the last one of the old.
	// It answers what of now is lost or diverged, and MUST NOT change anything.
	Recover(ctx context.Context, old, now Document) ([]Kept, error)
	// Over tells whether a lost or diverged object may become what a later spec
	// says, because somebody decided so since.
	Over(k Kept, spec json.RawMessage) bool
}

// ObjectReport is one object as the host sees it.
type ObjectReport struct {
	ID    string          `json:"id"`
	Phase Phase           `json:"phase"`
	Error string          `json:"error,omitempty"` // fit for a user: no path, no command line
	Facts json.RawMessage `json:"facts,omitempty"` // section's own type, for example guest.Facts
	// Revision is that of the newest document this phase was established
	// under. The agent's core writes it; an Applier leaves it alone.
	Revision int64 `json:"revision,omitempty"`
	// Kept says that the host departs from the document; written by the core.
	Kept KeptKind `json:"kept,omitempty"`
}

// Report is what an agent says about a section after a change or on reconnect.
// It lists every object it knows, or those that may have changed since another
// report that the server took: then each is listed as it is now, and Since and
// Check tell whether it fits what the server knows. It may be whole at any time.
type Report struct {
	Host     string         `json:"host"`
	Section  Section        `json:"section"`
	Revision int64          `json:"revision"` // of the last document accepted
	Digest   string         `json:"digest"`
	Applied  int64          `json:"applied"`  // of the last document whose Apply returned; what it does not list is not on the host
	Sequence int64          `json:"sequence"` // grows with every report of this host and section
	Objects  []ObjectReport `json:"objects"`
	Epoch    int64          `json:"epoch,omitempty"` // of the last document accepted; revisions of another epoch mean nothing
	Kept     []Kept         `json:"kept,omitempty"`
	// Since is the Sequence of the report that this one goes on from; 0: it is whole.
	Since int64    `json:"since,omitempty"`
	Gone  []string `json:"gone,omitempty"`  // objects that a whole report would not list any more
	Check uint64   `json:"check,omitempty"` // of all objects, listed or not: the sum of their Checks
}

// Check is a number that changes with what a report says of an object, but for
// its revision.
func (o ObjectReport) Check() uint64 {
	h := checkBasis
	h = checkText(h, o.ID)
	h = checkText(h, o.Phase)
	h = checkText(h, o.Error)
	h = checkText(h, o.Facts)
	return checkText(h, o.Kept)
}

// The hash of Check is FNV-1a, with a zero after each text. It is written out,
// since hosts and servers work it out of thousands of objects again and again,
// and hash/fnv wants each text copied.
const (
	checkBasis uint64 = 14695981039346656037
	checkPrime uint64 = 1099511628211
)

func checkText[T ~string | ~[]byte](h uint64, text T) uint64 {
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * checkPrime
	}
	return h * checkPrime
}

// CheckOf is the sum over objects.
func CheckOf(objects []ObjectReport) (sum uint64) {
	for _, o := range objects {
		sum += o.Check()
	}
	return sum
}

// Command is a one-shot (reboot, snapshot, dump). The agent keeps token and
// result until Forget; a repeated token returns the stored result.
type Command struct {
	Token   string          `json:"token"`
	Section Section         `json:"section"`
	Object  string          `json:"object"`
	Verb    string          `json:"verb"`
	Params  json.RawMessage `json:"params,omitempty"`
	Timeout time.Duration   `json:"timeout"` // 0: 60 s
}

// Facts is what a host says of itself on joining and when it changes.
type Facts struct {
	Host      string            `json:"host"` // the agent's stable name
	ID        string            `json:"id"`   // UUID, made once per host
	Version   string            `json:"version"`
	Arch      string            `json:"arch"` // "x86_64"
	CPUs      int               `json:"cpus"`
	MemoryMiB int               `json:"memory_mib"`
	DiskGiB   int               `json:"disk_gib"`
	Address   string            `json:"address"`          // for tunnels and consoles
	Driver    string            `json:"driver"`           // "QEMU", "sim"
	DriverVer int               `json:"driver_version"`   // 7002022 for 7.2.22
	Traits    []string          `json:"traits,omitempty"` // Placement traits
	More      map[string]string `json:"more,omitempty"`   // for example accel=tcg, accel_reason=…
}

// Renderer computes a section's document body of a host from rows. It MUST be
// pure: the same rows give the same bytes. Revision comes from hoststate.
type Renderer func(ctx context.Context, host string) (body any, revision int64, err error)

// Part is a Renderer for some objects: a body with those of them that the host
// should have. It is read after the transactions that changed them.
type Part func(ctx context.Context, host string, objects []string) (body any, err error)

// Observer learns a host's reports. It may be called again with the same
// report, and with reports out of order; it compares Sequence and revisions. One
// with Since lists what may be news, and what the last documents changed.
type Observer func(ctx context.Context, r Report) error

// Elsewhere is the member of a fault's detail that names the server from which a
// host can be reached, when this one cannot reach it.
const Elsewhere = "reached-from"

// Hosts is what features of the server see of all hosts. Safe for concurrent use.
type Hosts interface {
	// Poke says that a section of a host may have changed. It carries no data,
	// never blocks and may be called for nothing.
	Poke(host string, section Section)
	// Raised says that a transaction raised the revision of a section, and the
	// rows of which objects it changed: no others are rendered. It never blocks.
	Raised(host string, section Section, revision int64, objects ...string)
	// Await blocks until the host reported the object at revision or later in
	// a phase other than Pending. Unavailable when ctx ends first.
	Await(ctx context.Context, host string, section Section, revision int64, object string) (ObjectReport, error)
	// Do runs a one-shot. Unavailable when the outcome is unknown: repeat with the same token.
	Do(ctx context.Context, host string, cmd Command) (json.RawMessage, error)
	// Forget lets the agent drop a token's result. Forgetting twice is fine.
	Forget(ctx context.Context, host, token string) error
	// Open asks the agent for a byte stream (console, snapshot bytes): the agent
	// dials, the bytes are mutually authenticated.
	Open(ctx context.Context, host, kind string, params any) (io.ReadWriteCloser, error)
	// Alive tells whether the host's lease holds.
	Alive(host string) bool
}

// Applier is one section of an agent. The agent calls Apply with each newly
// accepted document and again at start with the last one; calls do not overlap
// per section, and a newer document cancels ctx of the running one.
type Applier interface {
	// Apply makes the host as the document says, idempotently, calling report
	// with every object whose phase changed, and with Absent for each it
	// removed. It returns when nothing is left to do, and soon when ctx ends;
	// an error means that the whole document is applied again after a while.
	// An object reported again in the same phase is confirmed for this
	// document at once, others when Apply returns. report may be kept and
	// called after Apply returned, for changes that come by themselves (a
	// guest that stopped), until the next Apply brings another.
	Apply(ctx context.Context, doc Document, report func(...ObjectReport)) error
	// Inventory lists all objects of the section that are on the host now.
	Inventory(ctx context.Context) ([]ObjectReport, error)
	// Command runs a one-shot; it may be called again with the same token
	// after a crash in the middle.
	Command(ctx context.Context, cmd Command) (json.RawMessage, error)
	// Stream opens a byte stream of this section. A kind that is not the
	// section's is refused with fault.NotFound or fault.NotImplemented.
	Stream(ctx context.Context, kind string, params json.RawMessage) (io.ReadWriteCloser, error)
}

// VerbStart is the message of section guests by which a host asks whether a
// guest may run there for the first time: without an error it may.
const VerbStart = "start"

// Upstream is what an agent may ask of the server.
type Upstream interface {
	// Open dials the server for bytes, for example kind "image", params {"id": …}.
	Open(ctx context.Context, kind string, params any) (io.ReadWriteCloser, error)
	// Tell sends a small message of a section (a guest posted its password, a
	// disk watermark); the server's observer of messages may see it twice.
	Tell(ctx context.Context, section Section, object, verb string, params any) error
}

// StreamHandler serves a stream that an agent dialled to the server. The host
// is the authenticated one: a handler MUST check that the object is assigned to it.
//
// How streams end, in both directions and every placement: a read that fails
// at the sender is an error at the reader, never io.EOF. One that takes bytes
// offers CloseWrite() error, which is called at the sender's proper end; Close
// without it means that the sender was cut off. One without CloseWrite is
// closed when the other side ends.
type StreamHandler func(ctx context.Context, host string, params json.RawMessage) (io.ReadWriteCloser, error)
