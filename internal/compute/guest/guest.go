package guest

import (
	"encoding/json"
)

// Document is the body of the document of section hostlink.Guests: every
// guest that one host should have, in the order of their ids.
type Document struct {
	Guests []Spec `json:"guests"`
}

// Power is a state of a guest, desired or observed.
type Power string

// The power states. Crashed is observed only.
const (
	Running   Power = "running"
	Stopped   Power = "stopped"   // no process; the disks are there
	Paused    Power = "paused"    // in memory, processors halted
	Suspended Power = "suspended" // memory saved on the host's disk, no process
	Crashed   Power = "crashed"   // the hypervisor process died by itself
)

// Spec is one server as a host should have it.
type Spec struct {
	ID        string `json:"id"`   // the server's UUID
	Name      string `json:"name"` // OS-EXT-SRV-ATTR:instance_name, for example "instance-00000001"
	ProjectID string `json:"project_id"`

	Power Power `json:"power"` // Running, Stopped, Paused or Suspended
	// PowerSerial MUST be raised by every accepted start, stop and hard reboot,
	// and not by pause and suspend or their opposites. A guest that switched
	// itself off (or crashed) stays off, reported as such, until it sees another
	// one. A guest that is to run and was started under another one is started
	// anew: that is the hard reboot.
	PowerSerial int64 `json:"power_serial"`
	// BuildSerial is raised by a rebuild: disks of kind image and blank are made
	// anew when it differs from the one they were made under.
	BuildSerial int64 `json:"build_serial"`
	// KeepBlank says that the rebuild to BuildSerial leaves blank disks as they are.
	KeepBlank bool `json:"keep_blank,omitempty"`
	// StopSeconds is how long the guest may take to obey the power button before
	// it is killed; 0 kills at once.
	StopSeconds int `json:"stop_seconds"`

	CPUs      int     `json:"cpus"`
	MemoryMiB int     `json:"memory_mib"`
	Machine   Machine `json:"machine"`

	// Ask says that the guest MUST NOT run before Leave has been given, on a host
	// where it never reached a power state: until then the cloud may decide to
	// make it elsewhere, whether or not it still reaches this host.
	Ask bool `json:"ask,omitempty"`

	Disks []Disk `json:"disks"` // in device order; the root disk first
	// Rescue says that the first disk is one to rescue the others with: devices
	// are placed anew, in their order, at the start after it changed. Otherwise
	// each keeps its place for as long as the guest has it.
	Rescue bool  `json:"rescue,omitempty"`
	NICs   []NIC `json:"nics"` // in device order

	Metadata    Metadata `json:"metadata"`     // what the metadata service and the config drive say
	ConfigDrive bool     `json:"config_drive"` // also as a CD labelled config-2

	Console Console `json:"console"`
	Limits  Limits  `json:"limits"`
}

// Machine is what kind of machine a guest sees. Zero values are the host's defaults.
type Machine struct {
	Type       string `json:"type,omitempty"`        // "q35" (default)
	Firmware   string `json:"firmware,omitempty"`    // "bios" (default) or "uefi"
	CPUModel   string `json:"cpu_model,omitempty"`   // default: the best the accelerator has
	Sockets    int    `json:"sockets,omitempty"`     // 0: as many as CPUs
	Cores      int    `json:"cores,omitempty"`       // per socket; 0: 1
	Threads    int    `json:"threads,omitempty"`     // per core; 0: 1
	VideoModel string `json:"video_model,omitempty"` // "vga" (default), "virtio", "none"
	NoRNG      bool   `json:"no_rng,omitempty"`      // leave the random number device out
}

// DiskKind says where a disk's bytes come from.
type DiskKind string

// The kinds of disks. Image and blank disks belong to the guest: they are made
// when missing, and destroyed with it. A volume is neither.
const (
	DiskImage  DiskKind = "image"  // copy on write over ImageID
	DiskBlank  DiskKind = "blank"  // empty; ephemeral and swap disks
	DiskVolume DiskKind = "volume" // VolumeID, resolved by Volumes
	DiskCD     DiskKind = "cdrom"  // ImageID, read only
)

// Bus is how a disk is attached.
type Bus string

// The buses; the zero value is virtio for disks and scsi for CDs (kernels made
// for clouds have no SATA driver, and a virtio disk would take a letter).
const (
	BusVirtio Bus = "virtio"
	BusSCSI   Bus = "scsi" // behind one virtio-scsi controller
	BusIDE    Bus = "ide"  // SATA on q35; not hot-pluggable
	BusUSB    Bus = "usb"  // mass storage; not hot-pluggable
)

// Disk is one disk of a guest.
type Disk struct {
	ID     string   `json:"id"` // unique in the guest and stable: "root", "ephemeral0", "swap", or the volume's id
	Kind   DiskKind `json:"kind"`
	Bus    Bus      `json:"bus,omitempty"`
	Serial string   `json:"serial,omitempty"` // as the guest reads it; virtio shows its first 20 characters. A volume's is its id

	SizeBytes   int64  `json:"size_bytes,omitempty"`   // virtual size; 0: the image's. Raising it grows the disk, also under a running guest; never lowered
	ImageID     string `json:"image_id,omitempty"`     // kinds image and cdrom
	ImageFormat string `json:"image_format,omitempty"` // "raw" or "qcow2", as Glance checked it; never guessed
	VolumeID    string `json:"volume_id,omitempty"`    // kind volume
	Fill        string `json:"fill,omitempty"`         // kind blank: "" nothing, "swap" a swap signature
	// Layers are names of what lies over a disk of kind image or blank, the
	// lowest first, each copied on write over what is below it. A layer is made
	// when it is missing and removed, with all that was written to it, when it
	// is no longer asked for: so a change can be taken back.
	Layers []string `json:"layers,omitempty"`
	// From names what a disk of kind image or blank is made of instead: bytes
	// in flat qcow2 that ImageSource gives once, from another host.
	From string `json:"from,omitempty"`

	BootIndex  int    `json:"boot_index,omitempty"`  // 1 is tried first; 0: not booted from
	DeviceName string `json:"device_name,omitempty"` // what the API shows, "/dev/vda"; a wish, guests decide themselves
	ReadOnly   bool   `json:"read_only,omitempty"`
	Shared     bool   `json:"shared,omitempty"` // kind volume: other guests of the host may have it open and write to it too
}

// NIC is one network card; its other end is the tap of the port.
type NIC struct {
	PortID string `json:"port_id"`
	MAC    string `json:"mac"`
	MTU    int    `json:"mtu,omitempty"`   // 0: not announced
	Model  string `json:"model,omitempty"` // "virtio" (default), "e1000e"
}

// Metadata are the documents a guest can ask for. All are public to the guest
// and secret to everybody else. JSON is passed on as it stands.
type Metadata struct {
	MetaData    json.RawMessage `json:"meta_data,omitempty"`    // openstack/latest/meta_data.json
	NetworkData json.RawMessage `json:"network_data,omitempty"` // openstack/latest/network_data.json
	VendorData  json.RawMessage `json:"vendor_data,omitempty"`  // openstack/latest/vendor_data.json
	VendorData2 json.RawMessage `json:"vendor_data2,omitempty"` // openstack/latest/vendor_data2.json
	UserData    []byte          `json:"user_data,omitempty"`    // decoded
	// EC2 is the tree below latest/meta-data: objects are folders, other values leaves.
	EC2 json.RawMessage `json:"ec2,omitempty"`
	// Password was posted by the guest before, encrypted; the guest reads it back.
	Password string `json:"password,omitempty"`
	// Files are the personality files, served as openstack/content/0000 and so on.
	Files []File `json:"files,omitempty"`
}

// File is one file with its place.
type File struct {
	Path string `json:"path"` // relative, with slashes
	Data []byte `json:"data"`
}

// Console says how people reach the guest. The serial log is always kept.
type Console struct {
	VNC bool `json:"vnc"` // a screen that Driver.VNC can show
}

// Limits cap what a guest takes from its host. Zero values: the host's default.
type Limits struct {
	CPUShares   int `json:"cpu_shares,omitempty"`    // relative weight; 0: 1024 per CPU
	CPUQuotaUS  int `json:"cpu_quota_us,omitempty"`  // of CPUPeriodUS, all CPUs together; 0: one CPU more than the guest has
	CPUPeriodUS int `json:"cpu_period_us,omitempty"` // 0: 100,000

	// Disk caps hold for each disk on its own.
	DiskReadBytesSecond  int64 `json:"disk_read_bytes_second,omitempty"`
	DiskWriteBytesSecond int64 `json:"disk_write_bytes_second,omitempty"`
	DiskTotalBytesSecond int64 `json:"disk_total_bytes_second,omitempty"`
	DiskReadIOPS         int64 `json:"disk_read_iops,omitempty"`
	DiskWriteIOPS        int64 `json:"disk_write_iops,omitempty"`
	DiskTotalIOPS        int64 `json:"disk_total_iops,omitempty"`

	// Caps of ports hold for each card on its own. In is what the guest is sent.
	PortInBytesSecond     int64 `json:"port_in_bytes_second,omitempty"`
	PortInPeakBytesSecond int64 `json:"port_in_peak_bytes_second,omitempty"`
	PortInBurstBytes      int64 `json:"port_in_burst_bytes,omitempty"`
	PortOutBytesSecond    int64 `json:"port_out_bytes_second,omitempty"`
	PortOutBurstBytes     int64 `json:"port_out_burst_bytes,omitempty"`
}

// WithDisks fills in a host's caps of disks, of bytes and of requests, where
// there are none of the kind.
func (l Limits) WithDisks(bytesSecond, iops int64) Limits {
	if l.DiskReadBytesSecond|l.DiskWriteBytesSecond|l.DiskTotalBytesSecond == 0 {
		l.DiskTotalBytesSecond = bytesSecond
	}
	if l.DiskReadIOPS|l.DiskWriteIOPS|l.DiskTotalIOPS == 0 {
		l.DiskTotalIOPS = iops
	}
	return l
}

// CapsDisks tells whether any disk is to be capped.
func (l Limits) CapsDisks() bool {
	return l.DiskReadBytesSecond|l.DiskWriteBytesSecond|l.DiskTotalBytesSecond|l.DiskReadIOPS|l.DiskWriteIOPS|l.DiskTotalIOPS != 0
}
