package wire

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Time is a time as this service writes it.
func Time(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Text is a string, or null where there is none.
func Text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// List is a list that is never null.
func List[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// Standard are the fields that every resource has, but for its name.
func Standard[T any](of func(*T) *network.Standard) []rest.Field[T] {
	return []rest.Field[T]{
		{Name: "id", Column: "id", Get: func(t *T) any { return of(t).ID }},
		{Name: "tenant_id", Column: "project_id", Get: func(t *T) any { return of(t).ProjectID }},
		{Name: "project_id", Column: "project_id", Get: func(t *T) any { return of(t).ProjectID }},
		{Name: "description", Column: "description", Get: func(t *T) any { return of(t).Description }},
		{Name: "created_at", Column: "created_at", NoFilter: true, Get: func(t *T) any { return Time(of(t).CreatedAt) }},
		{Name: "updated_at", Column: "updated_at", NoFilter: true, Get: func(t *T) any { return Time(of(t).UpdatedAt) }},
		{Name: "revision_number", Column: "revision", Kind: rest.Number, Get: func(t *T) any { return of(t).Revision }},
	}
}

// Tagged are the fields of resources with a name and tags.
func Tagged[T any](of func(*T) *network.Standard) []rest.Field[T] {
	return append(Standard(of),
		rest.Field[T]{Name: "name", Column: "name", Get: func(t *T) any { return of(t).Name }},
		rest.Field[T]{Name: "tags", Get: func(t *T) any { return List(of(t).Tags) }})
}

// TagFilters are the list filters by tags.
func TagFilters() []rest.Filter {
	by := func(column string) func(*rest.Call, []string) ([]listing.Term, error) {
		return func(_ *rest.Call, values []string) ([]listing.Term, error) {
			t := listing.Term{Column: column}
			for tag := range strings.SplitSeq(strings.Join(values, ","), ",") {
				t.Values = append(t.Values, tag)
			}
			return []listing.Term{t}, nil
		}
	}
	return []rest.Filter{{Name: "tags", Terms: by(records.AllTags)}, {Name: "tags-any", Terms: by(records.AnyTag)},
		{Name: "not-tags", Terms: by(records.NotAll)}, {Name: "not-tags-any", Terms: by(records.NotAny)}}
}

// Target is what policy asks about a resource of a project.
func Target(project string) policy.Target {
	return policy.Target{"project_id": project, "tenant_id": project}
}

// Missing makes a resource's NotFound.
func Missing(kind, format string) func(id string) error {
	return func(id string) error { return fault.NotFoundf(format, id).With(kind) }
}

// Owner is whose a new resource is: the caller's, or that of the project an
// administrator names. Both spellings are understood.
func Owner(c *rest.Call, tenant, project *string) (string, error) {
	owner := c.Auth.ProjectID
	for _, given := range []*string{tenant, project} {
		if given != nil {
			owner = *given
		}
	}
	if tenant != nil && project != nil && *tenant != *project {
		return "", fault.Invalidf("'project_id' and 'tenant_id' do not match")
	}
	if owner != c.Auth.ProjectID && !c.Allow("admin_only", Target(owner)) {
		return "", fault.Forbiddenf("Cannot create resource for another project").With("PolicyNotAuthorized")
	}
	return owner, nil
}

// Bulk decodes a body with one new resource or a list of them.
func Bulk[T any](c *rest.Call, one, many string) (items []T, bulk bool, err error) {
	c.Expects(one, *new(T))
	found, ok := rest.Members(c.Payload(), many, one)
	if !ok {
		return nil, false, fault.Invalidf("Malformed request body: not valid JSON")
	}
	raw, single := found[0], found[1]
	if raw == nil {
		if single == nil {
			return nil, false, fault.Invalidf("Resource body required").With("HTTPBadRequest")
		}
		var item T
		err := rest.DecodeValue(single, &item)
		return []T{item}, false, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 {
		return nil, true, fault.Invalidf("Resource body required").With("HTTPBadRequest")
	}
	for _, raw := range list {
		var item T
		if err := rest.DecodeValue(raw, &item); err != nil {
			return nil, true, err
		}
		items = append(items, item)
	}
	return items, true, nil
}

// Made answers a create: one resource, or the list of a bulk call.
func Made[T any](c *rest.Call, r *rest.Resource[T], items []*T, bulk bool) (rest.Reply, error) {
	if !bulk {
		return rest.Created(r.Body(c, items[0]))
	}
	views := make([]map[string]any, len(items))
	for i, item := range items {
		views[i] = r.View(c, item)
	}
	return rest.Created(map[string]any{r.Many: views})
}

// Restricted refuses members of a body that a rule keeps from the caller.
func Restricted(c *rest.Call, target policy.Target, rules map[string]bool) error {
	for rule, given := range rules {
		if given && !c.Allow(rule, target) {
			return fault.Forbiddenf("(rule:%s) is disallowed by policy", rule).With("PolicyNotAuthorized")
		}
	}
	return nil
}

// VisibleTo confines lists of callers who may not see everything.
func VisibleTo(times int) func(c *rest.Call) []listing.Term {
	return func(c *rest.Call) []listing.Term {
		values := make([]any, times)
		for i := range values {
			values[i] = c.Auth.ProjectID
		}
		return []listing.Term{{Column: records.Visible, Values: values}}
	}
}
