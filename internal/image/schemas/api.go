package schemas

import (
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/rest"
)

// Routes serves every schema under its name. Any valid token may read them.
func Routes() []rest.Route {
	var out []rest.Route
	all := documents()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		document := all[name]
		out = append(out, rest.Route{Method: "GET", Path: "/v2/schemas/" + name, Rule: "default",
			Handle: func(*rest.Call) (rest.Reply, error) { return rest.OK(document) }})
	}
	return out
}
