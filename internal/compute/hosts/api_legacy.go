package hosts

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleHosts    = "os_compute_api:os-hosts:"
	ruleAuditLog = "os_compute_api:os-instance-usage-audit-log:"
)

func legacyRules() []policy.Rule {
	var out []policy.Rule
	for _, n := range []string{ruleHosts + "list", ruleHosts + "show", ruleHosts + "update", ruleHosts + "reboot", ruleHosts + "shutdown",
		ruleHosts + "start", ruleAuditLog + "list", ruleAuditLog + "show"} {
		out = append(out, policy.Rule{Name: n, Check: policy.Admin, Scopes: []string{"project"}, Description: "Hosts as the first versions of the API show them."})
	}
	return out
}

// legacyRoutes are hosts by their names, which ended with 2.42, and the log of
// usage audits.
func (a api) legacyRoutes() []rest.Route {
	until := compute.NoHosts
	return []rest.Route{
		{Method: "GET", Path: "/v2.1/os-hosts", Rule: ruleHosts + "list", Until: until, Handle: a.oldHosts},
		{Method: "GET", Path: "/v2.1/os-hosts/{id}", Rule: ruleHosts + "show", Until: until, Handle: a.oldHost},
		{Method: "PUT", Path: "/v2.1/os-hosts/{id}", Rule: ruleHosts + "update", Audit: "update", Until: until, Handle: a.updateOldHost},
		{Method: "GET", Path: "/v2.1/os-hosts/{id}/reboot", Rule: ruleHosts + "reboot", Until: until, Handle: a.notHere},
		{Method: "GET", Path: "/v2.1/os-hosts/{id}/shutdown", Rule: ruleHosts + "shutdown", Until: until, Handle: a.notHere},
		{Method: "GET", Path: "/v2.1/os-hosts/{id}/startup", Rule: ruleHosts + "start", Until: until, Handle: a.notHere},
		{Method: "GET", Path: "/v2.1/os-instance_usage_audit_log", Rule: ruleAuditLog + "list", Handle: a.audits},
		{Method: "GET", Path: "/v2.1/os-instance_usage_audit_log/{before}", Rule: ruleAuditLog + "show", Handle: a.auditsBefore},
	}
}

func (a api) oldHosts(c *rest.Call) (rest.Reply, error) {
	list, err := a.units(c)
	if err != nil {
		return rest.Reply{}, err
	}
	out := []map[string]string{}
	for _, u := range list {
		if zone := c.Values().Get("zone"); !u.Disabled && (zone == "" || zone == u.Zone) {
			out = append(out, map[string]string{"host_name": u.Name, "service": u.topic(), "zone": u.Zone})
		}
	}
	return rest.OK(map[string]any{"hosts": out})
}

func (a api) named(ctx context.Context, name string) (*Host, error) {
	return a.find(ctx, func(h *Host) bool { return h.Name == name }, fault.NotFoundf("Compute host %s could not be found.", name))
}

func (a api) oldHost(c *rest.Call) (rest.Reply, error) {
	h, err := a.named(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	uses, err := a.hosts.servers.HostUse(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	line := func(what string, cpus, memory, disk int) map[string]any {
		return map[string]any{"resource": map[string]any{"host": h.Name, "project": what, "cpu": cpus, "memory_mb": memory, "disk_gb": disk}}
	}
	u := uses[h.Name]
	return rest.OK(map[string]any{"host": []any{line("(total)", h.Facts.CPUs, h.Facts.MemoryMiB, h.Facts.DiskGiB),
		line("(used_now)", u.CPUs, u.MemoryMiB, u.DiskGiB), line("(used_max)", u.CPUs, u.MemoryMiB, u.DiskGiB)}})
}

func (a api) updateOldHost(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Status      string `json:"status" v:"enum=enable|disable|Enable|Disable|ENABLE|DISABLE"`
		Maintenance string `json:"maintenance_mode" v:"enum=enable|disable|Enable|Disable|ENABLE|DISABLE"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if in.Status == "" && in.Maintenance == "" {
		return rest.Reply{}, fault.Invalidf("Invalid input: neither status nor maintenance_mode is given")
	}
	if _, err := a.named(c.Context(), c.Var("id")); err != nil {
		return rest.Reply{}, err
	}
	if in.Maintenance != "" {
		return rest.Reply{}, fault.New(fault.NotImplemented, "Virt driver does not implement host maintenance mode.")
	}
	status := strings.ToLower(in.Status)
	h, err := a.hosts.change(c.Context(), c.Var("id"), c.Event("host", "", ""), func(r *row) { r.Disabled, r.DisabledReason = status == "disable", "" })
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"host": h.Name, "status": status + "d"})
}

// notHere answers for hosts' power, which upstream's QEMU driver does not switch either.
func (a api) notHere(c *rest.Call) (rest.Reply, error) {
	if _, err := a.named(c.Context(), c.Var("id")); err != nil {
		return rest.Reply{}, err
	}
	return rest.Reply{}, fault.New(fault.NotImplemented, "Virt driver does not implement host power management.")
}

func (a api) audits(c *rest.Call) (rest.Reply, error) {
	log, err := a.auditLog(c, a.hosts.clock.Now().UTC())
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"instance_usage_audit_logs": log})
}

func (a api) auditsBefore(c *rest.Call) (rest.Reply, error) {
	before, err := time.Parse("2006-01-02 15:04:05.999999999", c.Var("before"))
	if err != nil {
		return rest.Reply{}, fault.Invalidf("Invalid timestamp for date %s", c.Var("before"))
	}
	log, err := a.auditLog(c, before)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"instance_usage_audit_log": log})
}

// auditLog tells of the month that was over before a time. No host runs usage
// audits: usage is counted from rows, which is always done.
func (a api) auditLog(c *rest.Call, before time.Time) (map[string]any, error) {
	list, err := a.hosts.List(c.Context())
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, h := range list {
		names = append(names, h.Name)
	}
	end := time.Date(before.Year(), before.Month(), 1, 0, 0, 0, 0, time.UTC)
	const layout = "2006-01-02 15:04:05"
	status := "ALL hosts done. 0 errors."
	if len(names) > 0 {
		status = "0 of " + strconv.Itoa(len(names)) + " hosts done. 0 errors."
	}
	return map[string]any{"period_beginning": end.AddDate(0, -1, 0).Format(layout), "period_ending": end.Format(layout), "num_hosts": len(names),
		"num_hosts_done": 0, "num_hosts_running": 0, "num_hosts_not_run": len(names), "hosts_not_run": names, "total_instances": 0, "total_errors": 0,
		"overall_status": status, "log": map[string]any{}}, nil
}
