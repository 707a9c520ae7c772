package computeapi

import (
	"net/http"
	"net/url"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

// prefix is where DevStack has the API too.
const prefix = "/compute"

// faultNames are the keys of error bodies by status, as Nova publishes them.
var faultNames = map[int]string{
	http.StatusBadRequest: "badRequest", http.StatusUnauthorized: "unauthorized", http.StatusForbidden: "forbidden", http.StatusNotFound: "itemNotFound",
	http.StatusMethodNotAllowed: "badMethod", http.StatusConflict: "conflictingRequest", http.StatusRequestEntityTooLarge: "overLimit",
	http.StatusUnsupportedMediaType: "badMediaType", http.StatusTooManyRequests: "overLimit", http.StatusNotImplemented: "notImplemented",
	http.StatusServiceUnavailable: "serviceUnavailable",
}

var dialect = rest.Dialect{
	Error:            errorBody,
	RequestIDHeaders: []string{"X-Compute-Request-Id"},
	ProjectInPath:    true,
	Base:             map[string]string{"v2": "v2.1"},
	Versions: &rest.Versions{Min: compute.MinVersion, Max: compute.MaxVersion, Types: []string{"compute", "nova"},
		Legacy: "X-OpenStack-Nova-API-Version"},
	List: rest.ListStyle{MaxLimit: 1000, Links: nextLink},
}

func errorBody(_ *rest.Call, status int, f *fault.Fault) rest.Reply {
	if status == http.StatusUnauthorized { // the token check in front of Nova answers this, in Keystone's words
		return rest.Reply{Body: map[string]any{"error": map[string]any{"code": status, "title": "Unauthorized", "message": f.Text}}}
	}
	name, ok := faultNames[status]
	if !ok {
		name = "computeFault"
	}
	body := map[string]any{"code": status, "message": f.Text}
	reply := rest.Reply{Body: map[string]any{name: body}}
	if name == "overLimit" {
		body["retryAfter"] = "0"
		reply = reply.With("Retry-After", "0")
	}
	return reply
}

func nextLink(c *rest.Call, many string, body map[string]any, page rest.PageLinks) {
	if page.Next != nil {
		body[many+"_links"] = []map[string]string{{"rel": "next", "href": pageAddress(c, page.Next)}}
	}
}

func pageAddress(c *rest.Call, query url.Values) string {
	return c.Root() + c.Request.URL.Path + "?" + query.Encode()
}
