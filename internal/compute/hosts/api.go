package hosts

import (
	"context"
	"strconv"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct{ hosts *Hosts }

// Routes are the operations of services, hypervisors and zones.
func (s *Hosts) Routes() []rest.Route {
	a := api{s}
	byID := compute.UUIDsForServices
	return append(a.legacyRoutes(), []rest.Route{
		{Method: "GET", Path: "/v2.1/os-services", Rule: ruleServices, Query: rest.Known(compute.StrictEverywhere, "host", "binary"), Handle: a.services},
		{Method: "PUT", Path: "/v2.1/os-services/{id}", Rule: ruleServiceUpdate, Audit: "update", Since: byID, Handle: a.update},
		{Method: "PUT", Path: "/v2.1/os-services/enable", Rule: ruleServiceUpdate, Audit: "update", Until: byID, Handle: a.updateByHost("enable")},
		{Method: "PUT", Path: "/v2.1/os-services/disable", Rule: ruleServiceUpdate, Audit: "update", Until: byID, Handle: a.updateByHost("disable")},
		{Method: "PUT", Path: "/v2.1/os-services/disable-log-reason", Rule: ruleServiceUpdate, Audit: "update", Until: byID,
			Handle: a.updateByHost("disable-log-reason")},
		{Method: "PUT", Path: "/v2.1/os-services/force-down", Rule: ruleServiceUpdate, Audit: "update", Since: compute.ForcedDown, Until: byID,
			Handle: a.updateByHost("force-down")},
		{Method: "DELETE", Path: "/v2.1/os-services/{id}", Rule: ruleServiceDelete, Audit: "delete", Handle: a.remove},
		{Method: "GET", Path: "/v2.1/os-hypervisors", Rule: ruleHypervisors, Handle: a.hypervisors},
		{Method: "GET", Path: "/v2.1/os-hypervisors/detail", Rule: ruleHypervisorsAll, Handle: a.hypervisors},
		{Method: "GET", Path: "/v2.1/os-hypervisors/statistics", Rule: ruleStatistics, Until: compute.HypervisorsSlim, Handle: a.statistics},
		{Method: "GET", Path: "/v2.1/os-hypervisors/{id}", Rule: ruleHypervisor, Handle: a.hypervisor},
		{Method: "GET", Path: "/v2.1/os-hypervisors/{id}/uptime", Rule: ruleUptime, Until: compute.HypervisorsSlim, Handle: a.uptime},
		{Method: "GET", Path: "/v2.1/os-hypervisors/{id}/search", Rule: ruleSearch, Until: byID, Handle: a.search},
		{Method: "GET", Path: "/v2.1/os-hypervisors/{id}/servers", Rule: ruleServers, Until: byID, Handle: a.search},
		{Method: "GET", Path: "/v2.1/os-availability-zone", Rule: ruleZones, Handle: a.zones},
		{Method: "GET", Path: "/v2.1/os-availability-zone/detail", Rule: ruleZonesDetail, Handle: a.zonesDetail},
	}...)
}

func (a api) services(c *rest.Call) (rest.Reply, error) {
	list, err := a.units(c)
	if err != nil {
		return rest.Reply{}, err
	}
	out := make([]any, 0, len(list))
	for _, u := range list {
		if host := c.Values().Get("host"); host != "" && host != u.Name {
			continue
		}
		if binary := c.Values().Get("binary"); binary != "" && binary != u.binary {
			continue
		}
		out = append(out, serviceView(c, u))
	}
	return rest.OK(map[string]any{"services": out})
}

// find looks a host up by the id its version of the API uses.
func (a api) find(ctx context.Context, match func(*Host) bool, otherwise error) (*Host, error) {
	list, err := a.hosts.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range list {
		if match(h) {
			return h, nil
		}
	}
	return nil, otherwise
}

func (a api) service(c *rest.Call) (unit, error) {
	want := c.Var("id")
	list, err := a.units(c)
	if err != nil {
		return unit{}, err
	}
	for _, u := range list {
		if c.At(compute.UUIDsForServices) && u.ServiceID == want || !c.At(compute.UUIDsForServices) && strconv.FormatInt(u.Serial, 10) == want {
			return u, nil
		}
	}
	return unit{}, fault.NotFoundf("Service %s not found.", want)
}

func (a api) update(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Status     string     `json:"status" v:"enum=enabled|disabled"`
		Reason     string     `json:"disabled_reason" v:"min=1,max=255"`
		ForcedDown *rest.Bool `json:"forced_down"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if in.Reason != "" && in.Status != "disabled" {
		return rest.Reply{}, fault.Invalidf("Specifying disabled_reason requires that status is 'disabled'.")
	}
	u, err := a.service(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if u.binary != binaryCompute {
		return rest.Reply{}, fault.Invalidf("Updating a %s service is not supported. Only nova-compute services can be updated.", u.binary)
	}
	h, err := a.hosts.change(c.Context(), u.Name, c.Event("service", "", ""), func(r *row) {
		if in.Status != "" {
			r.Disabled, r.DisabledReason = in.Status == "disabled", in.Reason
		}
		if in.ForcedDown != nil {
			r.ForcedDown = bool(*in.ForcedDown)
		}
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"service": serviceView(c, unit{h, binaryCompute})})
}

// updateByHost is the older form: the verb in the address, the host in the body.
func (a api) updateByHost(how string) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) { return a.byHost(c, how) }
}

func (a api) byHost(c *rest.Call, how string) (rest.Reply, error) {
	var in struct {
		Host       string     `json:"host" v:"required,min=1,max=255"`
		Binary     string     `json:"binary" v:"required,min=1,max=255"`
		Reason     string     `json:"disabled_reason" v:"min=1,max=255"`
		ForcedDown *rest.Bool `json:"forced_down" since:"2.11"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if a.hosts.controls(in.Binary, in.Host) {
		return rest.Reply{}, inseparable(in.Binary)
	}
	if in.Binary != binaryCompute {
		return rest.Reply{}, fault.NotFoundf("Could not find binary %s on host %s.", in.Binary, in.Host)
	}
	change, err := verb(how, in.Reason, in.ForcedDown)
	if err != nil {
		return rest.Reply{}, err
	}
	h, err := a.hosts.change(c.Context(), in.Host, c.Event("service", "", ""), change)
	if err != nil {
		return rest.Reply{}, err
	}
	view := map[string]any{"host": h.Name, "binary": in.Binary}
	switch how {
	case "force-down":
		view["forced_down"] = h.ForcedDown
	case "disable-log-reason":
		view["status"], view["disabled_reason"] = status(h), in.Reason
	default:
		view["status"] = status(h)
	}
	return rest.OK(map[string]any{"service": view})
}

func verb(name, why string, down *rest.Bool) (func(*row), error) {
	switch {
	case name == "enable":
		return func(r *row) { r.Disabled, r.DisabledReason = false, "" }, nil
	case name == "disable":
		return func(r *row) { r.Disabled, r.DisabledReason = true, "" }, nil
	case name == "disable-log-reason" && why != "":
		return func(r *row) { r.Disabled, r.DisabledReason = true, why }, nil
	case name == "disable-log-reason":
		return nil, fault.Invalidf("Missing disabled reason field")
	case name == "force-down" && down != nil:
		return func(r *row) { r.ForcedDown = bool(*down) }, nil
	case name == "force-down":
		return nil, fault.Invalidf("Missing forced_down field")
	}
	return nil, fault.NotFoundf("Unknown action")
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	u, err := a.service(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if u.binary != binaryCompute {
		return rest.Reply{}, inseparable(u.binary)
	}
	if err := a.hosts.remove(c.Context(), u.Name, c.Event("service", "", "")); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

// zone is one availability zone with its hosts.
type zone struct {
	name  string
	hosts []*Host
}

func (a api) grouped(c *rest.Call) ([]zone, error) {
	list, err := a.hosts.List(c.Context())
	if err != nil {
		return nil, err
	}
	var out []zone
	index := map[string]int{}
	for _, h := range list {
		i, ok := index[h.Zone]
		if !ok {
			i = len(out)
			index[h.Zone], out = i, append(out, zone{name: h.Zone})
		}
		out[i].hosts = append(out[i].hosts, h)
	}
	if len(out) == 0 {
		out = []zone{{name: DefaultZone}}
	}
	return out, nil
}

func (a api) zones(c *rest.Call) (rest.Reply, error) {
	zones, err := a.grouped(c)
	if err != nil {
		return rest.Reply{}, err
	}
	out := []any{}
	for _, z := range zones {
		out = append(out, map[string]any{"zoneName": z.name, "zoneState": map[string]bool{"available": z.available()}, "hosts": nil})
	}
	return rest.OK(map[string]any{"availabilityZoneInfo": out})
}

func (z zone) available() bool {
	for _, h := range z.hosts {
		if !h.Disabled {
			return true
		}
	}
	return len(z.hosts) == 0
}

// zonesDetail names the hosts of zones too, and the zone of the server itself.
func (a api) zonesDetail(c *rest.Call) (rest.Reply, error) {
	zones, err := a.grouped(c)
	if err != nil {
		return rest.Reply{}, err
	}
	own := map[string]any{}
	for _, u := range a.hosts.control() {
		own[u.binary] = unitState(u.Host)
	}
	internal := map[string]any{a.hosts.server: own}
	out := []any{map[string]any{"zoneName": internalZone, "zoneState": map[string]bool{"available": true}, "hosts": internal}}
	for _, z := range zones {
		hosts := map[string]any{}
		for _, h := range z.hosts {
			hosts[h.Name] = map[string]any{binaryCompute: unitState(h)}
		}
		out = append(out, map[string]any{"zoneName": z.name, "zoneState": map[string]bool{"available": z.available()}, "hosts": hosts})
	}
	return rest.OK(map[string]any{"availabilityZoneInfo": out})
}

func unitState(h *Host) map[string]any {
	return map[string]any{"available": h.Up, "active": !h.Disabled, "updated_at": wireTime(h.SeenAt)}
}
