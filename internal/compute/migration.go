package compute

// MigrationKind is why a server moves.
type MigrationKind string

// The kinds, in Nova's words.
const (
	Resize        MigrationKind = "resize"
	ColdMigration MigrationKind = "migration"
	LiveMigration MigrationKind = "live-migration"
	Evacuation    MigrationKind = "evacuation"
)

// MigrationStatus is how far a move is.
type MigrationStatus string

// The statuses, in Nova's words.
const (
	MigrationAccepted  MigrationStatus = "accepted"
	MigrationPreparing MigrationStatus = "pre-migrating"
	MigrationRunning   MigrationStatus = "migrating"
	MigrationArriving  MigrationStatus = "post-migrating"
	MigrationFinished  MigrationStatus = "finished" // of a resize: waits for confirm or revert
	MigrationConfirmed MigrationStatus = "confirmed"
	MigrationReverting MigrationStatus = "reverting"
	MigrationReverted  MigrationStatus = "reverted"
	MigrationCompleted MigrationStatus = "completed" // of a live migration
	MigrationDone      MigrationStatus = "done"      // of an evacuation
	MigrationFailed    MigrationStatus = "error"
)

// Migration is one move of a server, from when it was asked for.
type Migration struct {
	ID         string // UUID
	Serial     int64
	Server     string
	ProjectID  string // of the server
	UserID     string // who asked
	Kind       MigrationKind
	Status     MigrationStatus
	SourceHost string
	DestHost   string // empty: not decided yet
	Asked      string // host that was asked for
	OldFlavor  Flavor
	NewFlavor  Flavor
	CreatedAt  int64 // microseconds
	UpdatedAt  int64
}

// InProgress tells whether a migration is under way, as lists of a server's
// migrations understand it.
func (m *Migration) InProgress() bool {
	switch m.Status {
	case "queued", MigrationAccepted, MigrationPreparing, "preparing", "running", MigrationRunning, MigrationArriving:
		return true
	}
	return false
}

// DiskSourcePrefix begins the names of disks that hosts fetch from other hosts
// (guest.Disk.From), where names of images are ids.
const DiskSourcePrefix = "move/"

// DiskStreamKind is the kind of stream by which hosts fetch them, with
// image.StreamParams as parameters and image.StreamHead before the bytes.
const DiskStreamKind = "server-disk"
