package wire

import (
	"net/http"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Dialect is how Keystone answers.
func Dialect() rest.Dialect {
	return rest.Dialect{
		Error: func(c *rest.Call, status int, f *fault.Fault) rest.Reply {
			text := f.Text
			if f.Kind == fault.Forbidden && f.Code == "Forbidden" { // refused by policy
				text = "You are not authorized to perform the requested action: " + c.Rule() + "."
			}
			body := map[string]any{"code": status, "message": text, "title": http.StatusText(status)}
			reply := rest.Reply{Body: map[string]any{"error": body}}.With("Vary", "X-Auth-Token")
			if f.Kind == fault.RateLimited {
				reply = reply.With("Retry-After", "1")
			}
			return reply
		},
		// A limit of a user's own (application credentials) is a plain 403.
		Status: map[fault.Kind]int{fault.OverQuota: http.StatusForbidden},
	}
}

func selfURL(c *rest.Call) string {
	url := c.Root() + c.URL.Path
	if c.URL.RawQuery != "" {
		url += "?" + c.URL.RawQuery
	}
	return url
}

// Routes adds what every answer of Keystone carries.
func Routes(list []rest.Route) []rest.Route {
	for i := range list {
		handle := list[i].Handle
		list[i].Handle = func(c *rest.Call) (rest.Reply, error) {
			reply, err := handle(c)
			if err != nil {
				return reply, err
			}
			return reply.With("Vary", "X-Auth-Token"), nil
		}
	}
	return list
}

// Collection is the body of a list that is not paged.
func Collection(c *rest.Call, many string, items []map[string]any) map[string]any {
	if items == nil {
		items = []map[string]any{}
	}
	return map[string]any{many: items, "links": map[string]any{"self": selfURL(c), "previous": nil, "next": nil}}
}

// Self is the link member of one object at a path below /v3.
func Self(c *rest.Call, path string) map[string]any {
	return map[string]any{"self": c.Link("/v3" + path)}
}

// Time is Keystone's format of a time; zero is null.
func Time(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

// OrNull gives null for the empty string.
func OrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Scopes that most rules of Keystone accept.
var (
	AllScopes     = []string{policy.ScopeSystem, policy.ScopeDomain, policy.ScopeProject}
	SystemProject = []string{policy.ScopeSystem, policy.ScopeProject}
	ProjectOnly   = []string{policy.ScopeProject}
)

// Checks that many rules of Keystone share.
const (
	AdminRequired       = "rule:admin_required"
	SystemReader        = "(role:reader and system_scope:all)"
	AdminOrSystemReader = "rule:admin_required or (role:reader and system_scope:all)"
)

// Rule declares a rule "identity:NAME".
func Rule(name, check string, scopes []string, description string) policy.Rule {
	return policy.Rule{Name: "identity:" + name, Check: check, Scopes: scopes, Description: description}
}

// Find loads an object and asks the route's rule about it. What is missing is
// asked about too, so that only those who may look learn that it is missing.
func Find[T any](c *rest.Call, load func() (*T, error), target func(*T) policy.Target) (*T, error) {
	return FindBelow(c, policy.Target{}, load, target)
}

// FindBelow is Find for what belongs to something in the path: above is the
// target that is asked about when the object is missing.
func FindBelow[T any](c *rest.Call, above policy.Target, load func() (*T, error), target func(*T) policy.Target) (*T, error) {
	item, err := load()
	if fault.Is(err, fault.NotFound) {
		if refused := c.Authorize(above); refused != nil {
			return nil, refused
		}
	}
	if err != nil {
		return nil, err
	}
	return item, c.Authorize(target(item))
}

// Known is Find for what is no secret, whose ids everybody's tokens and catalogs show:
// as upstream has it, whoever is logged in learns that it is missing.
func Known[T any](c *rest.Call, load func() (*T, error), target func(*T) policy.Target) (*T, error) {
	item, err := load()
	if err != nil {
		return nil, err
	}
	return item, c.Authorize(target(item))
}

// DomainOf is the domain a new object gets when its body names none: that of a
// domain-scoped token, else the default one, whatever project the token is of.
func DomainOf(c *rest.Call, asked string) string {
	switch {
	case asked != "":
		return asked
	case c.Auth.DomainID != "":
		return c.Auth.DomainID
	}
	return identity.DefaultDomainID
}

// Refuse is Keystone's answer to a known caller who may not do this.
func Refuse(action string) error {
	return fault.Forbiddenf("You are not authorized to perform the requested action: %s.", action)
}
