package rest

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/later"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/policy"
)

// Call is one request as handlers see it.
type Call struct {
	*http.Request
	W         http.ResponseWriter // for handlers that hijack (websockets); others return a Reply
	Auth      *policy.Credentials // never nil; empty on Open routes without a token
	Version   microversion.Version
	RequestID string
	Action    string // name of the action, on action routes

	server     *Server
	mounted    *mounted
	policy     *policy.Enforcer
	service    *Service
	route      *Route
	rule       string
	audit      string
	vars       map[string]string
	query      url.Values
	payload    json.RawMessage // the body, or the action's value in it
	planned    []string        // planned actions of the endpoint
	methods    []string        // of the path, when it has not the one asked for
	slashed    bool            // the address ended in a slash
	address    string          // of the service, while a list is written
	base       bool            // the address asked for an older version without microversions
	authorised bool
	memo       map[any]any
	turn       Turn // nil: without a gate, or inside of another request
	trace      *Trace
	watched    bool
	later      *later.List // what the request sets off; nil of one that only reads
}

// Var is the value of a placeholder of the route's path.
func (c *Call) Var(name string) string { return c.vars[name] }

// Values are the query parameters, parsed once. Handlers may not change them.
func (c *Call) Values() url.Values {
	if c.query == nil {
		c.query = c.Request.URL.Query()
	}
	return c.query
}

// Memo is what a handler keeps for the length of the request; make is called
// when nothing is kept for the key. Keys are of types of their own.
func Memo[T any](c *Call, key any, make func() T) T {
	if v, ok := c.memo[key]; ok {
		return v.(T)
	}
	if c.memo == nil {
		c.memo = map[any]any{}
	}
	v := make()
	c.memo[key] = v
	return v
}

// At tells whether the request speaks version v or newer.
func (c *Call) At(v microversion.Version) bool { return c.Version >= v }

// Caller is the policy target "the caller's own": used where no object exists yet.
func (c *Call) Caller() policy.Target {
	return policy.Target{"project_id": c.Auth.ProjectID, "tenant_id": c.Auth.ProjectID, "user_id": c.Auth.UserID, "domain_id": c.Auth.DomainID}
}

// Allow evaluates any rule on a target.
func (c *Call) Allow(rule string, target policy.Target) bool {
	ok := c.policy.Allow(rule, c.Auth, target)
	c.trace.decided(rule, false, ok)
	return ok
}

// Authorize evaluates the route's own rule on an object and remembers that it
// was asked. A refusal is Forbidden, with upstream's wording.
func (c *Call) Authorize(target policy.Target) error {
	c.authorised = true
	ok := c.Allow(c.rule, target)
	if c.trace.decided(c.rule, true, ok); ok {
		return nil
	}
	return c.refused()
}

func (c *Call) refused() error {
	return fault.Forbiddenf("Policy doesn't allow %s to be performed.", c.rule).With("Forbidden")
}

// Rule is the name of the rule in force for this request.
func (c *Call) Rule() string { return c.rule }

// Root is the address the client came by, without a path: "https://host:port".
func (c *Call) Root() string {
	scheme := "http"
	if c.Request.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.Request.Host
}

// Link is an absolute address below the service's prefix.
func (c *Call) Link(path string) string {
	if c.address != "" {
		return c.address + path
	}
	return c.Root() + c.service.Prefix + path
}

// LinkTo is Link to one of a collection, "/v2.1/servers/".
func (c *Call) LinkTo(collection, id string) string {
	if c.address != "" {
		return c.address + collection + id
	}
	return c.Link(collection + id)
}

// Event starts the audit record of this request; the service writes it in the
// transaction of the change. Actor and request id travel in the context.
func (c *Call) Event(kind, object, project string) event.Record {
	return event.Record{Service: c.service.Type, Action: c.audit, Kind: kind, Object: object, ProjectID: project,
		UserID: c.Auth.UserID, RequestID: c.RequestID}
}
