package wire

import (
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

// List answers a list with an offset and, where it is asked for, a count.
func List[T any](c *rest.Call, t *rest.Resource[T], scope []listing.Term, notFound func(string) error, counted bool) (rest.Reply, error) {
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
		all, err := t.Store.List(c.Context(), q)
		if err != nil {
			return rest.Reply{}, err
		}
		body["count"] = len(all)
	}
	return rest.OK(body)
}
