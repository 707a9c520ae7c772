package guest

// Diagnostics are counters of a running guest, since its process was started.
type Diagnostics struct {
	UptimeSeconds int64 `json:"uptime_seconds"`
	// MemoryKiB is what the host holds of the guest's process now.
	MemoryKiB int64      `json:"memory_kib"`
	CPUs      []CPUStat  `json:"cpus,omitempty"`
	Disks     []DiskStat `json:"disks,omitempty"`
}

// CPUStat is the time one processor of a guest has run.
type CPUStat struct {
	ID     int   `json:"id"`
	TimeNS int64 `json:"time_ns"`
}

// DiskStat is what went over one disk.
type DiskStat struct {
	ID            string `json:"id"`
	ReadBytes     int64  `json:"read_bytes"`
	ReadRequests  int64  `json:"read_requests"`
	WriteBytes    int64  `json:"write_bytes"`
	WriteRequests int64  `json:"write_requests"`
	Errors        int64  `json:"errors"`
}
