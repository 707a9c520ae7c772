package volumeapi

import (
	"net/http"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/rest"
)

func versionRoutes() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/", Open: true, Handle: func(c *rest.Call) (rest.Reply, error) {
			return rest.Answer(http.StatusMultipleChoices, document(c))
		}},
		{Method: "GET", Path: "/v3", Open: true, Handle: func(c *rest.Call) (rest.Reply, error) { return rest.OK(document(c)) }},
	}
}

func document(c *rest.Call) map[string]any {
	return map[string]any{"versions": []any{map[string]any{"id": "v3.0", "status": "CURRENT", "version": blockstorage.MaxVersion.String(),
		"min_version": blockstorage.MinVersion.String(), "updated": "2023-08-31T00:00:00Z",
		"links":       []map[string]string{{"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"}, {"rel": "self", "href": c.Link("/v3/")}},
		"media-types": []map[string]string{{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}}}}}
}
