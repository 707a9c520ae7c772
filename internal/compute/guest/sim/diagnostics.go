package sim

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
)

// Diagnose counts nothing: a simulated guest does nothing.
func (d *Driver) Diagnose(ctx context.Context, guestID string) (out guest.Diagnostics, err error) {
	if err := d.running(guestID); err != nil {
		return out, err
	}
	f, err := d.Inspect(ctx, guestID)
	if err != nil {
		return out, err
	}
	out.UptimeSeconds, out.MemoryKiB = int64(d.cfg.Clock.Now().Sub(f.StartedAt)/time.Second), int64(f.MemoryMiB)<<10
	for i := range f.CPUs {
		out.CPUs = append(out.CPUs, guest.CPUStat{ID: i})
	}
	for _, disk := range f.Disks {
		out.Disks = append(out.Disks, guest.DiskStat{ID: disk.ID})
	}
	return out, nil
}
