package rest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/policy"
)

// Handler answers one request that has passed authentication, versioning and policy.
type Handler func(c *Call) (Reply, error)

// Route is one operation of an API.
type Route struct {
	Method, Path string // path below the service's prefix: "/v2.1/servers/{id}", "{rest...}" takes the remainder
	Rule         string // policy rule; empty only with Open
	Open         bool   // no token asked: version documents, login
	// Object says that the rule is about the object in the path: the handler
	// authorises it through Resource.Find or Call.Authorize. Without it the rule
	// is evaluated on the caller's own project before the handler runs.
	Object bool
	// Anonymous is Object without the need of a token: what a caller without one
	// may do is decided by the handler and the rule. A bad token counts as none.
	Anonymous    bool
	Audit        string // verb of the audit record; required unless GET or HEAD
	Since, Until microversion.Version
	Handle       Handler
	Actions      map[string]Action // instead of Handle: body key → action
	Raw          bool              // the handler reads the body itself (streams)
	MaxBody      int64             // bytes; 0: 1 MiB
	Bare         bool              // a trailing slash names another path, which does not exist
	Extension    bool              // not in the published operation tables
	Query        *Query            // nil: parameters that nobody knows are ignored
	Variants     []string          // body keys or query flags that the published tables list as operations of their own
}

// Action is one member of an action call, "POST …/action {"reboot": {…}}". Its
// rule is about the object in the path, as with Route.Object.
type Action struct {
	Rule         string
	Audit        string // empty: the action's name
	Since, Until microversion.Version
	Handle       Handler
}

// Planned is an operation of the published API that is not built: it answers 501.
type Planned struct{ Method, Path, Action string }

// Query says which parameters an operation knows; from a version on it refuses
// others.
type Query struct {
	Known []string
	From  microversion.Version
}

// Known makes a Query.
func Known(from microversion.Version, names ...string) *Query {
	return &Query{Known: names, From: from}
}

func (q *Query) check(c *Call) error {
	if q == nil || !c.At(q.From) {
		return nil
	}
	for _, name := range sortedKeys(c.Values()) {
		if !slices.Contains(q.Known, name) {
			return fault.Invalidf("Invalid input for query parameters %s. Additional properties are not allowed ('%s' was unexpected)", clip(name), clip(name))
		}
	}
	return nil
}

// Service is one API under one prefix.
type Service struct {
	Name    string // project name as the operation tables spell it: "nova"
	Type    string // catalog type: "compute"
	Prefix  string // "/compute"
	Alias   string // another prefix of the same service, or empty; links are made of Prefix
	Dialect Dialect
	Rules   []policy.Rule
	Policy  *policy.Enforcer // of this service's rules, made by app; rule names are unique per service only
	Routes  []Route
	Planned []Planned
	// Elsewhere answers a request that this server cannot, and tells whether it
	// did; nil: it can.
	Elsewhere func(w http.ResponseWriter, r *http.Request) bool
}

// check panics on a declaration that must not start.
func (s *Service) check(enforcer *policy.Enforcer) {
	known := map[string]bool{}
	for _, r := range enforcer.Rules() {
		known[r.Name] = true
	}
	for _, r := range s.Routes {
		where := fmt.Sprintf("route %s %s %s", s.Name, r.Method, r.Path)
		need := func(ok bool, what string) {
			if !ok {
				panic(where + ": " + what)
			}
		}
		need(strings.HasPrefix(r.Path, "/"), "path must begin with /")
		need(r.Open || r.Rule != "" || r.Actions != nil, "has no policy rule")
		need(r.Rule == "" || known[r.Rule], "unknown rule "+r.Rule)
		need((r.Handle == nil) == (r.Actions != nil), "needs a handler or actions")
		need(r.Audit != "" || r.Actions != nil || r.Method == "GET" || r.Method == "HEAD", "has no audit verb")
		for name, a := range r.Actions {
			need(a.Rule != "" && known[a.Rule], "action "+name+" has no known rule: "+a.Rule)
			need(a.Handle != nil, "action "+name+" has no handler")
		}
	}
}

// List gives "SERVICE METHOD PATH [ACTION]" of every built operation.
func (s *Service) List() []string {
	var out []string
	for _, r := range s.Routes {
		line := s.Name + " " + r.Method + " " + r.Path
		if r.Actions == nil {
			out = append(out, line)
			for _, v := range r.Variants {
				out = append(out, line+" "+v)
			}
			continue
		}
		for _, name := range sortedKeys(r.Actions) {
			out = append(out, line+" "+name)
		}
	}
	return out
}
