package compute

// VMState is what a server is, tasks aside.
type VMState string

// The states, in Nova's words.
const (
	Building         VMState = "building"
	Active           VMState = "active"
	VMPaused         VMState = "paused"
	VMSuspended      VMState = "suspended"
	VMStopped        VMState = "stopped"
	Rescued          VMState = "rescued"
	Resized          VMState = "resized"
	SoftDeleted      VMState = "soft-delete"
	Deleted          VMState = "deleted"
	VMError          VMState = "error"
	Shelved          VMState = "shelved"
	ShelvedOffloaded VMState = "shelved_offloaded"
)

// TaskState is what is being done to a server; empty: nothing.
type TaskState string

// The task states, in Nova's words.
const (
	NoTask             TaskState = ""
	Scheduling         TaskState = "scheduling"
	BlockDeviceMapping TaskState = "block_device_mapping"
	Networking         TaskState = "networking"
	Spawning           TaskState = "spawning"
	ImageWaiting       TaskState = "image_snapshot_pending"
	ImageSnapshot      TaskState = "image_snapshot"
	ImageBackup        TaskState = "image_backup"
	ImageUploading     TaskState = "image_uploading"
	PoweringOff        TaskState = "powering-off"
	PoweringOn         TaskState = "powering-on"
	Rebooting          TaskState = "rebooting"
	RebootingHard      TaskState = "rebooting_hard"
	Pausing            TaskState = "pausing"
	Unpausing          TaskState = "unpausing"
	Suspending         TaskState = "suspending"
	Resuming           TaskState = "resuming"
	Deleting           TaskState = "deleting"
	Rebuilding         TaskState = "rebuilding"
	RebuildVolumes     TaskState = "rebuild_block_device_mapping"
	RebuildSpawning    TaskState = "rebuild_spawning"
	ResizePrep         TaskState = "resize_prep"
	ResizeMigrating    TaskState = "resize_migrating"
	ResizeFinish       TaskState = "resize_finish"
	ResizeReverting    TaskState = "resize_reverting"
	ResizeConfirming   TaskState = "resize_confirming"
	Rescuing           TaskState = "rescuing"
	Unrescuing         TaskState = "unrescuing"
	Shelving           TaskState = "shelving"
	ShelvingUploading  TaskState = "shelving_image_uploading"
	ShelvingOffloading TaskState = "shelving_offloading"
	Unshelving         TaskState = "unshelving"
	SettingPassword    TaskState = "updating_password"
	Migrating          TaskState = "migrating"
)

// PowerState is what the hypervisor says, as the number the API shows.
type PowerState int

// The power states.
const (
	PowerNone      PowerState = 0
	PowerRunning   PowerState = 1
	PowerPaused    PowerState = 3
	PowerShutdown  PowerState = 4
	PowerCrashed   PowerState = 6
	PowerSuspended PowerState = 7
)

// Status is the word users see.
type Status string

// The statuses that several places ask for by name.
const (
	StatusBuild   Status = "BUILD"
	StatusActive  Status = "ACTIVE"
	StatusError   Status = "ERROR"
	StatusDeleted Status = "DELETED"
	StatusUnknown Status = "UNKNOWN"
)

type statusRow struct {
	plain  Status
	byTask map[TaskState]Status
}

// statuses maps vm state and task state to the status, as Nova publishes it
// (nova/api/openstack/common.py holds the same facts as a dictionary).
var statuses = map[VMState]statusRow{
	Active: {"ACTIVE", map[TaskState]Status{
		Rebooting: "REBOOT", "reboot_pending": "REBOOT", "reboot_started": "REBOOT",
		RebootingHard: "HARD_REBOOT", "reboot_pending_hard": "HARD_REBOOT", "reboot_started_hard": "HARD_REBOOT",
		SettingPassword: "PASSWORD", Rebuilding: "REBUILD", RebuildVolumes: "REBUILD", RebuildSpawning: "REBUILD",
		"migrating": "MIGRATING", ResizePrep: "RESIZE", ResizeMigrating: "RESIZE", "resize_migrated": "RESIZE", ResizeFinish: "RESIZE",
	}},
	Building: {"BUILD", nil},
	VMStopped: {"SHUTOFF", map[TaskState]Status{
		ResizePrep: "RESIZE", ResizeMigrating: "RESIZE", "resize_migrated": "RESIZE", ResizeFinish: "RESIZE",
		Rebuilding: "REBUILD", RebuildVolumes: "REBUILD", RebuildSpawning: "REBUILD",
	}},
	Resized:          {"VERIFY_RESIZE", map[TaskState]Status{ResizeReverting: "REVERT_RESIZE", ResizeConfirming: "VERIFY_RESIZE"}},
	VMPaused:         {"PAUSED", map[TaskState]Status{"migrating": "MIGRATING"}},
	VMSuspended:      {"SUSPENDED", nil},
	Rescued:          {"RESCUE", nil},
	VMError:          {"ERROR", map[TaskState]Status{Rebuilding: "REBUILD", RebuildVolumes: "REBUILD", RebuildSpawning: "REBUILD"}},
	Deleted:          {"DELETED", nil},
	SoftDeleted:      {"SOFT_DELETED", nil},
	Shelved:          {"SHELVED", nil},
	ShelvedOffloaded: {"SHELVED_OFFLOADED", nil},
}

// StatusOf derives the status users see.
func StatusOf(vm VMState, task TaskState) Status {
	row, ok := statuses[vm]
	if !ok {
		return StatusUnknown
	}
	if s, ok := row.byTask[task]; ok {
		return s
	}
	return row.plain
}

// Allowance says in which states an action may begin.
type Allowance struct {
	VM   []VMState
	Task []TaskState // besides NoTask; nil: NoTask only
	Any  bool        // any task state
}

// Allowed is the table of actions: what the API refuses with 409, the
// dashboard disables and the documentation prints. Names are the API's.
var Allowed = map[string]Allowance{
	"reboot":              {VM: []VMState{Active, VMStopped, VMPaused, VMSuspended, VMError}, Task: []TaskState{Rebooting, RebootingHard}},
	"reboot_soft":         {VM: []VMState{Active}},
	"os-start":            {VM: []VMState{VMStopped}},
	"os-stop":             {VM: []VMState{Active, VMError}},
	"pause":               {VM: []VMState{Active}},
	"unpause":             {VM: []VMState{VMPaused}},
	"suspend":             {VM: []VMState{Active}},
	"resume":              {VM: []VMState{VMSuspended}},
	"rebuild":             {VM: []VMState{Active, VMStopped, VMError}},
	"resize":              {VM: []VMState{Active, VMStopped}},
	"confirmResize":       {VM: []VMState{Resized}},
	"revertResize":        {VM: []VMState{Resized}},
	"createImage":         {VM: []VMState{Active, VMStopped, VMPaused, VMSuspended}},
	"rescue":              {VM: []VMState{Active, VMStopped, VMError}},
	"unrescue":            {VM: []VMState{Rescued}},
	"shelve":              {VM: []VMState{Active, VMStopped, VMPaused, VMSuspended}},
	"shelveOffload":       {VM: []VMState{Shelved}},
	"unshelve":            {VM: []VMState{Shelved, ShelvedOffloaded}},
	"changePassword":      {VM: []VMState{Active}},
	"os-getConsoleOutput": {VM: []VMState{Active, VMStopped, VMPaused, VMSuspended, VMError, Rescued, Resized, Building}, Any: true},
	"remote-console":      {VM: []VMState{Active, VMPaused, VMSuspended, VMStopped, Rescued, Resized, VMError}, Any: true},
	"attach_volume":       {VM: []VMState{Active, VMPaused, VMStopped, Resized, SoftDeleted, VMSuspended, ShelvedOffloaded, Shelved}},
	"detach_volume":       {VM: []VMState{Active, VMPaused, VMStopped, Resized, SoftDeleted, VMSuspended, ShelvedOffloaded, Shelved}},
	"attach_interface":    {VM: []VMState{Active, VMPaused, VMStopped}},
	"detach_interface":    {VM: []VMState{Active, VMPaused, VMStopped}},
	"update_metadata":     {VM: []VMState{Active, VMPaused, VMSuspended, VMStopped}, Any: true},
	"injectNetworkInfo":   {VM: []VMState{Active, VMPaused, VMStopped}},
	"trigger_crash_dump":  {VM: []VMState{Active, VMPaused, Rescued, Resized, VMError}},
	"migrate":             {VM: []VMState{Active, VMStopped}},
	"os-migrateLive":      {VM: []VMState{Active, VMPaused}},
	"restore":             {VM: []VMState{SoftDeleted}},
	"evacuate":            {VM: []VMState{Active, VMStopped, VMError}, Any: true},
	"createBackup":        {VM: []VMState{Active, VMStopped, VMPaused, VMSuspended}},
}

// Allows tells whether an action may begin in a state. An action without a
// row (lock, unlock, delete, reset) may always.
func Allows(action string, vm VMState, task TaskState) bool {
	a, ok := Allowed[action]
	if !ok {
		return true
	}
	inVM := false
	for _, s := range a.VM {
		inVM = inVM || s == vm
	}
	if !inVM || a.Any || task == NoTask {
		return inVM
	}
	for _, t := range a.Task {
		if t == task {
			return true
		}
	}
	return false
}
