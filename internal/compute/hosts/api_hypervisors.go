package hosts

import (
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

// hypervisors answers both lists; from 2.53 on with servers and name patterns,
// from 2.33 on by pages.
func (a api) hypervisors(c *rest.Call) (rest.Reply, error) {
	list, err := a.hosts.List(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	if pattern := c.Values().Get("hypervisor_hostname_pattern"); pattern != "" && c.At(compute.UUIDsForServices) {
		if list = named(list, pattern); len(list) == 0 {
			return rest.Reply{}, fault.NotFoundf("No hypervisor matching '%s' could be found.", pattern)
		}
	}
	list, more, err := page(c, list)
	if err != nil {
		return rest.Reply{}, err
	}
	uses, err := a.hosts.servers.HostUse(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	out := make([]any, 0, len(list))
	for _, h := range list {
		view := hypervisorBrief(c, h)
		if strings.HasSuffix(c.Request.URL.Path, "/detail") {
			view = hypervisorView(c, h, uses[h.Name], a.hosts.clock.Now())
		}
		if err := a.withServers(c, h, view); err != nil {
			return rest.Reply{}, err
		}
		out = append(out, view)
	}
	body := map[string]any{"hypervisors": out}
	if more {
		q := c.Request.URL.Query()
		q.Set("marker", hypervisorBrief(c, list[len(list)-1])["id"].(string))
		body["hypervisors_links"] = []map[string]string{{"rel": "next", "href": c.Root() + c.Request.URL.Path + "?" + q.Encode()}}
	}
	return rest.OK(body)
}

func named(list []*Host, pattern string) []*Host {
	var out []*Host
	for _, h := range list {
		if strings.Contains(h.Name, strings.Trim(pattern, "%")) {
			out = append(out, h)
		}
	}
	return out
}

// page cuts the list at marker and limit; more tells that it was cut.
func page(c *rest.Call, list []*Host) (out []*Host, more bool, err error) {
	if !c.At(compute.HypervisorPaging) {
		return list, false, nil
	}
	if marker := c.Values().Get("marker"); marker != "" {
		at := -1
		for i, h := range list {
			if h.ID == marker || strconv.FormatInt(h.Serial, 10) == marker {
				at = i
			}
		}
		if at < 0 {
			return nil, false, fault.Invalidf("marker [%s] not found", marker)
		}
		list = list[at+1:]
	}
	if text := c.Values().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, false, fault.Invalidf("Invalid input for query parameters limit. Value: %s", text)
		}
		if n < len(list) && c.At(compute.UUIDsForServices) {
			return list[:n], n > 0, nil
		}
		list = list[:min(n, len(list))]
	}
	return list, false, nil
}

func (a api) withServers(c *rest.Call, h *Host, view map[string]any) error {
	want, _ := rest.ParseBool(c.Values().Get("with_servers")) // anything else is no
	if !want || !c.At(compute.UUIDsForServices) {
		return nil
	}
	residents, err := a.hosts.servers.OnHost(c.Context(), h.Name)
	if err != nil || len(residents) == 0 {
		return err
	}
	view["servers"] = residentViews(residents)
	return nil
}

func residentViews(residents []Resident) []map[string]string {
	out := make([]map[string]string, 0, len(residents))
	for _, r := range residents {
		out = append(out, map[string]string{"uuid": r.ID, "name": r.InstanceName})
	}
	return out
}

func (a api) findHypervisor(c *rest.Call) (*Host, error) {
	want := c.Var("id")
	return a.find(c.Context(), func(h *Host) bool {
		if c.At(compute.UUIDsForServices) {
			return h.ID == want
		}
		return strconv.FormatInt(h.Serial, 10) == want
	}, fault.NotFoundf("Hypervisor with ID '%s' could not be found.", want))
}

func (a api) hypervisor(c *rest.Call) (rest.Reply, error) {
	h, err := a.findHypervisor(c)
	if err != nil {
		return rest.Reply{}, err
	}
	uses, err := a.hosts.servers.HostUse(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	view := hypervisorView(c, h, uses[h.Name], a.hosts.clock.Now())
	if err := a.withServers(c, h, view); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"hypervisor": view})
}

func (a api) uptime(c *rest.Call) (rest.Reply, error) {
	h, err := a.findHypervisor(c)
	if err != nil {
		return rest.Reply{}, err
	}
	view := hypervisorBrief(c, h)
	view["uptime"] = uptime(a.hosts.clock.Now(), h.Facts)
	return rest.OK(map[string]any{"hypervisor": view})
}

// search answers the old forms …/{pattern}/search and …/{pattern}/servers.
func (a api) search(c *rest.Call) (rest.Reply, error) {
	list, err := a.hosts.List(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	out := []any{}
	for _, h := range named(list, c.Var("id")) {
		view := hypervisorBrief(c, h)
		if strings.HasSuffix(c.Request.URL.Path, "/servers") {
			residents, err := a.hosts.servers.OnHost(c.Context(), h.Name)
			if err != nil {
				return rest.Reply{}, err
			}
			if len(residents) > 0 {
				view["servers"] = residentViews(residents)
			}
		}
		out = append(out, view)
	}
	if len(out) == 0 {
		return rest.Reply{}, fault.NotFoundf("No hypervisor matching '%s' could be found.", c.Var("id"))
	}
	return rest.OK(map[string]any{"hypervisors": out})
}

func (a api) statistics(c *rest.Call) (rest.Reply, error) {
	list, err := a.hosts.List(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	uses, err := a.hosts.servers.HostUse(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	sum := map[string]int{}
	for _, h := range list {
		u := uses[h.Name]
		for key, n := range map[string]int{"count": 1, "vcpus": h.Facts.CPUs, "vcpus_used": u.CPUs, "memory_mb": h.Facts.MemoryMiB, "memory_mb_used": u.MemoryMiB,
			"free_ram_mb": h.Facts.MemoryMiB - u.MemoryMiB, "local_gb": h.Facts.DiskGiB, "local_gb_used": u.DiskGiB, "free_disk_gb": h.Facts.DiskGiB - u.DiskGiB,
			"disk_available_least": h.Facts.DiskGiB - u.DiskGiB, "running_vms": u.Servers, "current_workload": u.Busy} {
			sum[key] += n
		}
	}
	return rest.OK(map[string]any{"hypervisor_statistics": sum})
}
