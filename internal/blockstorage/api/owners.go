package volumeapi

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

// ownerless are collections of things that belong to no project.
var ownerless = []string{"/v3/types", "/v3/qos-specs", "/v3/group_types", "/v3/workers"}

// owned keeps callers without a project from making things that would belong to
// nobody: Cinder's rules ask for a role, and not where the caller has it.
func owned(routes []rest.Route) []rest.Route {
	for i := range routes {
		r := &routes[i]
		common := slices.ContainsFunc(ownerless, func(prefix string) bool { return strings.HasPrefix(r.Path, prefix) })
		if r.Method != http.MethodPost || r.Object || common {
			continue
		}
		if r.Handle != nil {
			r.Handle = withProject(r.Handle)
		}
		if !strings.Contains(r.Path, "{id}") {
			r.Actions = maps.Clone(r.Actions)
			for name, a := range r.Actions {
				a.Handle = withProject(a.Handle)
				r.Actions[name] = a
			}
		}
	}
	return routes
}

func withProject(handle rest.Handler) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		if c.Auth.ProjectID == "" {
			return rest.Reply{}, fault.Forbiddenf("The token is of no project, and what is made needs one.")
		}
		return handle(c)
	}
}
