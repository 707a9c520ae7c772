// Package containersync refuses to keep containers in step with those of other
// clouds, which is not built: a container that says where to does not get away
// with it silently. /info does not offer it.
package containersync

import (
	"net/http"

	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// Filter refuses containers that ask to be synchronised.
func Filter(next swift.Handler) swift.Handler {
	return func(r *swift.Request) (swift.Reply, error) {
		if r.Container != "" && r.Object == "" && (r.Method == http.MethodPut || r.Method == http.MethodPost) && r.Header.Get("X-Container-Sync-To") != "" {
			return swift.Reply{}, swift.FailPlain(http.StatusNotImplemented, "Container synchronisation is not offered by this cloud")
		}
		return next(r)
	}
}
