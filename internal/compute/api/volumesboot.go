package computeapi

import (
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/rest"
)

// volumesBoot gives servers and their actions the second address that they
// have upstream: older clients make servers with volumes there.
func volumesBoot(routes []rest.Route) []rest.Route {
	var out []rest.Route
	for _, r := range routes {
		below, ok := strings.CutPrefix(r.Path, "/v2.1/servers")
		if ok && slices.Contains([]string{"", "/detail", "/{id}", "/{id}/action"}, below) {
			r.Path, r.Variants = "/v2.1/os-volumes_boot"+below, nil
			out = append(out, r)
		}
	}
	return out
}
