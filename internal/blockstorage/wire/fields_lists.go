package wire

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/rest"
)

// Ignored is a query parameter that is no condition.
func Ignored(*rest.Call, []string) ([]listing.Term, error) { return nil, nil }

// columns are those whose names differ from what the API calls them.
var columns = map[string]string{"availability_zone": "zone"}

// Likes are the filters "name~" and so on, from 3.34.
func Likes(names ...string) []rest.Filter {
	var out []rest.Filter
	for _, name := range names {
		column := name
		if other, ok := columns[name]; ok {
			column = other
		}
		out = append(out, rest.Filter{Name: name + "~", Terms: func(c *rest.Call, values []string) ([]listing.Term, error) {
			if !c.At(blockstorage.LikeFilters) {
				return nil, nil
			}
			return []listing.Term{{Column: column, Op: listing.Contains, Values: []any{values[len(values)-1]}}}, nil
		}})
	}
	return out
}

// Filters are what lists of each kind may be filtered by.
var Filters = map[string][]string{
	"volume": {"name", "status", "metadata", "bootable", "migration_status", "availability_zone", "group_id", "size", "created_at", "updated_at",
		"glance_metadata", "consumes_quota"},
	"snapshot": {"name", "status", "volume_id", "metadata"}, "group": {"name", "status"},
	"group_snapshot": {"name", "status", "group_id"}, "attachment": {"volume_id", "status", "instance_id", "attach_status"},
	"message": {"resource_uuid", "resource_type", "event_id", "request_id"}, "pool": {"name", "volume_type"},
	"backup": {"name", "status", "volume_id"}, "volume_type": {"is_public", "extra_specs"},
}

// ruleAdmin says who an administrator is, whatever an operation's rule is.
const ruleAdmin = "context_is_admin"

// CheckFilters refuses filters that lists of a kind do not have, from 3.31 on.
// Administrators may use any, but for pools.
func CheckFilters(c *rest.Call, kind string) error {
	if !c.At(blockstorage.StrictFilters) || (kind != "pool" && c.Allow(ruleAdmin, c.Caller())) {
		return nil
	}
	pagers := []string{"all_tenants", "limit", "marker", "offset", "sort", "sort_dir", "sort_key"}
	if more, ok := map[string]string{"group": "list_volume", "pool": "detail"}[kind]; ok {
		pagers = append(pagers, more)
	}
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(c.Values())) {
		known := slices.Contains(Filters[kind], name) || slices.Contains(pagers, name) || name == "with_count" && c.At(blockstorage.Counts)
		if like, ok := strings.CutSuffix(name, "~"); ok && c.At(blockstorage.LikeFilters) {
			known = slices.Contains(Filters[kind], like)
		}
		if !known {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return fault.Invalidf("Invalid filters %s are found in query options.", strings.Join(unknown, ","))
	}
	return nil
}

// Scope confines a list to the caller's project, unless holders of a rule ask
// for all.
func Scope(c *rest.Call, rule string) []listing.Term {
	all := c.Values()["all_tenants"]
	if len(all) > 0 && c.Allow(rule, c.Caller()) {
		if v, ok := rest.ParseBool(all[0]); v || !ok {
			return nil
		}
	}
	return []listing.Term{{Column: "project_id", Values: []any{c.Auth.ProjectID}}}
}

// counter is a store of what lists count.
type counter interface {
	Count(ctx context.Context, q listing.Query) (int64, error)
}

// List answers a list with an offset and, where it is asked for, a count.
func List[T any](c *rest.Call, t *rest.Resource[T], scope []listing.Term, notFound func(string) error, counted bool) (rest.Reply, error) {
	if err := CheckFilters(c, t.One); err != nil {
		return rest.Reply{}, err
	}
	skip, err := blockstorage.SkipTerm(c.Values().Get("offset"))
	if err != nil {
		return rest.Reply{}, err
	}
	body, err := t.ListBody(c, append(scope[:len(scope):len(scope)], skip...)...)
	if err != nil && fault.As(err).Code == "MarkerNotFound" {
		err = notFound(c.Values().Get("marker"))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	if asked, _ := rest.ParseBool(c.Values().Get("with_count")); asked && counted && c.At(blockstorage.Counts) {
		q, _, err := t.Query(c)
		if err != nil {
			return rest.Reply{}, err
		}
		q.Where, q.Limit, q.Marker = append(q.Where, scope...), 0, ""
		if body["count"], err = t.Store.(counter).Count(c.Context(), q); err != nil {
			return rest.Reply{}, err
		}
	}
	return rest.OK(body)
}
