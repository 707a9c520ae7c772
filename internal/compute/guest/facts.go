package guest

import "time"

// Facts are what a driver knows of one guest. They are the facts of a hostlink
// report: nothing in them changes by itself all the time (no counters).
type Facts struct {
	ID          string `json:"id"`
	Driver      string `json:"driver"` // "QEMU" or "sim"
	Power       Power  `json:"power"`
	Stalled     bool   `json:"stalled,omitempty"` // paused by its host, which cannot write what the guest writes
	PowerSerial int64  `json:"power_serial"`      // of the Spec this power state was reached under
	Exit        *Exit  `json:"exit,omitempty"`

	PID       int       `json:"pid,omitempty"`
	StartedAt time.Time `json:"started_at,omitzero"` // of the process that runs now

	CPUs      int    `json:"cpus,omitempty"`       // of the process that runs now
	MemoryMiB int    `json:"memory_mib,omitempty"` // likewise
	Accel     string `json:"accel,omitempty"`      // "kvm" or "tcg"
	CPUModel  string `json:"cpu_model,omitempty"`
	Machine   string `json:"machine,omitempty"` // with its version, "pc-q35-7.2"

	Consoles []string   `json:"consoles,omitempty"` // kinds that can be opened now: "vnc", "serial"
	Disks    []DiskFact `json:"disks,omitempty"`
	NICs     []NICFact  `json:"nics,omitempty"`
}

// Exit says how a guest that is not running came to that.
type Exit struct {
	Reason ExitReason `json:"reason"`
	At     time.Time  `json:"at"`
}

// ExitReason is why a guest's process ended.
type ExitReason string

// The reasons.
const (
	ExitRequested ExitReason = "requested" // by Ensure
	ExitByGuest   ExitReason = "guest"     // it switched itself off
	ExitCrash     ExitReason = "crash"     // the process died
	ExitHost      ExitReason = "host"      // the host was restarted under it; Ensure starts it again
)

// DiskFact is one disk as the guest has it.
type DiskFact struct {
	ID         string `json:"id"`
	DeviceName string `json:"device_name,omitempty"`
	Attached   bool   `json:"attached"` // plugged into a running guest
	SizeBytes  int64  `json:"size_bytes,omitempty"`
}

// NICFact is one network card as the guest has it.
type NICFact struct {
	PortID   string `json:"port_id"`
	MAC      string `json:"mac"`
	Attached bool   `json:"attached"`
}

// Capabilities are what a host can do, found by trying it.
type Capabilities struct {
	Driver      string   `json:"driver"`         // "QEMU" or "sim"
	Version     string   `json:"version"`        // "7.2.22"
	VersionInt  int      `json:"version_int"`    // 7002022
	Accel       string   `json:"accel"`          // "kvm" or "tcg"
	AccelReason string   `json:"accel_reason"`   // why, in one line for operators
	Machine     string   `json:"machine"`        // default machine type with its version
	CPUModel    string   `json:"cpu_model"`      // default processor
	Confinement []string `json:"confinement"`    // what holds a guest's process: "cgroup-v1", "cgroup-v2", "kill", "uid", "seccomp", "landlock"
	Traits      []string `json:"traits"`         // Placement traits that follow
	Lost        []string `json:"lost,omitempty"` // limits that this host cannot enforce

	LiveMigration bool `json:"live_migration,omitempty"` // a running guest can be taken over from another host
}

// Inventory is what a host knows of its guests beside their facts: the part
// More of a hostlink inventory.
type Inventory struct {
	Processes []Process `json:"processes"`
	Network   string    `json:"network,omitempty"` // the host's own network namespace
	Lost      []string  `json:"lost,omitempty"`    // controllers that the host does not have
}

// Process is a guest's process as the kernel of its host sees it.
type Process struct {
	ID           string   `json:"id"` // of the guest
	PID          int      `json:"pid"`
	UID          int      `json:"uid"`
	GID          int      `json:"gid"`
	Seccomp      int      `json:"seccomp"` // 2: filtered
	NoNewPrivs   bool     `json:"no_new_privs"`
	Capabilities string   `json:"capabilities"`   // effective ones, hexadecimal
	Open         []string `json:"open,omitempty"` // names of the files it has open
	Network      string   `json:"network"`        // its network namespace
	Core         int64    `json:"core"`           // bytes of the core dump that it may leave; -1: any
	Caps         Caps     `json:"caps"`
	Asked        *Asked   `json:"asked,omitempty"` // nil: the host has no document that says
}

// Caps are what a process can take at most, as its control groups say. 0: no cap.
type Caps struct {
	Own         bool  `json:"own"` // the groups are this guest's alone
	MemoryBytes int64 `json:"memory_bytes"`
	Processes   int64 `json:"processes"`
	CPUQuotaUS  int64 `json:"cpu_quota_us"` // of CPUPeriodUS
	CPUPeriodUS int64 `json:"cpu_period_us"`
	Disks       bool  `json:"disks"` // QEMU was told caps of disks
}

// Asked is what the server asked for.
type Asked struct {
	MemoryMiB int    `json:"memory_mib"`
	Limits    Limits `json:"limits"`
}
