package guest

import (
	"context"
	"io"
	"os"
)

// Driver makes guests. Implementations MUST be safe for concurrent use, with
// calls for one guest taking turns, and MUST keep guests running when the
// process that called them dies: a new Driver over the same folders finds them.
//
// Errors are faults: NotFound for a guest that is not here, Conflict for a
// power state that forbids the call, Invalid for a Spec that can never be met,
// Unavailable for what may work when tried again, NotImplemented for what this
// driver cannot do. Their texts name no path and no command line.
type Driver interface {
	// Capabilities probes the host, once; later calls answer from memory. It
	// may take seconds the first time after the host started.
	Capabilities(ctx context.Context) (Capabilities, error)

	// List tells of every guest that is on this host, running or not,
	// including those of an earlier process, which it MUST adopt.
	List(ctx context.Context) ([]Facts, error)

	// Inspect tells of one guest. NotFound when it is not here.
	Inspect(ctx context.Context, id string) (Facts, error)

	// Ensure makes the guest as spec says: makes what is missing, plugs and
	// unplugs disks and cards of a running guest, grows disks, changes power.
	// CPUs, memory and machine change at the next start. It MUST be idempotent,
	// cheap when nothing differs, and leave a state that the next Ensure or
	// Destroy can go on from, whenever it is interrupted. The facts are those
	// reached, also beside an error if the guest exists. A guest that went off
	// by itself under the same PowerSerial is no error: Facts.Power says so.
	Ensure(ctx context.Context, spec Spec) (Facts, error)

	// Destroy removes the guest and all that is its own: process, cgroup, disks,
	// sockets, logs, snapshots. Volumes, taps and cached images stay. A guest
	// that is not here is no error.
	Destroy(ctx context.Context, id string) error

	// Reboot restarts a running guest. Soft presses the power button, waits
	// Spec.StopSeconds (120 when 0) and then does as hard does: a new process
	// from the last Spec. Conflict when it is not running (hard: paused is fine).
	Reboot(ctx context.Context, id string, kind RebootKind) error

	// Snapshot freezes the present content of a disk under a name that the
	// caller chose, flat (without a base), as qcow2. Repeated with the same
	// name it answers the same snapshot. The guest may be running.
	Snapshot(ctx context.Context, id, disk, name string) (SnapshotInfo, error)
	// OpenSnapshot reads the bytes of a snapshot.
	OpenSnapshot(ctx context.Context, id, name string) (io.ReadCloser, error)
	// DiscardSnapshot removes it. One that is not here is no error.
	DiscardSnapshot(ctx context.Context, id, name string) error

	// ConsoleLog is the end of what the guest wrote to its first serial port:
	// the last lines of it, all that is kept for lines < 0.
	ConsoleLog(ctx context.Context, id string, lines int) ([]byte, error)

	// VNC connects to the screen: the RFB protocol from its first byte, without
	// authentication. Conflict when the guest has no screen or does not run.
	VNC(ctx context.Context, id string) (io.ReadWriteCloser, error)
	// Serial connects to the first serial port; a second client waits for the first.
	Serial(ctx context.Context, id string) (io.ReadWriteCloser, error)

	// Diagnose reads counters of a running guest. Conflict when it is not running.
	Diagnose(ctx context.Context, id string) (Diagnostics, error)
	// InjectNMI sends a non-maskable interrupt.
	InjectNMI(ctx context.Context, id string) error
	// SetPassword changes a user's password through the agent in the guest.
	// Unavailable when none answers.
	SetPassword(ctx context.Context, id, user, password string) error

	// Cache fetches an image ahead of use, if the host has not got it, and tells
	// whether it had to. It stays for as long as one whose last guest left now.
	// TooLarge when it would leave the host too little room. It may be called
	// again, also while it runs.
	Cache(ctx context.Context, imageID, format string) (fetched bool, err error)

	// Next blocks until a guest changed by itself (switched off, crashed) and
	// answers its id; several changes of one guest may be told as one. One
	// caller at a time. The error is ctx's.
	Next(ctx context.Context) (id string, err error)

	// Close lets go of all guests without touching them, and waits for the
	// driver's own work to end.
	Close() error
}

// VerbCache is the command of section guests, of an image, that calls Cache:
// with CacheParams, answered by CacheAnswer.
const VerbCache = "cache-image"

// CacheParams are what VerbCache takes.
type CacheParams struct {
	Format string `json:"format"` // "raw" or "qcow2"
}

// CacheAnswer is what it answers.
type CacheAnswer struct {
	Fetched bool `json:"fetched"` // false: the host had it
}

// RebootKind is how hard a reboot is.
type RebootKind string

// The kinds of reboot, as the API spells them.
const (
	RebootSoft RebootKind = "SOFT"
	RebootHard RebootKind = "HARD"
)

// SnapshotInfo describes a snapshot that was taken.
type SnapshotInfo struct {
	Name         string `json:"name"`
	Format       string `json:"format"`        // "qcow2"
	SizeBytes    int64  `json:"size_bytes"`    // of the bytes to be read
	VirtualBytes int64  `json:"virtual_bytes"` // of the disk inside
}

// ImageInfo is what the image service knows of the bytes it serves. Images
// arrive here only after their format was checked in a sandbox.
type ImageInfo struct {
	Format       string `json:"format"`        // "raw" or "qcow2"
	SizeBytes    int64  `json:"size_bytes"`    // of the bytes to be read; 0: unknown
	VirtualBytes int64  `json:"virtual_bytes"` // of the disk inside; 0: unknown
	SHA512       string `json:"sha512"`        // hexadecimal; empty: not checked
}

// ImageSource gives image bytes to a host that does not have them yet.
type ImageSource interface {
	// Open starts reading an image. NotFound when there is none (any more).
	Open(ctx context.Context, imageID string) (io.ReadCloser, ImageInfo, error)
}

// VolumeFile is where a volume is on this host.
type VolumeFile struct {
	Path     string // of a file or block device, opened by the driver as root
	Format   string // "raw" or "qcow2"
	ReadOnly bool
	Base     *VolumeFile // what a qcow2 is copied on write over; opened read only
}

// Volumes resolves volumes that block storage made available on this host.
type Volumes interface {
	// Volume answers where it is. Unavailable when it is not here yet.
	Volume(ctx context.Context, volumeID string) (VolumeFile, error)
}

// Taps opens the host's end of network ports; the network's agent makes them.
type Taps interface {
	// OpenTap opens the tap of a port (IFF_TAP, IFF_NO_PI, IFF_VNET_HDR), ready
	// for a guest, and holds it to the limits of ports. The caller closes the
	// file. Unavailable when it is not here yet.
	OpenTap(ctx context.Context, portID string, limits Limits) (*os.File, error)
	// Wired returns when what a guest sends by a port passes on.
	Wired(ctx context.Context, portID string) error
}
