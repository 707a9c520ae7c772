package volumeapi

import (
	"net/http"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

// prefix is where DevStack has the API too.
const prefix = "/volume"

// faultNames are the keys of error bodies by status, as Cinder publishes them.
var faultNames = map[int]string{
	http.StatusBadRequest: "badRequest", http.StatusUnauthorized: "unauthorized", http.StatusForbidden: "forbidden", http.StatusNotFound: "itemNotFound",
	http.StatusMethodNotAllowed: "badMethod", http.StatusConflict: "conflictingRequest", http.StatusRequestEntityTooLarge: "overLimit",
	http.StatusUnsupportedMediaType: "badMediaType", http.StatusTooManyRequests: "overLimit", http.StatusNotImplemented: "notImplemented",
	http.StatusServiceUnavailable: "serviceUnavailable",
}

var dialect = rest.Dialect{
	Error:         errorBody,
	Status:        map[fault.Kind]int{fault.OverQuota: http.StatusRequestEntityTooLarge},
	ProjectInPath: true,
	Versions: &rest.Versions{Min: blockstorage.MinVersion, Max: blockstorage.MaxVersion, Default: blockstorage.MinVersion,
		Types: []string{"volume", "block-storage", "volumev3"}},
	List: rest.ListStyle{MaxLimit: 1000, Links: nextLink, SortParam: true},
}

func errorBody(_ *rest.Call, status int, f *fault.Fault) rest.Reply {
	if status == http.StatusUnauthorized { // the token check in front answers this, in Keystone's words
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
	if page.Next == nil {
		return
	}
	if many == "volume_types" {
		many = "volume_type"
	}
	body[many+"_links"] = []map[string]string{{"rel": "next", "href": c.Root() + c.Request.URL.Path + "?" + page.Next.Encode()}}
}
