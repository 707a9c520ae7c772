package swift

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Request is one request, or one that a filter makes. A filter may change every
// member before it calls the next handler.
type Request struct {
	Call   *rest.Call // of the client; filters read method, path and headers below, not there
	Method string
	Target
	Query  url.Values  // of this request alone
	Header http.Header // of this request alone
	Body   io.Reader   // never nil
	Length int64       // of Body; -1: until it ends
	Time   time.Time   // when it came, in microseconds
	By     Authorizer

	// Vouched is what a filter lets through without asking By: a signed address, a signed form.
	Vouched func(t Target, method string) bool
	// Signed is what a signed address of a read says; nil without one.
	Signed *Signed
	// Owner tells that the caller owns the account; By sets it.
	Owner bool
	// Reseller tells that the caller may manage all accounts; By sets it.
	Reseller bool

	// Sysmeta are attributes that clients neither see nor set; PUT stores them with
	// the object. Names begin with "X-Sysmeta-".
	Sysmeta objectstore.Headers
	// ListedETag and ListedSize go into listings instead of what the bytes have.
	ListedETag string
	ListedSize int64
	// Compose makes PUT take its bytes from objects of the store instead of Body.
	Compose []objectstore.Key
	// Limit is the most bytes that PUT takes.
	Limit int64
	// Checks decide once more right before a PUT commits, as objectstore.Put says.
	Checks []func(a *objectstore.Account, c *objectstore.Container, current *objectstore.Object) error
}

// Signed is a signed address, as pages that lead on from it need it.
type Signed struct {
	Prefix string // of the names that the address opens
	Query  string // of links to them; empty where the address opens one name alone
	Page   bool   // a page of names is the answer, not what the address names
}

// Target is what a request is about. Empty members are absent.
type Target struct{ Account, Container, Object string }

// Path is the target's address below the host, escaped as Swift escapes it.
func (t Target) Path() string {
	path := "/v1/" + Quote(t.Account)
	if t.Container != "" {
		path += "/" + Quote(t.Container)
	}
	if t.Object != "" {
		path += "/" + Quote(t.Object)
	}
	return path
}

// Key names the target in the store.
func (t Target) Key() objectstore.Key {
	return objectstore.Key{Account: t.Account, Container: t.Container, Name: t.Object}
}

// Authorizer decides whether a request may go on. acl is the list of the
// container that applies to it: its X-Container-Read or its X-Container-Write;
// empty where none does. The refusal is a Failure with status 401 or 403.
type Authorizer interface {
	Authorize(r *Request, acl string) error
}

// Handler answers a request.
type Handler func(r *Request) (Reply, error)

// Filter puts itself before a handler.
type Filter func(next Handler) Handler

// Chain puts filters before a handler; the first one sees a request first.
// Failures of each become replies before the one in front of it sees them.
func Chain(h Handler, filters ...Filter) Handler {
	h = Settled(h)
	for i := len(filters) - 1; i >= 0; i-- {
		h = Settled(filters[i](h))
	}
	return h
}

// Settled makes replies of failures; only defects stay errors.
func Settled(h Handler) Handler {
	return func(r *Request) (Reply, error) {
		reply, err := h(r)
		if err == nil {
			return reply, nil
		}
		return settle(r, err)
	}
}

// Context is the client's: it ends when the client leaves.
func (r *Request) Context() context.Context { return r.Call.Context() }

// Caller is who asks; empty without a token.
func (r *Request) Caller() *policy.Credentials { return r.Call.Auth }

// Authorize asks whether the request may go on: see Authorizer.
func (r *Request) Authorize(acl string) error {
	if r.Vouched != nil && r.Vouched(r.Target, r.Method) {
		return r.Permit(acl)
	}
	return r.By.Authorize(r, acl)
}

// Permit asks the operator's policy once the access lists have agreed.
func (r *Request) Permit(acl string) error {
	_, project, _ := strings.Cut(r.Account, "_")
	if err := r.Call.Authorize(policy.Target{"account": r.Account, "container": r.Container, "object": r.Object, "project_id": project,
		"tenant_id": project, "acl": acl}); err != nil {
		return Denied(r)
	}
	return nil
}

// Sub is a request of the same caller about something else, without query,
// headers and body; what vouches for r vouches for it.
func (r *Request) Sub(method string, t Target) *Request {
	return &Request{Call: r.Call, Method: method, Target: t, Query: url.Values{}, Header: http.Header{}, Body: http.NoBody,
		Time: r.Time, By: r.By, Vouched: r.Vouched}
}

// Event starts the audit record of a change that this request makes.
func (r *Request) Event() event.Record {
	kind, object := "account", r.Account
	if r.Container != "" {
		kind, object = "container", r.Account+"/"+r.Container
	}
	if r.Object != "" {
		kind, object = "object", object+"/"+r.Object
	}
	_, project, _ := strings.Cut(r.Account, "_")
	e := r.Call.Event(kind, object, project)
	switch r.Method {
	case http.MethodPut:
		e.Action = "create"
	case http.MethodDelete:
		e.Action = "delete"
	default:
		e.Action = "update"
	}
	return e
}

// True reads a switch of the query, as Swift reads its options.
func (r *Request) True(name string) bool { return True(r.Query.Get(name)) }

// True tells whether a text switches something on.
func True(text string) bool {
	switch strings.ToLower(text) {
	case "true", "1", "yes", "on", "t", "y":
		return true
	}
	return false
}

// Quote escapes a path as Swift does: everything but letters, digits and "_.-~/".
func Quote(text string) string {
	const plain = "_.-~/"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		const digits = "0123456789ABCDEF"
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}
