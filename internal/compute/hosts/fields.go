package hosts

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleServices       = "os_compute_api:os-services:list"
	ruleServiceUpdate  = "os_compute_api:os-services:update"
	ruleServiceDelete  = "os_compute_api:os-services:delete"
	ruleHypervisors    = "os_compute_api:os-hypervisors:list"
	ruleHypervisorsAll = "os_compute_api:os-hypervisors:list-detail"
	ruleHypervisor     = "os_compute_api:os-hypervisors:show"
	ruleStatistics     = "os_compute_api:os-hypervisors:statistics"
	ruleUptime         = "os_compute_api:os-hypervisors:uptime"
	ruleSearch         = "os_compute_api:os-hypervisors:search"
	ruleServers        = "os_compute_api:os-hypervisors:servers"
	ruleZones          = "os_compute_api:os-availability-zone:list"
	ruleZonesDetail    = "os_compute_api:os-availability-zone:detail"
)

// Rules are the policy rules of hosts, with upstream's names and defaults.
func Rules() []policy.Rule {
	out := []policy.Rule{{Name: ruleZones, Check: policy.Any, Scopes: []string{"project"}, Description: "List availability zones."}}
	for name, what := range map[string]string{ruleServices: "List compute services.", ruleServiceUpdate: "Change a compute service.",
		ruleServiceDelete: "Delete a compute service.", ruleHypervisors: "List hypervisors.", ruleHypervisorsAll: "List hypervisors with details.",
		ruleHypervisor: "Show a hypervisor.", ruleStatistics: "Sum hypervisors up.", ruleUptime: "Show a hypervisor's uptime.",
		ruleSearch: "Find hypervisors by name.", ruleServers: "List servers of hypervisors.", ruleZonesDetail: "List zones with hosts."} {
		out = append(out, policy.Rule{Name: name, Check: policy.Admin, Scopes: []string{"project"}, Description: what})
	}
	return append(out, legacyRules()...)
}

func serviceView(c *rest.Call, u unit) map[string]any {
	h := u.Host
	view := map[string]any{"binary": u.binary, "host": h.Name, "zone": h.Zone, "status": status(h), "state": state(h),
		"updated_at": wireTime(h.SeenAt), "disabled_reason": reason(h), "id": h.Serial}
	if c.At(compute.ForcedDown) {
		view["forced_down"] = h.ForcedDown
	}
	if c.At(compute.UUIDsForServices) {
		view["id"] = h.ServiceID
	}
	return view
}

func status(h *Host) string {
	if h.Disabled {
		return "disabled"
	}
	return "enabled"
}

func state(h *Host) string {
	if h.Up {
		return "up"
	}
	return "down"
}

func reason(h *Host) any {
	if h.DisabledReason == "" {
		return nil
	}
	return h.DisabledReason
}

func hypervisorBrief(c *rest.Call, h *Host) map[string]any {
	view := map[string]any{"id": h.Serial, "hypervisor_hostname": h.Name, "state": state(h), "status": status(h)}
	if c.At(compute.UUIDsForServices) {
		view["id"] = h.ID
	}
	return view
}

func hypervisorView(c *rest.Call, h *Host, use Use, now time.Time) map[string]any {
	view := hypervisorBrief(c, h)
	service := map[string]any{"host": h.Name, "id": h.Serial, "disabled_reason": reason(h)}
	if c.At(compute.UUIDsForServices) {
		service["id"] = h.ServiceID
	}
	view["service"], view["host_ip"] = service, h.Facts.Address
	view["hypervisor_type"], view["hypervisor_version"] = h.Facts.Driver, h.Facts.DriverVer
	if c.At(compute.HypervisorsSlim) {
		view["uptime"] = uptime(now, h.Facts)
		return view
	}
	view["cpu_info"] = cpuInfo(c, h)
	view["current_workload"], view["running_vms"] = use.Busy, use.Servers
	view["vcpus"], view["vcpus_used"] = h.Facts.CPUs, use.CPUs
	view["memory_mb"], view["memory_mb_used"], view["free_ram_mb"] = h.Facts.MemoryMiB, use.MemoryMiB, h.Facts.MemoryMiB-use.MemoryMiB
	view["local_gb"], view["local_gb_used"], view["free_disk_gb"] = h.Facts.DiskGiB, use.DiskGiB, h.Facts.DiskGiB-use.DiskGiB
	view["disk_available_least"] = h.Facts.DiskGiB - use.DiskGiB
	return view
}

// cpuInfo is an object from 2.28 on, and its JSON as a string before.
func cpuInfo(c *rest.Call, h *Host) any {
	info := map[string]any{"arch": h.Facts.Arch, "model": h.Facts.More["cpu_model"], "vendor": h.Facts.More["cpu_vendor"], "features": []string{},
		"topology": map[string]int{"sockets": 1, "cores": h.Facts.CPUs, "threads": 1}}
	if c.At(compute.HypervisorCPUInfo) {
		return info
	}
	text, err := json.Marshal(info)
	if err != nil {
		return "" // a map of plain values always encodes
	}
	return string(text)
}

func formatUptime(now time.Time, days, hours, minutes int, load string) string {
	if load == "" {
		load = "0.00, 0.00, 0.00"
	}
	return fmt.Sprintf(" %s up %d days, %2d:%02d,  0 users,  load average: %s", now.Format("15:04:05"), days, hours, minutes, load)
}
