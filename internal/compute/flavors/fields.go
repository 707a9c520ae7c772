package flavors

import (
	"strconv"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleRead        = "os_compute_api:flavors"
	ruleCreate      = "os_compute_api:os-flavor-manage:create"
	ruleUpdate      = "os_compute_api:os-flavor-manage:update"
	ruleDelete      = "os_compute_api:os-flavor-manage:delete"
	ruleAccess      = "os_compute_api:os-flavor-access"
	ruleAccessAdd   = "os_compute_api:os-flavor-access:add_tenant_access"
	ruleAccessDrop  = "os_compute_api:os-flavor-access:remove_tenant_access"
	ruleSpecsIndex  = "os_compute_api:os-flavor-extra-specs:index"
	ruleSpecsShow   = "os_compute_api:os-flavor-extra-specs:show"
	ruleSpecsCreate = "os_compute_api:os-flavor-extra-specs:create"
	ruleSpecsUpdate = "os_compute_api:os-flavor-extra-specs:update"
	ruleSpecsDelete = "os_compute_api:os-flavor-extra-specs:delete"
)

// Rules are the policy rules of flavors, with upstream's names and defaults.
func Rules() []policy.Rule {
	project := []string{"project"}
	return []policy.Rule{
		{Name: ruleRead, Check: policy.Any, Scopes: project, Description: "List and show flavors."},
		{Name: ruleCreate, Check: policy.Admin, Scopes: project, Description: "Create a flavor."},
		{Name: ruleUpdate, Check: policy.Admin, Scopes: project, Description: "Update a flavor."},
		{Name: ruleDelete, Check: policy.Admin, Scopes: project, Description: "Delete a flavor."},
		{Name: ruleAccess, Check: policy.Admin, Scopes: project, Description: "List who may use a private flavor."},
		{Name: ruleAccessAdd, Check: policy.Admin, Scopes: project, Description: "Let a project use a private flavor."},
		{Name: ruleAccessDrop, Check: policy.Admin, Scopes: project, Description: "Take a project's access to a flavor back."},
		{Name: ruleSpecsIndex, Check: policy.ProjectReaderOrAdmin, Scopes: project, Description: "List a flavor's extra specs."},
		{Name: ruleSpecsShow, Check: policy.ProjectReaderOrAdmin, Scopes: project, Description: "Show an extra spec of a flavor."},
		{Name: ruleSpecsCreate, Check: policy.Admin, Scopes: project, Description: "Create extra specs of a flavor."},
		{Name: ruleSpecsUpdate, Check: policy.Admin, Scopes: project, Description: "Update an extra spec of a flavor."},
		{Name: ruleSpecsDelete, Check: policy.Admin, Scopes: project, Description: "Delete an extra spec of a flavor."},
	}
}

// resource is the table of both lists; brief ones show only names.
func (a *api) resource(detail bool) *rest.Resource[compute.Flavor] {
	r := &rest.Resource[compute.Flavor]{
		One: "flavor", Many: "flavors", Show: ruleRead,
		ID: func(f *compute.Flavor) string { return f.ID }, Target: func(*compute.Flavor) policy.Target { return policy.Target{} },
		Store: a.flavors.store, Order: []listing.Order{{Column: "id"}},
		Fields: []rest.Field[compute.Flavor]{
			{Name: "id", Column: "id", NoFilter: true, Get: func(f *compute.Flavor) any { return f.ID }},
			{Name: "flavorid", Column: "id", Hidden: true, NoFilter: true},
			{Name: "name", Column: "name", NoFilter: true, Get: func(f *compute.Flavor) any { return f.Name }},
			{Name: "description", Since: compute.FlavorDescription, Get: description},
			{Name: "links", With: links},
		},
		Filters: []rest.Filter{{Name: "minRam", Terms: atLeast("memory_mib")}, {Name: "minDisk", Terms: atLeast("root_gib")},
			{Name: "is_public", Terms: a.public}},
	}
	for name, column := range map[string]string{"memory_mb": "memory_mib", "vcpus": "vcpus", "root_gb": "root_gib", "created_at": "created_at", "is_public": "is_public"} {
		r.Fields = append(r.Fields, rest.Field[compute.Flavor]{Name: name, Column: column, Hidden: true, NoFilter: true})
	}
	if detail {
		r.Fields = append(r.Fields, detailFields...)
	}
	return r
}

var detailFields = []rest.Field[compute.Flavor]{
	{Name: "ram", Get: func(f *compute.Flavor) any { return f.MemoryMiB }},
	{Name: "disk", Get: func(f *compute.Flavor) any { return f.RootGiB }},
	{Name: "vcpus", Get: func(f *compute.Flavor) any { return f.VCPUs }},
	{Name: "swap", Until: compute.StrictEverywhere, Get: oldSwap},
	{Name: "swap", Since: compute.StrictEverywhere, Get: func(f *compute.Flavor) any { return f.SwapMiB }},
	{Name: "OS-FLV-EXT-DATA:ephemeral", Get: func(f *compute.Flavor) any { return f.EphemGiB }},
	{Name: "OS-FLV-DISABLED:disabled", Get: func(f *compute.Flavor) any { return f.Disabled }},
	{Name: "os-flavor-access:is_public", Get: func(f *compute.Flavor) any { return f.Public }},
	{Name: "rxtx_factor", Get: func(f *compute.Flavor) any { return f.RXTXFactor }},
	{Name: "extra_specs", Since: compute.FlavorExtraSpecs, Rule: ruleSpecsAny, Get: func(f *compute.Flavor) any { return f.ExtraSpecs }},
}

// ruleSpecsAny is what shows extra specs inside flavors: the caller's own
// project is the target, as with upstream.
const ruleSpecsAny = ruleRead

func description(f *compute.Flavor) any {
	if !f.Described {
		return nil
	}
	return f.Description
}

func oldSwap(f *compute.Flavor) any {
	if f.SwapMiB == 0 {
		return ""
	}
	return f.SwapMiB
}

func links(c *rest.Call, f *compute.Flavor) any {
	return []map[string]string{{"rel": "self", "href": c.Link("/v2.1/flavors/" + f.ID)}, {"rel": "bookmark", "href": c.Link("/flavors/" + f.ID)}}
}

func atLeast(column string) func(*rest.Call, []string) ([]listing.Term, error) {
	return func(_ *rest.Call, values []string) ([]listing.Term, error) {
		n, err := strconv.Atoi(values[len(values)-1])
		if err != nil {
			return nil, fault.Invalidf("Invalid filter value [%s]: it is not a number", values[len(values)-1])
		}
		return []listing.Term{{Column: column, Op: listing.MoreEq, Values: []any{n}}}, nil
	}
}

// public reads is_public: true, false or none; only administrators may choose.
func (a *api) public(c *rest.Call, values []string) ([]listing.Term, error) {
	text := values[len(values)-1]
	if !c.Allow(ruleAccess, c.Caller()) || text == "None" || text == "none" {
		return nil, nil
	}
	v, ok := rest.ParseBool(text)
	if !ok {
		return nil, fault.Invalidf("Invalid is_public filter [%s]", text)
	}
	return []listing.Term{{Column: "is_public", Values: []any{v}}}, nil
}
