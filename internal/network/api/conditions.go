package networkapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/rest"
)

// conditional lets changes of single objects depend on their revision: a
// request with If-Match: revision_number=N changes nothing else.
func conditional(routes []rest.Route) []rest.Route {
	for i, r := range routes {
		if r.Object && (r.Method == http.MethodPut || r.Method == http.MethodDelete) {
			routes[i].Handle = ifMatch(r.Handle)
		}
	}
	return routes
}

func ifMatch(h rest.Handler) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		text := c.Header.Get("If-Match")
		if text == "" {
			return h(c)
		}
		number, ok := strings.CutPrefix(text, "revision_number=")
		n, err := strconv.ParseInt(number, 10, 64)
		if !ok || err != nil {
			return rest.Reply{}, fault.Invalidf("Bad If-Match request: only revision_number=N is understood.").With("BadRequest")
		}
		c.Request = c.Request.WithContext(records.Expect(c.Context(), c.Var("id"), n))
		return h(c)
	}
}
