// Package v1auth answers Swift's first way of logging in, which old clients
// still speak: a name and a key in headers, a token and an address back.
//
// The name is "project:user" and the key a password of Keystone: the log-in is
// Keystone's, with its rules against guessing, and so is the token. Names are of
// the default domain; a user without a project is asked for in the project of
// the same name, as clients of old have it.
package v1auth

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/rest"
)

// Ticket is what a log-in gives.
type Ticket struct {
	Token   string
	Project string // id
	Expires time.Time
}

// Login logs in; ok is false for a wrong name or password. remote is the
// client's address.
type Login func(ctx context.Context, project, user, password, remote string) (t Ticket, ok bool, err error)

// Feature answers log-ins.
type Feature struct {
	login  Login
	clock  clock.Clock
	prefix string
}

// New makes the feature; prefix is that of accounts.
func New(l Login, c clock.Clock, prefix string) *Feature { return &Feature{l, c, prefix} }

// Routes are the addresses outside of /v1.
func (f *Feature) Routes() []rest.Route {
	var routes []rest.Route
	for _, path := range []string{"/auth/v1.0", "/auth/v1"} {
		routes = append(routes, rest.Route{Method: http.MethodGet, Path: path, Open: true, Raw: true, Handle: f.show})
	}
	return routes
}

func first(h http.Header, names ...string) string {
	for _, n := range names {
		if v := h.Get(n); v != "" {
			return v
		}
	}
	return ""
}

func (f *Feature) show(c *rest.Call) (rest.Reply, error) {
	name := first(c.Header, "X-Auth-User", "X-Storage-User")
	key := first(c.Header, "X-Auth-Key", "X-Storage-Pass")
	project, user, both := strings.Cut(name, ":")
	if !both {
		project, user = name, name
	}
	if project == "" || user == "" || key == "" {
		return refused(), nil
	}
	t, ok, err := f.login(c.Context(), project, user, key, c.Request.RemoteAddr)
	if err != nil || !ok {
		return refused(), err
	}
	left := int64(t.Expires.Sub(f.clock.Now()).Seconds())
	header := http.Header{"Content-Type": {"text/html; charset=UTF-8"}, "X-Auth-Token": {t.Token}, "X-Storage-Token": {t.Token},
		"X-Storage-Url": {c.Root() + "/v1/" + f.prefix + t.Project}, "X-Auth-Token-Expires": {strconv.FormatInt(max(left, 0), 10)}}
	return rest.Reply{Status: http.StatusOK, Header: header, Body: []byte{}}, nil
}

func refused() rest.Reply {
	const text = "<html><h1>Unauthorized</h1><p>This server could not verify that you are authorized to access the document you requested.</p></html>"
	return rest.Reply{Status: http.StatusUnauthorized, Body: []byte(text),
		Header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}, "Www-Authenticate": {`Swift realm="unknown"`}}}
}
