package qemu

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
)

// blockStats is what QEMU counts of one device.
type blockStats struct {
	Device string `json:"qdev"`
	Stats  struct {
		ReadBytes   int64 `json:"rd_bytes"`
		ReadOps     int64 `json:"rd_operations"`
		WriteBytes  int64 `json:"wr_bytes"`
		WriteOps    int64 `json:"wr_operations"`
		FailedReads int64 `json:"failed_rd_operations"`
		FailedWrite int64 `json:"failed_wr_operations"`
	} `json:"stats"`
}

// Diagnose asks QEMU for its counters of disks and the kernel for the time of
// processors.
func (d *Driver) Diagnose(ctx context.Context, guestID string) (guest.Diagnostics, error) {
	var out guest.Diagnostics
	m, err := d.find(guestID)
	if err != nil {
		return out, err
	}
	var cpus []struct {
		Index  int `json:"cpu-index"`
		Thread int `json:"thread-id"`
	}
	if err := m.command(ctx, "query-cpus-fast", nil, &cpus); err != nil {
		return out, err
	}
	var disks []blockStats
	if err := m.command(ctx, "query-blockstats", nil, &disks); err != nil {
		return out, err
	}
	m.mu.Lock()
	var spec guest.Spec
	places, process := m.rec.Slots, m.rec.Process
	if m.rec.Spec != nil {
		spec = *m.rec.Spec
	}
	m.mu.Unlock()
	if process == nil {
		return out, fault.Conflictf("the server is not running")
	}
	out.UptimeSeconds = int64(d.cfg.Clock.Now().Sub(process.At) / time.Second)
	if out.MemoryKiB, err = residentKiB(process.PID); err != nil {
		return out, gone(err)
	}
	for _, c := range cpus {
		ns, err := threadTime(process.PID, c.Thread)
		if err != nil {
			return out, gone(err)
		}
		out.CPUs = append(out.CPUs, guest.CPUStat{ID: c.Index, TimeNS: ns})
	}
	for _, want := range spec.Disks {
		if s, ok := statsOf(disks, "d"+places[diskKey(want)]); ok {
			out.Disks = append(out.Disks, guest.DiskStat{ID: want.ID, ReadBytes: s.Stats.ReadBytes, ReadRequests: s.Stats.ReadOps,
				WriteBytes: s.Stats.WriteBytes, WriteRequests: s.Stats.WriteOps, Errors: s.Stats.FailedReads + s.Stats.FailedWrite})
		}
	}
	return out, nil
}

// statsOf finds a device's counters; QEMU names it by its id, or by a path
// that goes through it.
func statsOf(all []blockStats, device string) (blockStats, bool) {
	for _, s := range all {
		for part := range strings.SplitSeq(s.Device, "/") {
			if part == device {
				return s, true
			}
		}
	}
	return blockStats{}, false
}

func gone(err error) error {
	return fault.Unavailablef("the server's process cannot be looked at").Because(err)
}

func residentKiB(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(b), "\nVmRSS:")
	if !ok {
		return 0, fmt.Errorf("no resident size of process %d", pid)
	}
	return strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
}

// userTick is the unit of times in stat, the same on every Linux.
const userTick = 10 * time.Millisecond

// threadTime is the time a thread has run, in nanoseconds.
func threadTime(pid, thread int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", pid, thread))
	if err != nil {
		return 0, err
	}
	return parseTimes(string(b))
}

// parseTimes adds up the times in user and kernel mode of a stat line: the
// 14th and 15th word, counted past the name, which may have blanks in it.
func parseTimes(stat string) (int64, error) {
	_, rest, ok := strings.Cut(stat[strings.LastIndex(stat, ")")+1:], " ")
	words := strings.Fields(rest)
	if !ok || len(words) < 13 {
		return 0, fmt.Errorf("a stat line of %d words", len(words))
	}
	user, err := strconv.ParseInt(words[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(words[12], 10, 64)
	return (user + system) * int64(userTick), err
}
