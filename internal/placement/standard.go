package placement

import (
	_ "embed"
	"strings"
)

// Resource classes that this cloud's hosts have.
const (
	VCPU     = "VCPU"
	PCPU     = "PCPU"
	MemoryMB = "MEMORY_MB"
	DiskGB   = "DISK_GB"
)

// SharesViaAggregate is the trait of providers that lend to those they share an aggregate with.
const SharesViaAggregate = "MISC_SHARES_VIA_AGGREGATE"

// StandardClasses lists the resource classes that every cloud has, in the order
// of os-resource-classes.
func StandardClasses() []string {
	return []string{
		VCPU, MemoryMB, DiskGB, "PCI_DEVICE", "SRIOV_NET_VF", "NUMA_SOCKET", "NUMA_CORE", "NUMA_THREAD", "NUMA_MEMORY_MB",
		"IPV4_ADDRESS", "VGPU", "VGPU_DISPLAY_HEAD", "NET_BW_EGR_KILOBIT_PER_SEC", "NET_BW_IGR_KILOBIT_PER_SEC", PCPU,
		"MEM_ENCRYPTION_CONTEXT", "FPGA", "PGPU", "NET_PACKET_RATE_KILOPACKET_PER_SEC", "NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC",
		"NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC",
	}
}

//go:embed traits.txt
var traitList string

// StandardTraits lists the traits that every cloud has, sorted: those of
// os-traits as of August 2026.
func StandardTraits() []string { return strings.Fields(traitList) }
