package servers

import (
	"testing"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
)

// TestLimitsOfFlavors: caps in Nova's names; those of cards in libvirt's kilobytes.
// What a flavor does not cap, its host does.
func TestLimitsOfFlavors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		specs map[string]string
		want  guest.Limits // with 1,000 bytes and 10 requests of the host
	}{
		"none": {nil, guest.Limits{DiskTotalBytesSecond: 1000, DiskTotalIOPS: 10}},
		"cards": {map[string]string{"quota:vif_inbound_average": "2", "quota:vif_inbound_peak": "3", "quota:vif_inbound_burst": "4",
			"quota:vif_outbound_average": "5", "quota:vif_outbound_burst": "6", "quota:vif_outbound_peak": "7"},
			guest.Limits{DiskTotalBytesSecond: 1000, DiskTotalIOPS: 10, PortInBytesSecond: 2048, PortInPeakBytesSecond: 3072, PortInBurstBytes: 4096,
				PortOutBytesSecond: 5120, PortOutBurstBytes: 6144}},
		"bytes of disks":    {map[string]string{"quota:disk_write_bytes_sec": "7"}, guest.Limits{DiskWriteBytesSecond: 7, DiskTotalIOPS: 10}},
		"requests of disks": {map[string]string{"quota:disk_read_iops_sec": "7"}, guest.Limits{DiskTotalBytesSecond: 1000, DiskReadIOPS: 7}},
		"nonsense":          {map[string]string{"quota:vif_outbound_average": "-1", "quota:disk_total_iops_sec": "many"}, guest.Limits{DiskTotalBytesSecond: 1000, DiskTotalIOPS: 10}},
	} {
		if got := limitsOf(compute.Flavor{ExtraSpecs: c.specs}).WithDisks(1000, 10); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
