package objectstoreapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
	"github.com/mekcloud/mek/internal/rest"
)

// The attributes of a container that say which sites may use it.
const (
	allowOrigin   = "X-Container-Meta-Access-Control-Allow-Origin"
	exposeHeaders = "X-Container-Meta-Access-Control-Expose-Headers"
	maxAge        = "X-Container-Meta-Access-Control-Max-Age"
)

// exposed are the headers that a script of another site may read.
var exposed = []string{"cache-control", "content-language", "content-type", "expires", "last-modified", "pragma", "etag", "x-timestamp", "x-trans-id",
	"x-openstack-request-id"}

// corsOf gives what a container says about other sites; nothing if it is not there.
func (s *Service) corsOf(r *swift.Request) (objectstore.Headers, error) {
	c, err := s.deps.Store.Container(r.Context(), r.Account, r.Container)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c.Headers, nil
}

func originAllowed(h objectstore.Headers, origin string) bool {
	allowed := strings.Fields(h[allowOrigin])
	return slices.Contains(allowed, origin) || slices.Contains(allowed, "*")
}

// share adds to an answer what a browser needs to hand it to another site's script.
func (s *Service) share(r *swift.Request, reply *swift.Reply) error {
	h, err := s.corsOf(r)
	if err != nil {
		return err
	}
	origin := r.Call.Header.Get("Origin")
	if !originAllowed(h, origin) {
		return nil
	}
	if reply.Header == nil {
		reply.Header = http.Header{}
	}
	if reply.Header.Get("Access-Control-Expose-Headers") == "" {
		names := slices.Clone(exposed)
		for name := range reply.Header {
			if strings.HasPrefix(name, swift.ContainerMeta) || strings.HasPrefix(name, swift.ObjectMeta) {
				names = append(names, strings.ToLower(name))
			}
		}
		names = append(names, strings.Fields(strings.ToLower(h[exposeHeaders]))...)
		slices.Sort(names)
		reply.Header.Set("Access-Control-Expose-Headers", strings.Join(slices.Compact(names), ", "))
	}
	if reply.Header.Get("Access-Control-Allow-Origin") == "" {
		allow(reply.Header, h, origin)
	}
	return nil
}

func allow(into http.Header, h objectstore.Headers, origin string) {
	if strings.TrimSpace(h[allowOrigin]) == "*" {
		into.Set("Access-Control-Allow-Origin", "*")
		return
	}
	into.Set("Access-Control-Allow-Origin", origin)
	vary(into, "Origin")
}

func vary(h http.Header, name string) {
	if old := h.Get("Vary"); old != "" {
		name = old + ", " + name
	}
	h.Set("Vary", name)
}

// options answers OPTIONS: what may be done, and preflights.
func (s *Service) options(c *rest.Call) (rest.Reply, error) {
	r := &swift.Request{Call: c, Method: c.Method, Target: target(c)}
	methods := methodsOf(r.Target)
	header := http.Header{"Allow": {strings.Join(methods, ", ")}, "Content-Type": {"text/html; charset=UTF-8"}}
	origin := c.Header.Get("Origin")
	if origin == "" || r.Container == "" {
		return rest.Reply{Status: http.StatusOK, Header: header}, nil
	}
	h, err := s.corsOf(r)
	if err != nil {
		return rest.Reply{}, err
	}
	if !originAllowed(h, origin) || !slices.Contains(methods, c.Header.Get("Access-Control-Request-Method")) {
		reply := swift.Fail(http.StatusUnauthorized).Reply(r)
		reply.Header.Set("Allow", header.Get("Allow"))
		return reply, nil
	}
	allow(header, h, origin)
	if age := h[maxAge]; age != "" {
		header.Set("Access-Control-Max-Age", age)
	}
	header.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	if asked := c.Header.Get("Access-Control-Request-Headers"); asked != "" {
		var names []string
		for name := range strings.SplitSeq(asked, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
		header.Set("Access-Control-Allow-Headers", strings.Join(names, ", "))
		vary(header, "Access-Control-Request-Headers")
	}
	return rest.Reply{Status: http.StatusOK, Header: header}, nil
}

func methodsOf(t swift.Target) []string {
	path := accountPath
	switch {
	case t.Object != "":
		path = objectPath
	case t.Container != "":
		path = containerPath
	}
	methods := []string{http.MethodOptions}
	for _, o := range operations[path] {
		methods = append(methods, o.method)
	}
	slices.Sort(methods)
	return methods
}
