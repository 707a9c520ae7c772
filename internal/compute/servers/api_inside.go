package servers

import (
	"fmt"
	"strings"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleAdminPass    = prefix + "os-admin-password"
	ruleCrashDump    = prefix + "servers:trigger_crash_dump"
	ruleRestore      = prefix + "os-deferred-delete:restore"
	ruleInject       = prefix + "os-admin-actions:inject_network_info"
	ruleResetNetwork = prefix + "os-admin-actions:reset_network"
	ruleDiagnostics  = prefix + "os-server-diagnostics"
	rulePassword     = prefix + "os-server-password:"
)

func insideRules() []policy.Rule {
	readers := memberRules(rulePassword + "show")
	for i := range readers {
		readers[i].Check = policy.ProjectReaderOrAdmin
	}
	out := append(readers, memberRules(ruleAdminPass, ruleCrashDump, ruleRestore, rulePassword+"clear")...)
	return append(out, adminRules(ruleInject, ruleResetNetwork, ruleDiagnostics)...)
}

func (a *api) insideActions() map[string]rest.Action {
	return map[string]rest.Action{
		"changePassword":     {Rule: ruleAdminPass, Audit: "change_password", Handle: a.changePassword},
		"trigger_crash_dump": {Rule: ruleCrashDump, Since: compute.CrashDump, Handle: a.crashDump},
		"restore":            {Rule: ruleRestore, Handle: a.restore},
		"injectNetworkInfo":  {Rule: ruleInject, Audit: "inject_network_info", Handle: a.injectNetwork},
		"resetNetwork":       {Rule: ruleResetNetwork, Audit: "reset_network", Handle: a.resetNetwork},
	}
}

func (a *api) insideRoutes() []rest.Route {
	const one = "/v2.1/servers/{id}"
	return []rest.Route{
		{Method: "GET", Path: one + "/os-server-password", Rule: rulePassword + "show", Object: true, Handle: a.password},
		{Method: "DELETE", Path: one + "/os-server-password", Rule: rulePassword + "clear", Object: true, Audit: "clear_password", Handle: a.clearPassword},
		{Method: "GET", Path: one + "/diagnostics", Rule: ruleDiagnostics, Object: true, Handle: a.diagnostics},
	}
}

func (a *api) changePassword(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Password *string `json:"adminPass" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.ChangePassword(c.Context(), one, *in.Password, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a *api) crashDump(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if string(c.Payload()) != "null" {
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute trigger_crash_dump. Value: %s. It is not of type 'null'", c.Payload())
	}
	if err := a.s.CrashDump(c.Context(), one, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// restore is for servers that are deleted only softly, of which there are none.
func (a *api) restore(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Reply{}, fault.Conflictf("Cannot 'restore' instance %s while it is in vm_state %s", one.ID, one.VM)
}

func (a *api) injectNetwork(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.RefreshNetwork(c.Context(), one.ID, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a *api) resetNetwork(c *rest.Call) (rest.Reply, error) {
	if _, err := a.find(c); err != nil {
		return rest.Reply{}, err
	}
	return rest.Reply{}, fault.New(fault.Gone, "The resetNetwork action was removed with the hypervisor that knew it.")
}

func (a *api) password(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]string{"password": one.Password})
}

func (a *api) clearPassword(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.ClearPassword(c.Context(), one.ID, record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *api) diagnostics(c *rest.Call) (rest.Reply, error) {
	v, err := a.detail.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	d, err := a.s.Diagnose(c.Context(), v.Server)
	if err != nil {
		return rest.Reply{}, err
	}
	if !c.At(compute.DiagnosticsModel) {
		return rest.OK(looseDiagnostics(v, d))
	}
	return rest.OK(strictDiagnostics(v, d))
}

// looseDiagnostics are as before 2.48: whatever the hypervisor has.
func looseDiagnostics(v *view, d guest.Diagnostics) map[string]int64 {
	out := map[string]int64{"memory": int64(v.Flavor.MemoryMiB) << 10, "memory-actual": int64(v.Flavor.MemoryMiB) << 10, "memory-rss": d.MemoryKiB}
	for _, cpu := range d.CPUs {
		out[fmt.Sprintf("cpu%d_time", cpu.ID)] = cpu.TimeNS
	}
	names := map[string]string{}
	for _, disk := range v.disks {
		names[disk.GuestID] = strings.TrimPrefix(disk.DeviceName, "/dev/")
	}
	for _, disk := range d.Disks {
		name := names[disk.ID]
		if name == "" {
			name = disk.ID
		}
		out[name+"_read"], out[name+"_read_req"], out[name+"_write"], out[name+"_write_req"], out[name+"_errors"] =
			disk.ReadBytes, disk.ReadRequests, disk.WriteBytes, disk.WriteRequests, disk.Errors
	}
	return out
}

// strictDiagnostics are upstream's one model since 2.48. What is not counted is
// null. The driver's word is one that clients know: QEMU guests are libvirt's there.
func strictDiagnostics(v *view, d guest.Diagnostics) map[string]any {
	cpus, disks, cards := []map[string]any{}, []map[string]any{}, []map[string]any{}
	for _, cpu := range d.CPUs {
		cpus = append(cpus, map[string]any{"id": cpu.ID, "time": cpu.TimeNS, "utilisation": nil})
	}
	for _, disk := range d.Disks {
		disks = append(disks, map[string]any{"read_bytes": disk.ReadBytes, "read_requests": disk.ReadRequests, "write_bytes": disk.WriteBytes,
			"write_requests": disk.WriteRequests, "errors_count": disk.Errors})
	}
	for _, card := range v.cards {
		cards = append(cards, map[string]any{"mac_address": card.MAC, "rx_octets": nil, "rx_errors": nil, "rx_drop": nil, "rx_packets": nil, "rx_rate": nil,
			"tx_octets": nil, "tx_errors": nil, "tx_drop": nil, "tx_packets": nil, "tx_rate": nil})
	}
	state := map[compute.PowerState]string{compute.PowerRunning: "running", compute.PowerPaused: "paused", compute.PowerShutdown: "shutdown",
		compute.PowerCrashed: "crashed", compute.PowerSuspended: "suspended", compute.PowerNone: "pending"}[v.Power]
	return map[string]any{"state": state, "driver": "libvirt", "hypervisor": "qemu", "hypervisor_os": "linux", "uptime": d.UptimeSeconds,
		"config_drive": v.ConfigDrive, "num_cpus": len(cpus), "num_disks": len(disks), "num_nics": len(cards),
		"memory_details": map[string]any{"maximum": v.Flavor.MemoryMiB, "used": nil}, "cpu_details": cpus, "disk_details": disks, "nic_details": cards}
}
