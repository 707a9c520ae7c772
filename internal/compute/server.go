package compute

// Server is a machine that a project asked for.
type Server struct {
	ID          string
	Serial      int64 // counts servers of the cloud; gives the instance name
	Name        string
	Description string
	Described   bool // false: description is null
	ProjectID   string
	UserID      string
	Hostname    string

	Flavor     Flavor // as it was when the server was made or resized
	ImageID    string // empty: booted from a volume
	Metadata   map[string]string
	Tags       []string
	KeyName    string
	PublicKey  string
	KeyType    KeyType
	UserData   string // base64, as given
	AccessIPv4 string
	AccessIPv6 string

	ConfigDrive   bool
	DiskConfig    string // MANUAL or AUTO
	RootDevice    string // "/dev/vda"
	ReservationID string
	LaunchIndex   int
	Zone          string // availability zone it is in
	PinnedZone    string // zone that was asked for; empty: any
	SchedulerHint map[string]any
	TrustedCerts  []string
	GroupID       string // server group

	VM     VMState
	Task   TaskState
	Power  PowerState
	Status Status // derived; stored so that lists can filter and sort

	Locked       bool
	LockedByUser bool
	LockReason   string

	Fault    *ServerFault
	Progress int

	Host           string // empty: not placed
	HypervisorName string

	CreatedAt    int64 // microseconds
	UpdatedAt    int64
	LaunchedAt   int64 // 0: never
	TerminatedAt int64

	PowerSerial int64 // raised by start, stop and hard reboot (guest.Spec)
	BuildSerial int64 // raised by rebuild

	Image        ImageFacts // of the image it was made from, as they were then
	ShelvedImage string     // image that keeps the root disk while it is shelved
	Password     string     // posted by the guest, encrypted for the owner of its key
}

// ServerFault says why a server is in ERROR.
type ServerFault struct {
	Code      int    `json:"code"`
	Message   string `json:"message"`
	Details   string `json:"details,omitempty"` // for administrators
	CreatedAt int64  `json:"created_at"`        // microseconds
	RequestID string `json:"request_id,omitempty"`
}
