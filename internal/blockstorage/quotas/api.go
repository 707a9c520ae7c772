package quotas

import (
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleShow        = "volume_extension:quotas:show"
	ruleUpdate      = "volume_extension:quotas:update"
	ruleDelete      = "volume_extension:quotas:delete"
	ruleClassShow   = "volume_extension:quota_classes:get"
	ruleClassUpdate = "volume_extension:quota_classes:update"
	ruleLimits      = "limits_extension:used_limits"
	ruleAll         = "context_is_admin"
)

// Rules are the policy rules of quotas, with upstream's names and defaults.
func Rules() []policy.Rule {
	return []policy.Rule{
		{Name: ruleShow, Check: policy.ProjectReaderOrAdmin, Description: "Show a project's quota."},
		{Name: ruleUpdate, Check: policy.Admin, Description: "Change a project's quota."},
		{Name: ruleDelete, Check: policy.Admin, Description: "Give a project the default quota."},
		{Name: ruleClassShow, Check: policy.Admin, Description: "Show a quota class."},
		{Name: ruleClassUpdate, Check: policy.Admin, Description: "Change a quota class."},
		{Name: ruleLimits, Check: policy.ProjectReaderOrAdmin, Description: "Show limits and their use."},
	}
}

// Routes are the operations of quota sets, quota classes and limits.
func (s *Quotas) Routes() []rest.Route {
	a := api{s}
	return []rest.Route{
		{Method: "GET", Path: "/v3/os-quota-sets/{id}", Rule: ruleShow, Object: true, Handle: a.show, Variants: []string{"?usage=True"}},
		{Method: "GET", Path: "/v3/os-quota-sets/{id}/defaults", Rule: ruleShow, Handle: a.defaults},
		{Method: "PUT", Path: "/v3/os-quota-sets/{id}", Rule: ruleUpdate, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v3/os-quota-sets/{id}", Rule: ruleDelete, Audit: "delete", Handle: a.remove},
		{Method: "GET", Path: "/v3/os-quota-class-sets/{id}", Rule: ruleClassShow, Handle: a.class},
		{Method: "PUT", Path: "/v3/os-quota-class-sets/{id}", Rule: ruleClassUpdate, Audit: "update", Handle: a.updateClass},
		{Method: "GET", Path: "/v3/limits", Rule: ruleLimits, Handle: a.limits},
	}
}

type api struct{ *Quotas }

// view is limits as the API shows them.
func view(limits map[string]int64) map[string]any {
	out := map[string]any{}
	for name, limit := range limits {
		out[name] = limit
	}
	return out
}

func (a api) show(c *rest.Call) (rest.Reply, error) {
	project := c.Var("id")
	if err := c.Authorize(policy.Target{"project_id": project}); err != nil {
		return rest.Reply{}, err
	}
	limits, err := a.quota.Limits(c.Context(), a.db, project)
	if err != nil {
		return rest.Reply{}, err
	}
	set := view(limits)
	if usage, _ := rest.ParseBool(c.Values().Get("usage")); usage {
		used, err := a.quota.Usage(c.Context(), a.db, project)
		if err != nil {
			return rest.Reply{}, err
		}
		for name, limit := range set {
			set[name] = map[string]any{"limit": limit, "in_use": used[name], "reserved": 0}
		}
	}
	set["id"] = project
	return rest.OK(map[string]any{"quota_set": set})
}

func (a api) defaults(c *rest.Call) (rest.Reply, error) {
	limits, err := a.quota.Defaults(c.Context(), a.db)
	if err != nil {
		return rest.Reply{}, err
	}
	set := view(limits)
	set["id"] = c.Var("id")
	return rest.OK(map[string]any{"quota_set": set})
}

// named reads the limits of a request.
func (a api) named(c *rest.Call, envelope string) (map[string]int64, error) {
	var in map[string]map[string]any
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	members, ok := in[envelope]
	if !ok || len(in) != 1 {
		return nil, fault.Invalidf("Invalid input for field/attribute %s. '%s' is a required property", envelope, envelope)
	}
	out := map[string]int64{}
	for name, value := range members {
		if name == "tenant_id" || name == "skip_validation" || name == "class_name" {
			continue
		}
		n, err := limit(name, value)
		if err != nil {
			return nil, err
		}
		out[name] = n
	}
	return out, nil
}

// limit reads a limit, which clients send as a number or as text.
func limit(name string, value any) (int64, error) {
	var n rest.Int
	text, isText := value.(string)
	number, isNumber := value.(float64)
	switch {
	case isNumber && number == float64(int64(number)):
		n = rest.Int(number)
	case isText && n.UnmarshalJSON([]byte(text)) == nil:
	default:
		return 0, fault.Invalidf("Invalid input for field/attribute %s. Value: %v. It is not of type 'integer'", name, value)
	}
	if n < -1 || n > 1<<31-1 {
		return 0, fault.Invalidf("Invalid input for field/attribute %s. Value: %d. It is not between -1 and 2147483647", name, n)
	}
	return int64(n), nil
}

func (a api) update(c *rest.Call) (rest.Reply, error) {
	limits, err := a.named(c, "quota_set")
	if err != nil {
		return rest.Reply{}, err
	}
	project := c.Var("id")
	err = a.write(c.Context(), c.Event("quota_set", project, project), func(tx *db.Tx) error { return a.quota.Set(c.Context(), tx, project, limits) })
	if err != nil {
		return rest.Reply{}, err
	}
	now, err := a.quota.Limits(c.Context(), a.db, project)
	if err != nil {
		return rest.Reply{}, err
	}
	set := view(now)
	return rest.OK(map[string]any{"quota_set": set})
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	project := c.Var("id")
	err := a.write(c.Context(), c.Event("quota_set", project, project), func(tx *db.Tx) error { return a.quota.Delete(c.Context(), tx, project) })
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(nil)
}

// className is who owns the limits of a class other than the default one.
func className(c *rest.Call) string { return "class " + c.Var("id") }

// ofClass reads the limits of a class.
func (a api) ofClass(c *rest.Call) (map[string]any, error) {
	limits, err := a.quota.Defaults(c.Context(), a.db)
	if c.Var("id") != "default" && err == nil {
		limits, err = a.quota.Limits(c.Context(), a.db, className(c))
	}
	return view(limits), err
}

func (a api) class(c *rest.Call) (rest.Reply, error) {
	set, err := a.ofClass(c)
	if err != nil {
		return rest.Reply{}, err
	}
	set["id"] = c.Var("id")
	return rest.OK(map[string]any{"quota_class_set": set})
}

func (a api) updateClass(c *rest.Call) (rest.Reply, error) {
	limits, err := a.named(c, "quota_class_set")
	if err != nil {
		return rest.Reply{}, err
	}
	err = a.write(c.Context(), c.Event("quota_class_set", c.Var("id"), ""), func(tx *db.Tx) error {
		if c.Var("id") == "default" {
			return a.quota.SetDefaults(c.Context(), tx, limits)
		}
		return a.quota.Set(c.Context(), tx, className(c), limits)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	set, err := a.ofClass(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"quota_class_set": set})
}

func (a api) limits(c *rest.Call) (rest.Reply, error) {
	project := c.Auth.ProjectID
	if other := c.Values().Get("project_id"); other != "" && c.At(blockstorage.LimitsOfOthers) && c.Allow(ruleAll, c.Caller()) {
		project = other
	}
	limits, err := a.quota.Limits(c.Context(), a.db, project)
	if err != nil {
		return rest.Reply{}, err
	}
	used, err := a.quota.Usage(c.Context(), a.db, project)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"limits": map[string]any{"rate": []any{}, "absolute": map[string]int64{
		"maxTotalVolumes": limits["volumes"], "maxTotalSnapshots": limits["snapshots"], "maxTotalVolumeGigabytes": limits["gigabytes"],
		"maxTotalBackups": limits["backups"], "maxTotalBackupGigabytes": limits["backup_gigabytes"],
		"totalVolumesUsed": used["volumes"], "totalSnapshotsUsed": used["snapshots"], "totalGigabytesUsed": used["gigabytes"],
		"totalBackupsUsed": used["backups"], "totalBackupGigabytesUsed": used["backup_gigabytes"],
	}}})
}
