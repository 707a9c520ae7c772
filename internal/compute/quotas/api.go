package quotas

import (
	"net/http"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleShow        = "os_compute_api:os-quota-sets:show"
	ruleDetail      = "os_compute_api:os-quota-sets:detail"
	ruleDefaults    = "os_compute_api:os-quota-sets:defaults"
	ruleUpdate      = "os_compute_api:os-quota-sets:update"
	ruleDelete      = "os_compute_api:os-quota-sets:delete"
	ruleClassShow   = "os_compute_api:os-quota-class-sets:show"
	ruleClassUpdate = "os_compute_api:os-quota-class-sets:update"
	ruleLimits      = "os_compute_api:limits"
	ruleOtherLimits = "os_compute_api:limits:other_project"
)

// Rules are the policy rules of quotas, with upstream's names and defaults.
func Rules() []policy.Rule {
	scopes := []string{"project"}
	return []policy.Rule{
		{Name: ruleShow, Check: policy.ProjectReaderOrAdmin, Scopes: scopes, Description: "Show a project's quota."},
		{Name: ruleDetail, Check: policy.ProjectReaderOrAdmin, Scopes: scopes, Description: "Show a project's quota and usage."},
		{Name: ruleDefaults, Check: policy.Any, Scopes: scopes, Description: "Show default quotas."},
		{Name: ruleUpdate, Check: policy.Admin, Scopes: scopes, Description: "Change a project's quota."},
		{Name: ruleDelete, Check: policy.Admin, Scopes: scopes, Description: "Give a project the default quota."},
		{Name: ruleClassShow, Check: policy.Admin, Scopes: scopes, Description: "Show a quota class."},
		{Name: ruleClassUpdate, Check: policy.Admin, Scopes: scopes, Description: "Change a quota class."},
		{Name: ruleLimits, Check: policy.Any, Scopes: scopes, Description: "Show the limits of the own project."},
		{Name: ruleOtherLimits, Check: policy.Admin, Scopes: scopes, Description: "Show the limits of another project."},
	}
}

// Routes are the operations of quota sets, quota classes and limits.
func (s *Quotas) Routes() []rest.Route {
	a := api{s}
	return []rest.Route{
		{Method: "GET", Path: "/v2.1/os-quota-sets/{id}", Rule: ruleShow, Query: rest.Known(compute.StrictEverywhere, "user_id"), Object: true, Handle: a.show},
		{Method: "GET", Path: "/v2.1/os-quota-sets/{id}/detail", Rule: ruleDetail, Query: rest.Known(compute.StrictEverywhere, "user_id"), Object: true, Handle: a.detail},
		{Method: "GET", Path: "/v2.1/os-quota-sets/{id}/defaults", Rule: ruleDefaults, Handle: a.defaults},
		{Method: "PUT", Path: "/v2.1/os-quota-sets/{id}", Rule: ruleUpdate, Query: rest.Known(compute.StrictEverywhere, "user_id"), Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v2.1/os-quota-sets/{id}", Rule: ruleDelete, Query: rest.Known(compute.StrictEverywhere, "user_id"), Audit: "delete", Handle: a.remove},
		{Method: "GET", Path: "/v2.1/os-quota-class-sets/{id}", Rule: ruleClassShow, Handle: a.class},
		{Method: "PUT", Path: "/v2.1/os-quota-class-sets/{id}", Rule: ruleClassUpdate, Audit: "update", Handle: a.updateClass},
		{Method: "GET", Path: "/v2.1/limits", Rule: ruleLimits, Query: rest.Known(compute.StrictEverywhere, "tenant_id"), Handle: a.limits},
	}
}

type api struct{ quotas *Quotas }

// networkQuota are limits of networks that Nova showed before 2.36. They are
// Neutron's matter; upstream shows fixed values in quota sets, and keeps what is
// written into quota classes without minding it.
var networkQuota = map[string]int64{"floating_ips": -1, "fixed_ips": -1, "security_groups": -1, "security_group_rules": -1}

var fileQuota = []string{"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}

// view shapes limits for the request's version.
func view(c *rest.Call, limits map[string]int64) map[string]any {
	out := map[string]any{}
	for name, limit := range limits {
		if _, network := networkQuota[name]; !network {
			out[name] = limit
		}
	}
	if c.At(compute.NoPersonality) {
		for _, name := range fileQuota {
			delete(out, name)
		}
	}
	if !c.At(compute.NoProxies) {
		for name, limit := range networkQuota {
			out[name] = limit
		}
	}
	return out
}

func (a api) limitsOf(c *rest.Call) (map[string]int64, error) {
	project := c.Var("id")
	if err := c.Authorize(policy.Target{"project_id": project}); err != nil {
		return nil, err
	}
	if err := a.quotas.known(c.Context(), project); err != nil {
		return nil, err
	}
	return a.quotas.quota.Limits(c.Context(), a.quotas.db, project)
}

func (a api) show(c *rest.Call) (rest.Reply, error) {
	limits, err := a.limitsOf(c)
	if err != nil {
		return rest.Reply{}, err
	}
	set := view(c, limits)
	set["id"] = c.Var("id")
	return rest.OK(map[string]any{"quota_set": set})
}

func (a api) detail(c *rest.Call) (rest.Reply, error) {
	limits, err := a.limitsOf(c)
	if err != nil {
		return rest.Reply{}, err
	}
	used, err := a.quotas.quota.Usage(c.Context(), a.quotas.db, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	set := view(c, limits)
	for name, limit := range set {
		set[name] = map[string]any{"limit": limit, "in_use": used[name], "reserved": 0}
	}
	set["id"] = c.Var("id")
	return rest.OK(map[string]any{"quota_set": set})
}

func (a api) defaults(c *rest.Call) (rest.Reply, error) {
	limits, err := a.quotas.quota.Defaults(c.Context(), a.quotas.db)
	if err != nil {
		return rest.Reply{}, err
	}
	set := view(c, limits)
	set["id"] = c.Var("id")
	return rest.OK(map[string]any{"quota_set": set})
}

type quotaBody struct {
	TenantID string    `json:"tenant_id"`
	Force    rest.Bool `json:"force"`
	limitsBody
}

type limitsBody struct {
	Instances      *rest.Int `json:"instances" v:"min=-1,max=2147483647"`
	Cores          *rest.Int `json:"cores" v:"min=-1,max=2147483647"`
	RAM            *rest.Int `json:"ram" v:"min=-1,max=2147483647"`
	MetadataItems  *rest.Int `json:"metadata_items" v:"min=-1,max=2147483647"`
	Files          *rest.Int `json:"injected_files" until:"2.57" v:"min=-1,max=2147483647"`
	FileBytes      *rest.Int `json:"injected_file_content_bytes" until:"2.57" v:"min=-1,max=2147483647"`
	FilePath       *rest.Int `json:"injected_file_path_bytes" until:"2.57" v:"min=-1,max=2147483647"`
	KeyPairs       *rest.Int `json:"key_pairs" v:"min=-1,max=2147483647"`
	Groups         *rest.Int `json:"server_groups" v:"min=-1,max=2147483647"`
	GroupMembers   *rest.Int `json:"server_group_members" v:"min=-1,max=2147483647"`
	FloatingIPs    *rest.Int `json:"floating_ips" until:"2.36" v:"min=-1,max=2147483647"`
	FixedIPs       *rest.Int `json:"fixed_ips" until:"2.36" v:"min=-1,max=2147483647"`
	SecurityGroups *rest.Int `json:"security_groups" until:"2.36" v:"min=-1,max=2147483647"`
	SecurityRules  *rest.Int `json:"security_group_rules" until:"2.36" v:"min=-1,max=2147483647"`
}

// limits gives what was named. The network limits are taken and ignored, as
// upstream does: Neutron has its own.
func (b limitsBody) limits() map[string]int64 {
	out := map[string]int64{}
	for name, v := range map[string]*rest.Int{"instances": b.Instances, "cores": b.Cores, "ram": b.RAM, "metadata_items": b.MetadataItems, "injected_files": b.Files,
		"injected_file_content_bytes": b.FileBytes, "injected_file_path_bytes": b.FilePath, "key_pairs": b.KeyPairs, "server_groups": b.Groups,
		"server_group_members": b.GroupMembers} {
		if v != nil {
			out[name] = int64(*v)
		}
	}
	return out
}

func (a api) update(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Set quotaBody `json:"quota_set" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	after, err := a.quotas.set(c.Context(), c.Var("id"), in.Set.limits(), bool(in.Set.Force), c.Event("quota_set", c.Var("id"), c.Var("id")))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"quota_set": view(c, after)})
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	if err := a.quotas.reset(c.Context(), c.Var("id"), c.Event("quota_set", c.Var("id"), c.Var("id"))); err != nil {
		return rest.Reply{}, err
	}
	return rest.Answer(http.StatusAccepted, nil)
}

func (a api) class(c *rest.Call) (rest.Reply, error) {
	limits, err := a.quotas.quota.Defaults(c.Context(), a.quotas.db)
	if err != nil {
		return rest.Reply{}, err
	}
	set := a.classView(c, limits)
	set["id"] = c.Var("id")
	return rest.OK(map[string]any{"quota_class_set": set})
}

// classView has server groups from 2.50 on only.
func (a api) classView(c *rest.Call, limits map[string]int64) map[string]any {
	set := view(c, limits)
	if !c.At(compute.QuotaWithoutNetwork) {
		delete(set, "server_groups")
		delete(set, "server_group_members")
		for name := range networkQuota {
			set[name] = limits[name]
		}
	}
	return set
}

func (a api) updateClass(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Set limitsBody `json:"quota_class_set" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	limits := in.Set.limits()
	for name, v := range map[string]*rest.Int{"floating_ips": in.Set.FloatingIPs, "fixed_ips": in.Set.FixedIPs, "security_groups": in.Set.SecurityGroups,
		"security_group_rules": in.Set.SecurityRules} {
		if v != nil {
			limits[name] = int64(*v)
		}
	}
	after, err := a.quotas.setDefaults(c.Context(), limits, c.Event("quota_class_set", c.Var("id"), ""))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"quota_class_set": a.classView(c, after)})
}

// imageMeta is where maxImageMeta left the limits.
const imageMeta = microversion.Version(2039)

func (a api) limits(c *rest.Call) (rest.Reply, error) {
	project := c.Auth.ProjectID
	if other := c.Values().Get("tenant_id"); other != "" && other != project {
		if !c.Allow(ruleOtherLimits, c.Caller()) {
			return rest.Reply{}, forbidden()
		}
		project = other
	}
	limits, err := a.quotas.quota.Limits(c.Context(), a.quotas.db, project)
	if err != nil {
		return rest.Reply{}, err
	}
	used, err := a.quotas.quota.Usage(c.Context(), a.quotas.db, project)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"limits": map[string]any{"rate": []any{}, "absolute": absolute(c, limits, used)}})
}

func absolute(c *rest.Call, limits, used map[string]int64) map[string]int64 {
	out := map[string]int64{"maxServerMeta": limits["metadata_items"], "maxTotalInstances": limits["instances"], "maxTotalCores": limits["cores"],
		"maxTotalRAMSize": limits["ram"], "maxTotalKeypairs": limits["key_pairs"], "maxServerGroups": limits["server_groups"],
		"maxServerGroupMembers": limits["server_group_members"], "totalInstancesUsed": used["instances"], "totalCoresUsed": used["cores"],
		"totalRAMUsed": used["ram"], "totalServerGroupsUsed": used["server_groups"]}
	if !c.At(imageMeta) {
		out["maxImageMeta"] = limits["metadata_items"]
	}
	if !c.At(compute.NoPersonality) {
		out["maxPersonality"], out["maxPersonalitySize"] = limits["injected_files"], limits["injected_file_content_bytes"]
	}
	if !c.At(compute.NoProxies) {
		out["maxSecurityGroups"], out["maxSecurityGroupRules"], out["maxTotalFloatingIps"] = -1, -1, -1
		out["totalSecurityGroupsUsed"], out["totalFloatingIpsUsed"] = 0, 0
	}
	return out
}
