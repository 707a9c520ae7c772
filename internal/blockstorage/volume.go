package blockstorage

import "maps"

// Volume is one volume. Times are microseconds since 1970; 0: never.
type Volume struct {
	ID          string
	ProjectID   string
	UserID      string
	Name        string
	NoName      bool // shown as null
	Description string
	NoDescribed bool // description shown as null
	SizeGiB     int64
	Status      VolumeStatus
	Before      VolumeStatus // status before the operation that is under way
	TypeID      string
	TypeName    string
	Zone        string
	Host        string // agent that keeps it; empty: none yet
	Kept        bool   // the host shall have it
	MoveTo      string // host it is on its way to; empty: it stays
	Bootable    bool
	Multiattach bool
	ReadOnly    string // "True" or "False" when it was ever said, as metadata shows it
	Transient   bool   // not counted by quotas
	Metadata    map[string]string
	ImageMeta   map[string]string // volume_image_metadata
	Source      Source
	GroupID     string
	Epoch       int64  // of its content: raised when that is replaced
	Rewrite     Source // where the content of this epoch comes from while it is being written
	Migration   string // migration_status; empty: never migrated
	Error       string // why it is in error, fit for a user
	CreatedAt   int64
	UpdatedAt   int64
	Attachments []Attachment // as loaded with the volume
}

// Source is where a volume's first content comes from; at most one is set.
type Source struct {
	SnapshotID  string `json:"snapshot,omitempty"`
	VolumeID    string `json:"volume,omitempty"`
	ImageID     string `json:"image,omitempty"`
	ImageFormat string `json:"image_format,omitempty"` // "raw" or "qcow2", with ImageID
	BackupID    string `json:"backup,omitempty"`
	RelicID     string `json:"relic,omitempty"` // what was unmanaged, on the volume's host
}

// Attached are the attachments that servers use.
func (v *Volume) Attached() []Attachment {
	var out []Attachment
	for _, a := range v.Attachments {
		if a.Status == AttachAttached {
			out = append(out, a)
		}
	}
	return out
}

// Guest is the server that may be writing to the volume; empty: none.
func (v *Volume) Guest() string {
	for _, a := range v.Attachments {
		if a.ServerID != "" && (a.Status == AttachAttached || a.Status == AttachAttaching || a.Status == AttachDetaching) {
			return a.ServerID
		}
	}
	return ""
}

// ShownMetadata are the user's metadata with those that the service adds.
func (v *Volume) ShownMetadata() map[string]string {
	out := maps.Clone(v.Metadata)
	if out == nil {
		out = map[string]string{}
	}
	if v.ReadOnly != "" {
		out["readonly"] = v.ReadOnly
	}
	return out
}

// Snapshot is the content of a volume at one time.
type Snapshot struct {
	ID          string
	ProjectID   string
	UserID      string
	VolumeID    string
	Name        string
	NoName      bool
	Description string
	NoDescribed bool
	SizeGiB     int64 // of the volume when it was taken
	Status      SnapshotStatus
	Progress    string // "100%" when done
	TypeID      string // of the volume
	Host        string
	Kept        bool
	Guest       string // server that had the volume open when it was taken
	Bootable    bool
	Metadata    map[string]string
	ImageMeta   map[string]string // of the volume
	GroupID     string            // group snapshot it belongs to
	Relic       string            // the unmanaged snapshot it is made from; empty: the volume
	Error       string
	CreatedAt   int64
	UpdatedAt   int64
}

// Attachment ties a volume to a server, or to a host without one.
type Attachment struct {
	ID         string
	VolumeID   string
	ProjectID  string
	ServerID   string // empty: bare attachment
	Host       string // where it is connected; empty: not yet
	Device     string // "/dev/vdb"
	Status     AttachStatus
	Mode       string // "rw" or "ro"; "null" on the wire when empty
	Connector  map[string]any
	Connected  bool // there is connection_info
	AttachedAt int64
	CreatedAt  int64
	UpdatedAt  int64
}

// Type is a volume type.
type Type struct {
	ID          string
	Name        string
	Description string
	NoDescribed bool
	Public      bool
	ExtraSpecs  map[string]string
	QosID       string
	Encryption  *Encryption // nil: volumes of the type are not encrypted
	CreatedAt   int64
}

// Encryption says how volumes of a type are encrypted.
type Encryption struct {
	ID        string `json:"id"`
	Provider  string `json:"provider"`
	Control   string `json:"control"` // "front-end" or "back-end"
	Cipher    string `json:"cipher"`
	KeySize   int64  `json:"key_size"` // 0: not said
	CreatedAt int64  `json:"created_at"`
	UpdatedAt int64  `json:"updated_at"`
}

// KeySizeOrNull is the key size as the API shows it.
func (e *Encryption) KeySizeOrNull() any {
	if e.KeySize == 0 {
		return nil
	}
	return e.KeySize
}

// Multiattach tells whether volumes of the type may be attached many times.
func (t *Type) Multiattach() bool { return t.ExtraSpecs["multiattach"] == "<is> True" }

// GiB is the unit of sizes.
const GiB = 1 << 30

// Zone is the availability zone of volumes.
const Zone = "nova"
