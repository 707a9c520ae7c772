package networkapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

var dialect = rest.Dialect{
	Error:  errorBody,
	Status: map[fault.Kind]int{fault.OverQuota: http.StatusConflict},
	List:   rest.ListStyle{Links: pageLinks, SelectFields: true, RepeatIsIn: true},
}

// types are the classes that errors have where nobody said.
var types = map[int]string{
	http.StatusBadRequest: "HTTPBadRequest", http.StatusForbidden: "PolicyNotAuthorized", http.StatusNotFound: "HTTPNotFound",
	http.StatusConflict: "Conflict", http.StatusNotImplemented: "HTTPNotImplemented", http.StatusServiceUnavailable: "HTTPServiceUnavailable",
}

func errorBody(_ *rest.Call, status int, f *fault.Fault) rest.Reply {
	if status == http.StatusUnauthorized { // the token check in front of Neutron answers this, in Keystone's words
		return rest.Reply{Body: map[string]any{"error": map[string]any{"code": status, "title": "Unauthorized", "message": f.Text}}}
	}
	kind, text := f.Code, f.Text
	if f.Kind == fault.OverQuota {
		kind = "OverQuota"
		if over, ok := f.Detail["over"].([]string); ok {
			text = fmt.Sprintf("Quota exceeded for resources: ['%s'].", strings.Join(over, "', '"))
		}
	}
	if kind == "" {
		kind = types[status]
	}
	if kind == "" {
		kind = "HTTPInternalServerError"
	}
	return rest.Reply{Body: map[string]any{"NeutronError": map[string]any{"type": kind, "message": text, "detail": ""}}}
}

// pageLinks are written only when a page was asked for.
func pageLinks(c *rest.Call, many string, body map[string]any, page rest.PageLinks) {
	if c.Values().Get("limit") == "" {
		return
	}
	var links []map[string]string
	for _, l := range []struct {
		rel   string
		query url.Values
	}{{"next", page.Next}, {"previous", page.Previous}} {
		if l.query != nil {
			links = append(links, map[string]string{"rel": l.rel, "href": c.Root() + c.Request.URL.Path + "?" + l.query.Encode()})
		}
	}
	if links != nil {
		body[many+"_links"] = links
	}
}
