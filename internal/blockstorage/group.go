package blockstorage

import "github.com/mekcloud/mek/internal/fault"

// GroupType says what groups of it can do.
type GroupType struct {
	ID          string
	Name        string
	Description string
	NoDescribed bool
	Public      bool
	Specs       map[string]*string // nil: null
	CreatedAt   int64
}

// What specs of group types are called and worth.
const (
	Yes             = "<is> True"
	ConsistentSpec  = "consistent_group_snapshot_enabled"
	ReplicationSpec = "group_replication_enabled"
	ConsistentCopy  = "consistent_group_replication_enabled"
	// ConsistencyType is the type of groups that the older consistency group calls make.
	ConsistencyType = "default_cgsnapshot_type"
)

// Has tells whether a spec is switched on.
func (t *GroupType) Has(spec string) bool { v := t.Specs[spec]; return v != nil && *v == Yes }

// Consistent tells whether snapshots of a group must be of one moment.
func (t *GroupType) Consistent() bool { return t.Has(ConsistentSpec) }

// Replicated tells whether groups of the type are kept twice.
func (t *GroupType) Replicated() bool { return t.Has(ReplicationSpec) || t.Has(ConsistentCopy) }

// GroupStatus is the status of a group or of a group snapshot.
type GroupStatus string

// The statuses of groups and group snapshots.
const (
	GroupCreating  GroupStatus = "creating"
	GroupAvailable GroupStatus = "available"
	GroupUpdating  GroupStatus = "updating"
	GroupDeleting  GroupStatus = "deleting"
	GroupError     GroupStatus = "error"
	GroupErrorDel  GroupStatus = "error_deleting"
)

// Group is a set of volumes.
type Group struct {
	ID           string
	ProjectID    string
	UserID       string
	Name         string
	NoName       bool
	Description  string
	NoDescribed  bool
	TypeID       string
	VolumeTypes  []string // ids
	Zone         string
	Status       GroupStatus
	FromGroup    string
	FromSnapshot string
	Error        string
	CreatedAt    int64
	UpdatedAt    int64
}

// GroupSnapshot is the snapshots of a group's volumes.
type GroupSnapshot struct {
	ID          string
	ProjectID   string
	UserID      string
	GroupID     string
	TypeID      string // of the group
	Name        string
	NoName      bool
	Description string
	NoDescribed bool
	Status      GroupStatus
	Error       string
	CreatedAt   int64
	UpdatedAt   int64
}

// GroupNotFound says that a group does not exist for the caller.
func GroupNotFound(id string) error {
	return fault.NotFoundf("Group %s could not be found.", id).With("GroupNotFound")
}

// GroupSnapshotNotFound says that a group snapshot does not exist for the caller.
func GroupSnapshotNotFound(id string) error {
	return fault.NotFoundf("GroupSnapshot %s could not be found.", id).With("GroupSnapshotNotFound")
}

// InvalidGroup is the refusal of a group's state.
func InvalidGroup(format string, args ...any) error {
	f := fault.Invalidf(format, args...)
	f.Text = "Invalid Group: " + f.Text
	return f
}
