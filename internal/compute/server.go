package compute

// Server is a machine that a project asked for.
type Server struct {
	ID          string `json:",omitzero"`
	Serial      int64  `json:",omitzero"` // counts servers of the cloud; gives the instance name
	Name        string `json:",omitzero"`
	Description string `json:",omitzero"`
	Described   bool   `json:",omitzero"` // false: description is null
	ProjectID   string `json:",omitzero"`
	UserID      string `json:",omitzero"`
	Hostname    string `json:",omitzero"`

	Flavor     Flavor            `json:",omitzero"` // as it was when the server was made or resized
	ImageID    string            `json:",omitzero"` // empty: booted from a volume
	Metadata   map[string]string `json:",omitzero"`
	Tags       []string          `json:",omitzero"`
	KeyName    string            `json:",omitzero"`
	PublicKey  string            `json:",omitzero"`
	KeyType    KeyType           `json:",omitzero"`
	UserData   string            `json:",omitzero"` // base64, as given
	AccessIPv4 string            `json:",omitzero"`
	AccessIPv6 string            `json:",omitzero"`

	ConfigDrive   bool           `json:",omitzero"`
	DiskConfig    string         `json:",omitzero"` // MANUAL or AUTO
	RootDevice    string         `json:",omitzero"` // "/dev/vda"
	ReservationID string         `json:",omitzero"`
	LaunchIndex   int            `json:",omitzero"`
	Zone          string         `json:",omitzero"` // availability zone it is in
	PinnedZone    string         `json:",omitzero"` // zone that was asked for; empty: any
	SchedulerHint map[string]any `json:",omitzero"`
	TrustedCerts  []string       `json:",omitzero"`
	GroupID       string         `json:",omitzero"` // server group

	VM     VMState    `json:",omitzero"`
	Task   TaskState  `json:",omitzero"`
	Power  PowerState `json:",omitzero"`
	Status Status     `json:",omitzero"` // derived; stored so that lists can filter and sort

	Locked       bool   `json:",omitzero"`
	LockedByUser bool   `json:",omitzero"`
	LockReason   string `json:",omitzero"`

	Fault    *ServerFault `json:",omitzero"`
	Progress int          `json:",omitzero"`

	Host           string `json:",omitzero"` // empty: not placed
	HypervisorName string `json:",omitzero"`

	CreatedAt    int64 `json:",omitzero"` // microseconds
	UpdatedAt    int64 `json:",omitzero"`
	LaunchedAt   int64 `json:",omitzero"` // 0: never
	TerminatedAt int64 `json:",omitzero"`

	PowerSerial int64 `json:",omitzero"` // raised by start, stop and hard reboot (guest.Spec)
	BuildSerial int64 `json:",omitzero"` // raised by rebuild

	Image        ImageFacts `json:",omitzero"` // of the image it was made from, as they were then
	ShelvedImage string     `json:",omitzero"` // image that keeps the root disk while it is shelved
	Password     string     `json:",omitzero"` // posted by the guest, encrypted for the owner of its key
}

// ServerFault says why a server is in ERROR.
type ServerFault struct {
	Code      int    `json:"code"`
	Message   string `json:"message"`
	Details   string `json:"details,omitempty"` // for administrators
	CreatedAt int64  `json:"created_at"`        // microseconds
	RequestID string `json:"request_id,omitempty"`
}
