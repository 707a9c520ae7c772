package rest

import (
	"context"
	"reflect"

	"github.com/mekcloud/mek/internal/policy"
)

// Trace is what became of one request inside the front door. Tests hang one
// into a request's context to tell a caller whom the policy let pass from one
// it refused, and to learn what a route's body and parameters may hold.
type Trace struct {
	Route   *Route
	Action  string
	Asked   bool           // the route's own rule was evaluated
	Allowed bool           // by its last evaluation
	Refused []string       // rules that denied something
	Bodies  []reflect.Type // what the body was decoded into
	Member  string         // the member of the body that Bodies are about; empty: the whole
	Params  []string       // filters and sort keys of the list
	Caller  *policy.Credentials
	Failure error // the fault that was answered
}

type traceKey struct{}

// WithTrace has a request tell what becomes of it. It serves one request.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

func traceOf(ctx context.Context) *Trace {
	t, _ := ctx.Value(traceKey{}).(*Trace)
	return t
}

// decided notes an evaluation of a rule; own says that it was the route's.
func (t *Trace) decided(rule string, own, allowed bool) {
	if t == nil {
		return
	}
	if own {
		t.Asked, t.Allowed = true, allowed
	}
	if !allowed {
		t.Refused = append(t.Refused, rule)
	}
}

func (t *Trace) decodes(into any) {
	if t != nil {
		t.Bodies = append(t.Bodies, reflect.TypeOf(into).Elem())
	}
}

// Expects tells that a member of the body holds a value of some type, where
// the handler reads it by itself.
func (c *Call) Expects(member string, value any) {
	if c.trace != nil {
		c.trace.Member = member
		c.trace.Bodies = append(c.trace.Bodies, reflect.TypeOf(value))
	}
}

// ended notes how a request ended, before its answer is written.
func (t *Trace) ended(c *Call, err error) {
	if t != nil {
		t.Route, t.Action, t.Caller, t.Failure = c.route, c.Action, c.Auth, err
	}
}
