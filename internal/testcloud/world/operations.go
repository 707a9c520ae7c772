package world

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/rest"
)

// Operation is one thing the cloud can be asked: a route, or an action of one.
type Operation struct {
	Service *rest.Service
	Route   *rest.Route
	Action  string
	Line    string // as "mek routes" lists it
}

// Operations lists every operation of the mounted services, in the order of their lines.
func (w *World) Operations() []*Operation {
	var out []*Operation
	for _, s := range w.cloud.Services() {
		for i := range s.Routes {
			r := &s.Routes[i]
			line := s.Name + " " + r.Method + " " + r.Path
			if r.Actions == nil {
				out = append(out, &Operation{s, r, "", line})
			}
			for _, name := range slices.Sorted(maps.Keys(r.Actions)) {
				out = append(out, &Operation{s, r, name, line + " " + name})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *Operation) int { return strings.Compare(a.Line, b.Line) })
	return out
}

// Range is the microversions at which the operation exists.
func (o *Operation) Range() (oldest, newest microversion.Version) {
	v := o.Service.Dialect.Versions
	if v == nil {
		return 0, 0
	}
	oldest, newest = v.Min, v.Max
	narrow := func(since, until microversion.Version) {
		oldest = max(oldest, since)
		if until != 0 {
			newest = min(newest, until-1)
		}
	}
	narrow(o.Route.Since, o.Route.Until)
	if a, ok := o.Route.Actions[o.Action]; ok {
		narrow(a.Since, a.Until)
	}
	return oldest, newest
}

// Rule is the name of the rule that guards the operation.
func (o *Operation) Rule() string {
	if a, ok := o.Route.Actions[o.Action]; ok {
		return a.Rule
	}
	return o.Route.Rule
}

// Question is a request before someone asks it.
type Question struct {
	Method, Path string
	Body         []byte
	Header       http.Header
}

// Question makes the operation's request about the world's objects; missing
// says that some of them are not there.
func (w *World) Question(o *Operation, body []byte) (q Question, missing bool) {
	path, _, missing := w.Path(o.Service.Name, o.Route.Path)
	q = Question{Method: o.Route.Method, Path: o.Service.Prefix + path, Body: body, Header: http.Header{}}
	if v := o.Service.Dialect.Versions; v != nil {
		_, newest := o.Range()
		q.Header.Set("OpenStack-API-Version", v.Types[0]+" "+newest.String())
	}
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	if strings.HasSuffix(o.Route.Path, "/auth/tokens") {
		q.Header.Set("X-Subject-Token", w.Things["second token"])
	}
	return q, missing
}

// Ask sends a question straight to the front door. A rehearsal changes nothing
// in the database; trace learns what became of the request.
func (w *World) Ask(p *Person, q Question, trace *rest.Trace, rehearse bool) *httptest.ResponseRecorder {
	ctx := context.Background()
	if trace != nil {
		ctx = rest.WithTrace(ctx, trace)
	}
	if rehearse {
		ctx = db.Rehearse(ctx)
	}
	r := httptest.NewRequestWithContext(ctx, q.Method, "http://cloud.test/", bytes.NewReader(q.Body))
	path, query, _ := strings.Cut(q.Path, "?")
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.RequestURI = unescape(path), path, query, q.Path
	if q.Body == nil {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.RemoteAddr = "127.0.0.1:1"
	maps.Copy(r.Header, q.Header)
	if p != nil && p.Token != "" {
		r.Header.Set("X-Auth-Token", p.Token)
	}
	answer := httptest.NewRecorder()
	w.cloud.Handler().ServeHTTP(answer, r)
	return answer
}
