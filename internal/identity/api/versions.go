package identityapi

import (
	"net/http"

	"github.com/mekcloud/mek/internal/identity/legacy"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/rest"
)

// version is the newest published version of the API and when it was.
const (
	version = "v3.14"
	updated = "2020-04-07T00:00:00Z"
)

func versionView(c *rest.Call) map[string]any {
	return map[string]any{"id": version, "status": "stable", "updated": updated,
		"links":       []any{map[string]any{"rel": "self", "href": c.Link("/v3/")}},
		"media-types": []any{map[string]any{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}}}
}

func versionRoutes() []rest.Route {
	return wire.Routes([]rest.Route{
		{Method: "GET", Path: "/", Open: true, Handle: func(c *rest.Call) (rest.Reply, error) {
			body := map[string]any{"versions": map[string]any{"values": []any{versionView(c), legacy.Version(c)}}}
			return rest.Reply{Status: http.StatusMultipleChoices, Body: body}.With("Location", c.Link("/v3/")), nil
		}},
		{Method: "GET", Path: "/v3", Open: true, Handle: func(c *rest.Call) (rest.Reply, error) {
			return rest.OK(map[string]any{"version": versionView(c)})
		}},
	})
}
