package imageapi

import (
	"fmt"
	"html"
	"net/http"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

// prefix is where DevStack has the API too.
const prefix = "/image"

var dialect = rest.Dialect{
	Error:  errorBody,
	Status: map[fault.Kind]int{fault.OverQuota: http.StatusRequestEntityTooLarge},
}

// errorBody answers as WebOb does: a page, or JSON for those who accept it and no page.
func errorBody(c *rest.Call, status int, f *fault.Fault) rest.Reply {
	title := http.StatusText(status)
	if status == http.StatusUnauthorized { // the token check in front of Glance answers this, in Keystone's words
		return rest.Reply{Body: map[string]any{"error": map[string]any{"code": status, "title": title, "message": f.Text}}}
	}
	line := fmt.Sprintf("%d %s", status, title)
	if wantsJSON(c.Header.Get("Accept")) {
		return rest.Reply{Body: map[string]any{"code": line, "title": title, "message": f.Text + "<br /><br />\n\n\n"}}
	}
	page := "<html>\n <head>\n  <title>" + line + "</title>\n </head>\n <body>\n  <h1>" + line + "</h1>\n  " +
		html.EscapeString(f.Text) + "<br /><br />\n\n\n\n </body>\n</html>"
	return rest.Reply{Body: []byte(page)}.With("Content-Type", "text/html; charset=UTF-8")
}

func wantsJSON(accept string) bool {
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html") && !strings.Contains(accept, "*/*")
}
