package servers

import (
	"net/http"
	"slices"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Names of rules, as upstream has them.
const (
	prefix         = "os_compute_api:"
	ruleIndex      = prefix + "servers:index"
	ruleIndexAll   = prefix + "servers:index:get_all_tenants"
	ruleDetail     = prefix + "servers:detail"
	ruleDetailAll  = prefix + "servers:detail:get_all_tenants"
	ruleAllFilters = prefix + "servers:allow_all_filters"
	ruleShow       = prefix + "servers:show"
	ruleHostStatus = prefix + "servers:show:host_status"
	ruleCreate     = prefix + "servers:create"
	ruleForceHost  = prefix + "servers:create:forced_host"
	ruleZeroDisk   = prefix + "servers:create:zero_disk_flavor"
	ruleDelete     = prefix + "servers:delete"
	ruleUpdate     = prefix + "servers:update"
	ruleStart      = prefix + "servers:start"
	ruleStop       = prefix + "servers:stop"
	ruleReboot     = prefix + "servers:reboot"
	rulePause      = prefix + "os-pause-server:pause"
	ruleUnpause    = prefix + "os-pause-server:unpause"
	ruleSuspend    = prefix + "os-suspend-server:suspend"
	ruleResume     = prefix + "os-suspend-server:resume"
	ruleLock       = prefix + "os-lock-server:lock"
	ruleUnlock     = prefix + "os-lock-server:unlock"
	ruleOverride   = prefix + "os-lock-server:unlock:unlock_override"
	ruleReset      = prefix + "os-admin-actions:reset_state"
	ruleForceDel   = prefix + "os-deferred-delete:force"
	ruleConsole    = prefix + "os-console-output"
	ruleExtended   = prefix + "os-extended-server-attributes"
	ruleSpecs      = prefix + "servers:show:flavor-extra-specs"
	ruleIPs        = prefix + "ips:index"
	ruleIP         = prefix + "ips:show"
	ruleMeta       = prefix + "server-metadata:"
	ruleTags       = prefix + "os-server-tags:"
	ruleVolumes    = prefix + "os-volumes-attachments:"
	ruleSwap       = ruleVolumes + "swap"
	ruleCards      = prefix + "os-attach-interfaces:"
	ruleActions    = prefix + "os-instance-actions:"
	ruleGroups     = prefix + "os-security-groups:list"
	ruleExternal   = "network:attach_external_network"
)

// Rules are the policy rules of servers, with upstream's names and defaults.
func Rules() []policy.Rule {
	var out []policy.Rule
	add := func(check string, names ...string) {
		for _, n := range names {
			out = append(out, policy.Rule{Name: n, Check: check, Scopes: []string{"project"}, Description: n})
		}
	}
	add(policy.ProjectReaderOrAdmin, ruleIndex, ruleSpecs, ruleDetail, ruleShow, ruleIPs, ruleIP, ruleMeta+"index", ruleMeta+"show", ruleTags+"index", ruleTags+"show",
		ruleVolumes+"index", ruleVolumes+"show", ruleCards+"list", ruleCards+"show", ruleActions+"list", ruleActions+"show", ruleGroups)
	add(policy.ProjectMemberOrAdmin, ruleCreate, ruleDelete, ruleUpdate, ruleStart, ruleStop, ruleReboot, rulePause, ruleUnpause, ruleSuspend, ruleResume,
		ruleLock, ruleUnlock, ruleConsole, ruleForceDel, ruleMeta+"create", ruleMeta+"update", ruleMeta+"update_all", ruleMeta+"delete",
		ruleTags+"update", ruleTags+"update_all", ruleTags+"delete", ruleTags+"delete_all", ruleVolumes+"create", ruleVolumes+"update",
		ruleVolumes+"delete", ruleCards+"create", ruleCards+"delete")
	add(policy.Admin, ruleIndexAll, ruleDetailAll, ruleAllFilters, ruleHostStatus, ruleForceHost, ruleZeroDisk, ruleOverride, ruleReset, ruleExtended,
		ruleActions+"events", ruleActions+"events:details", ruleExternal)
	add(policy.ServiceOrAdmin, ruleSwap)
	return slices.Concat(out, imageRules(), rebuildRules(), rescueRules(), shelveRules(), moveRules(), migrationRules(), usageRules(), eventRules(), insideRules())
}

type api struct {
	s             *Servers
	brief, detail *rest.Resource[view]
}

func (s *Servers) api() *api { return &api{s: s, brief: s.resource(false), detail: s.resource(true)} }

// Actions are what POST /v2.1/servers/{id}/action knows of this feature; the
// assembly adds those of others.
func (s *Servers) Actions() map[string]rest.Action { return s.api().actions() }

// listed are the parameters that lists of servers know.
func listed() *rest.Query {
	return rest.Known(compute.StrictEverywhere, "user_id", "project_id", "tenant_id", "launch_index", "image_ref", "image", "kernel_id", "ramdisk_id", "hostname", "key_name",
		"power_state", "vm_state", "task_state", "host", "node", "flavor", "reservation_id", "launched_at", "terminated_at", "availability_zone", "name",
		"display_name", "description", "display_description", "locked_by", "uuid", "root_device_name", "config_drive", "access_ip_v4", "access_ip_v6",
		"auto_disk_config", "progress", "limit", "marker", "sort_key", "sort_dir", "all_tenants", "soft_deleted", "deleted", "status", "changes-since",
		"changes-before", "ip", "ip6", "created_at", "tags", "tags-any", "not-tags", "not-tags-any", "locked")
}

// Routes are the operations of servers, but for their action route.
func (s *Servers) Routes() []rest.Route {
	a := s.api()
	out := []rest.Route{
		{Method: "GET", Path: "/v2.1/servers", Rule: ruleIndex, Query: listed(), Handle: a.brief.Index},
		{Method: "GET", Path: "/v2.1/servers/detail", Rule: ruleDetail, Query: listed(), Handle: a.detail.Index},
		{Method: "POST", Path: "/v2.1/servers", Rule: ruleCreate, Audit: "create", Handle: a.create, MaxBody: 4 << 20, Variants: []string{"server.min_count"}},
		{Method: "GET", Path: "/v2.1/servers/{id}", Rule: ruleShow, Object: true, Handle: a.show},
		{Method: "PUT", Path: "/v2.1/servers/{id}", Rule: ruleUpdate, Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v2.1/servers/{id}", Rule: ruleDelete, Object: true, Audit: "delete", Handle: a.remove},
		{Method: "GET", Path: "/v2.1/servers/{id}/ips", Rule: ruleIPs, Object: true, Handle: a.ips},
		{Method: "GET", Path: "/v2.1/servers/{id}/ips/{label}", Rule: ruleIP, Object: true, Handle: a.ip},
		{Method: "GET", Path: "/v2.1/servers/{id}/os-security-groups", Rule: ruleGroups, Object: true, Handle: a.groups},
	}
	out = append(out, a.metadataRoutes()...)
	out = append(out, a.tagRoutes()...)
	out = append(out, a.volumeRoutes()...)
	out = append(out, a.interfaceRoutes()...)
	out = append(out, a.migrationRoutes()...)
	out = append(out, a.usageRoutes()...)
	out = append(out, a.eventRoutes()...)
	out = append(out, a.insideRoutes()...)
	return append(out, a.logRoutes()...)
}

// Find loads a server for a request and authorises the request's rule on it:
// what other features of compute do with a server begins here.
func (s *Servers) Find(c *rest.Call, id string) (*compute.Server, error) {
	one, err := s.api().brief.Find(c, id)
	if err != nil {
		return nil, err
	}
	return &one.Server.Server, nil
}

// find loads the server of the path with its row only.
func (a *api) find(c *rest.Call) (*Server, error) {
	v, err := a.brief.Find(c, c.Var("id"))
	if err != nil {
		return nil, err
	}
	return v.Server, nil
}

// override tells whether the caller may change locked servers.
func override(c *rest.Call, one *Server) bool { return c.Allow(ruleOverride, target(&one.Server)) }

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	v, err := a.detail.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.whole(c, v))
}

// whole is the answer about one server; it has what lists lack.
func (a *api) whole(c *rest.Call, v *view) map[string]any {
	body := a.detail.View(c, v)
	if c.At(compute.ServerGroupOfServer) {
		groups := []string{}
		if v.GroupID != "" {
			groups = append(groups, v.GroupID)
		}
		body["server_groups"] = groups
	}
	return map[string]any{"server": body}
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Delete(c.Context(), one.ID, override(c, one), c.Event("server", one.ID, one.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

type updateBody struct {
	Server struct {
		Name        *string          `json:"name" v:"name,min=1,max=255"`
		AccessIPv4  rest.Opt[string] `json:"accessIPv4"`
		AccessIPv6  rest.Opt[string] `json:"accessIPv6"`
		DiskConfig  *string          `json:"OS-DCF:diskConfig" v:"enum=AUTO|MANUAL"`
		Description rest.Opt[string] `json:"description" since:"2.19" v:"max=255"`
		Hostname    *string          `json:"hostname" since:"2.90" v:"min=2,max=255"`
	} `json:"server" v:"required"`
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in updateBody
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if err := checkHostname(c, in.Server.Hostname); err != nil {
		return rest.Reply{}, err
	}
	u := Update{Name: in.Server.Name, DiskConfig: in.Server.DiskConfig, Hostname: in.Server.Hostname, Describe: in.Server.Description.Set}
	if u.AccessIPv4, err = accessAddress(in.Server.AccessIPv4, 4); err != nil {
		return rest.Reply{}, err
	}
	if u.AccessIPv6, err = accessAddress(in.Server.AccessIPv6, 6); err != nil {
		return rest.Reply{}, err
	}
	if u.Describe && !in.Server.Description.Null {
		u.Description = &in.Server.Description.V
	}
	if _, err := a.s.Update(c.Context(), one.ID, u, override(c, one), c.Event("server", one.ID, one.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	v, err := views{a.s, true}.Get(c.Context(), one.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	body := a.whole(c, v)
	if !c.At(compute.StrictEverywhere) {
		server := body["server"].(map[string]any)
		for _, f := range extendedFields() {
			delete(server, f.Name)
		}
		delete(server, "host_status")
	}
	return rest.OK(body)
}

func (a *api) ips(c *rest.Call) (rest.Reply, error) {
	v, err := a.detail.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"addresses": addresses(v.cards)})
}

func (a *api) ip(c *rest.Call) (rest.Reply, error) {
	v, err := a.detail.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	label := c.Var("label")
	list, ok := addresses(v.cards)[label]
	if !ok {
		return rest.Reply{}, noNetwork(v.ID)
	}
	return rest.OK(map[string]any{label: list})
}

func (a *api) groups(c *rest.Call) (rest.Reply, error) {
	v, err := a.detail.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	out := []map[string]any{}
	for _, name := range guards(v.cards).names(nil) {
		out = append(out, map[string]any{"id": name, "name": name, "description": "", "tenant_id": v.ProjectID, "rules": []any{}})
	}
	return rest.Answer(http.StatusOK, map[string]any{"security_groups": out})
}
