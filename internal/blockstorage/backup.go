package blockstorage

import "github.com/mekcloud/mek/internal/fault"

// BackupStatus is the status of a backup.
type BackupStatus string

// The statuses of backups.
const (
	BackupCreating  BackupStatus = "creating"
	BackupAvailable BackupStatus = "available"
	BackupDeleting  BackupStatus = "deleting"
	BackupError     BackupStatus = "error"
	BackupRestoring BackupStatus = "restoring"
	BackupErrorDel  BackupStatus = "error_deleting"
)

// Backup is a copy of a volume's content in a store of backups.
type Backup struct {
	ID          string
	ProjectID   string
	UserID      string
	Name        string
	NoName      bool
	Description string
	NoDescribed bool
	VolumeID    string
	SnapshotID  string // it was taken of; empty: the volume
	ParentID    string // of an incremental backup
	SizeGiB     int64
	Status      BackupStatus
	Container   string
	Location    string // its name in the container; an imported record shares another's
	Service     string // driver that keeps it
	Objects     int64
	Zone        string
	Host        string // that keeps the passing copy it is read from
	Guest       string // server that had the volume open
	Kept        bool   // the host shall have the passing copy
	Copied      bool   // and has it
	Metadata    map[string]string
	Volume      VolumeFacts // as it was
	Restoring   string      // volume that is made from it
	Error       string
	DataAt      int64 // when the content was taken
	CreatedAt   int64
	UpdatedAt   int64
	Dependents  int64 // backups whose parent it is, as loaded
}

// VolumeFacts are what a backup remembers of its volume beside the content,
// and what a volume made from it becomes.
type VolumeFacts struct {
	Bootable  bool              `json:"bootable"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	ImageMeta map[string]string `json:"image_meta,omitempty"`
}

// BackupNotFound says that a backup does not exist for the caller.
func BackupNotFound(id string) error {
	return fault.NotFoundf("Backup %s could not be found.", id).With("BackupNotFound")
}

// InvalidBackup is the refusal of a backup's state.
func InvalidBackup(format string, args ...any) error {
	f := fault.Invalidf(format, args...)
	f.Text = "Invalid backup: " + f.Text
	return f
}

// Relic is what a host still has of a volume or snapshot that was unmanaged.
type Relic struct {
	ID        string
	Snapshot  bool
	Host      string
	SizeGiB   int64
	Epoch     int64
	VolumeID  string // of a snapshot
	CreatedAt int64
}
