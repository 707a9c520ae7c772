package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/later"
	"github.com/mekcloud/mek/internal/policy"
)

// Authenticator turns a token into credentials. identity implements it; a dead
// or unknown token is Unauthenticated. It must not query on the common path.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (*policy.Credentials, error)
}

// Observer learns of every finished request, for metrics.
type Observer func(service, method, path string, status int, took time.Duration)

// Gate lets requests in, or makes them wait, or refuses them: RateLimited.
// caller is a project or user, empty for somebody unknown.
type Gate interface {
	Admit(ctx context.Context, caller, address, method string) (Turn, error)
}

// Turn is a request that was let in. Run waits for a place to work in, Rest
// gives it back, Leave ends the turn; bytes are those of the bodies. Watch cuts
// the connection once still says that who asked may no longer. Pace has the
// pieces of a large body wait for their turns, and gives the context of whoever
// takes them apart (package pace); release ends that. Send does so with answers.
type Turn interface {
	Run(ctx context.Context) error
	Rest()
	Leave(bytes int64)
	Watch(w http.ResponseWriter, still func(ctx context.Context) error)
	Pace(ctx context.Context, body io.ReadCloser) (within context.Context, paced io.ReadCloser, release func())
	Send(ctx context.Context, w http.ResponseWriter) (paced http.ResponseWriter, release func())
}

// Lasting is an Authenticator that tells of credentials whether they still
// hold: Unauthenticated or Forbidden. That their time has come does not end
// what began before.
type Lasting interface {
	StandsNow(ctx context.Context, c *policy.Credentials) error
}

// Config is what a Server needs.
type Config struct {
	Policy  *policy.Enforcer // for services that bring none of their own
	Auth    Authenticator
	Clock   clock.Clock
	Log     *slog.Logger
	Observe Observer // may be nil
	Gate    Gate     // may be nil
	Answers Answers  // of requests under a client's key; nil: keys mean nothing
}

// Server is the front door: services under their prefixes. Safe for concurrent use.
type Server struct {
	auth     Authenticator
	clock    clock.Clock
	log      *slog.Logger
	observe  Observer
	gate     Gate
	answers  Answers
	services []*mounted
	fallback http.Handler
}

type mounted struct {
	*Service
	policy *policy.Enforcer
	tree   *node
	firsts map[string]bool // literals behind the version segment, to tell a project id
}

// New mounts services. It panics on a declaration without rule or audit verb.
func New(cfg Config, fallback http.Handler, services ...*Service) *Server {
	s := &Server{auth: cfg.Auth, clock: cfg.Clock, log: cfg.Log, observe: cfg.Observe, gate: cfg.Gate, answers: cfg.Answers, fallback: fallback}
	for _, svc := range services {
		m := mount(svc)
		if m.policy == nil {
			m.policy = cfg.Policy
		}
		svc.check(m.policy)
		s.services = append(s.services, m)
	}
	slices.SortFunc(s.services, func(a, b *mounted) int { return len(b.Prefix) - len(a.Prefix) })
	return s
}

func mount(svc *Service) *mounted {
	m := &mounted{Service: svc, policy: svc.Policy, tree: newNode(), firsts: map[string]bool{}}
	first := func(path string) {
		if segs := segments(path); len(segs) > 1 {
			m.firsts[segs[1]] = true
		}
	}
	for i := range svc.Routes {
		r := &svc.Routes[i]
		e, names := m.tree.at(r.Path)
		e.routes[r.Method] = append(e.routes[r.Method], &bound{r, names})
		first(r.Path)
	}
	for _, p := range svc.Planned {
		e, _ := m.tree.at(p.Path)
		e.planned[p.Method] = append(e.planned[p.Method], p.Action)
		first(p.Path)
	}
	return m
}

// Services lists what is mounted.
func (s *Server) Services() []*Service {
	out := make([]*Service, len(s.services))
	for i, m := range s.services {
		out[i] = m.Service
	}
	return out
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, m := range s.services {
		path := r.URL.EscapedPath()
		if rest, ok := strings.CutPrefix(path, m.Prefix); ok && (rest == "" || rest[0] == '/') && (m.Prefix != "" || m.claims(path)) {
			s.serve(m, w, r, rest)
			return
		}
		if rest, ok := strings.CutPrefix(path, m.Alias); ok && m.Alias != "" && (rest == "" || rest[0] == '/') {
			s.serve(m, w, r, rest)
			return
		}
	}
	s.fallback.ServeHTTP(w, r)
}

// claims tells whether a service at the root has routes below the path's first
// segment; other addresses are left to those who come after it.
func (m *mounted) claims(path string) bool {
	first, _, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	return m.tree.literal[first] != nil || m.Dialect.Base[first] != ""
}

// Only gives a handler that serves one service without its prefix, for the
// classic ports and for object store addresses at the root.
func (s *Server) Only(name string) http.Handler {
	for _, m := range s.services {
		if m.Name == name {
			bare := *m.Service
			bare.Prefix = ""
			alone := &mounted{&bare, m.policy, m.tree, m.firsts}
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(alone, w, r, r.URL.EscapedPath()) })
		}
	}
	return s.fallback
}

func (s *Server) serve(m *mounted, w http.ResponseWriter, r *http.Request, path string) {
	if m.Elsewhere != nil && m.Elsewhere(w, r) {
		return
	}
	began := s.clock.Now()
	c := &Call{Request: r, W: w, server: s, policy: m.policy, service: m.Service, Auth: &policy.Credentials{}, trace: traceOf(r.Context())}
	if of := event.ActorOf(r.Context()); of.RequestID != "" { // a part of another request, in this process
		c.RequestID = of.RequestID
	} else if m.Dialect.RequestID != nil {
		c.RequestID = m.Dialect.RequestID(r, began)
	} else {
		c.RequestID = "req-" + id.New()
	}
	for _, name := range append([]string{"X-Openstack-Request-Id"}, m.Dialect.RequestIDHeaders...) {
		w.Header().Set(name, c.RequestID)
	}
	reply, err := s.answer(c, m, path)
	defer c.leave()
	defer c.later.Run()
	c.trace.ended(c, err)
	if err != nil {
		if told := fault.OfService(err); told != err {
			s.log.Warn("request found too little of something", "request", c.RequestID, "method", r.Method, "path", masked(path), "error", err)
			err = told
		}
		f := fault.As(err)
		if f.Kind == fault.Internal {
			s.log.Error("request failed", "request", c.RequestID, "method", r.Method, "path", masked(path), "error", err)
		}
		reply = m.Dialect.failure(c, err)
		switch {
		case reply.Status == http.StatusServiceUnavailable && reply.Header.Get("Retry-After") == "":
			reply = reply.With("Retry-After", "1")
		case reply.Status == http.StatusUnauthorized:
			reply = reply.With("WWW-Authenticate", `Keystone uri="`+c.Root()+`/identity"`)
		case f.Kind == fault.RateLimited:
			reply = reply.With("Retry-After", "1")
		}
	}
	if reply.Stream != nil {
		c.later.Run()
		c.watch()
		var release func()
		w, release = c.paceAnswer(w)
		defer release()
	}
	if reply.Status != statusHijacked {
		if err := reply.whole(w, r); err != nil {
			s.log.Warn("answer broke off", "request", c.RequestID, "path", masked(path), "error", err)
		}
	}
	c.setOff(w)
	if reply.Close != nil {
		if err := reply.Close(); err != nil {
			s.log.Warn("answer not closed", "request", c.RequestID, "path", masked(path), "error", err)
		}
	}
	took := s.clock.Now().Sub(began)
	pattern := "unknown"
	if c.route != nil {
		pattern = c.route.Path
	}
	if s.observe != nil {
		s.observe(m.Name, r.Method, pattern, reply.Status, took)
	}
	s.log.Debug("request", "request", c.RequestID, "service", m.Name, "method", r.Method, "path", masked(path), "status", reply.Status,
		"took", took, "user", c.Auth.UserID, "project", c.Auth.ProjectID)
}

const statusHijacked = -1

// Hijacked is the reply of a handler that took the connection over.
func Hijacked() (Reply, error) { return Reply{Status: statusHijacked}, nil }

func (s *Server) answer(c *Call, m *mounted, path string) (reply Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Internalf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	c.mounted = m
	found, values, project, err := m.route(c, path)
	if err != nil {
		return Reply{}, err
	}
	err = s.authenticate(c, found)
	if refused := s.admit(c); refused != nil {
		err = refused
	}
	if err != nil {
		return Reply{}, err
	}
	if err := c.negotiate(); err != nil {
		return Reply{}, err
	}
	if project != "" && project != c.Auth.ProjectID && !openRoute(found, c.Method) {
		return Reply{}, fault.Invalidf("Malformed request URL: URL's project_id '%s' doesn't match Context's project_id '%s'", project, c.Auth.ProjectID)
	}
	if err := c.choose(found, values); err != nil {
		return Reply{}, err
	}
	ctx := event.WithActor(c.Context(), event.Actor{UserID: c.Auth.UserID, ProjectID: c.Auth.ProjectID, RequestID: c.RequestID, NewWork: c.newWork()})
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		ctx, c.later = later.With(ctx)
	}
	c.Request = c.Request.WithContext(ctx)
	return c.dispatch()
}

func openRoute(e *endpoint, method string) bool {
	routes := e.forMethod(method)
	return len(routes) > 0 && (routes[0].route.Open || routes[0].route.Anonymous)
}

func (e *endpoint) forMethod(method string) []*bound {
	if routes := e.routes[method]; routes != nil || method != http.MethodHead {
		return routes
	}
	return e.routes[http.MethodGet]
}

// authenticate checks the token unless the route is open; an open route takes
// the identity of a good token and ignores a bad one.
func (s *Server) authenticate(c *Call, e *endpoint) error {
	token := c.Header.Get("X-Auth-Token")
	open := openRoute(e, c.Method)
	if token == "" {
		if open {
			return nil
		}
		return fault.New(fault.Unauthenticated, "The request you have made requires authentication.")
	}
	auth, err := s.auth.Authenticate(c.Context(), token)
	if err != nil {
		if open {
			return nil
		}
		return err
	}
	if path := strings.TrimPrefix(c.URL.Path, c.service.Prefix); auth.Permits != nil && !auth.Permits(c.service.Type, c.Method, path) {
		return fault.Forbiddenf("The access rules of the application credential do not allow this request.")
	}
	c.Auth = auth
	if service := c.Header.Get("X-Service-Token"); service != "" {
		if other, err := s.auth.Authenticate(c.Context(), service); err == nil { // a bad service token adds nothing
			with := *auth
			with.ServiceUserID, with.ServiceRoles = other.UserID, other.Roles
			c.Auth = &with
		}
	}
	return nil
}

// dispatch checks the rule where it can be checked now, reads the body, and
// calls the handler.
func (c *Call) dispatch() (Reply, error) {
	r := c.route
	c.rule, c.audit = r.Rule, r.Audit
	if r.Actions == nil && !r.Open && !r.Object && !r.Anonymous {
		if err := c.Authorize(c.Caller()); err != nil {
			return Reply{}, err
		}
	}
	if err := r.Query.check(c); err != nil {
		return Reply{}, err
	}
	if r.Raw {
		c.watch()
		defer c.pace()()
	} else if err := c.readBody(); err != nil {
		return Reply{}, err
	}
	handle, perObject := r.Handle, r.Object || r.Anonymous
	if r.Actions != nil {
		a, err := c.action()
		if err != nil {
			return Reply{}, err
		}
		handle, perObject = a.Handle, true
	}
	if err := c.run(); err != nil {
		return Reply{}, err
	}
	reply, err := c.once(handle)
	if err == nil && c.turn != nil {
		reply, err = reply.encoded() // in its place still: of long lists it is most of the work
	}
	c.rest()
	if err == nil && perObject && !c.authorised && reply.Status < http.StatusMultipleChoices {
		return Reply{}, fault.Internalf("%s %s answered without authorising its object", r.Method, r.Path)
	}
	return reply, err
}

func (c *Call) readBody() error {
	if c.Body == nil || c.Body == http.NoBody {
		return nil
	}
	limit := c.route.MaxBody
	if limit == 0 {
		limit = 1 << 20
	}
	content, err := io.ReadAll(http.MaxBytesReader(c.W, c.Body, limit))
	if err != nil {
		return fault.New(fault.TooLarge, "The request body is too large or broke off.").Because(err)
	}
	c.payload = bytes.TrimSpace(content)
	return nil
}

// action picks the action by the body's only known key.
func (c *Call) action() (*Action, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(c.payload, &members); err != nil || len(members) == 0 {
		return nil, fault.Invalidf("Malformed request body")
	}
	for _, name := range sortedKeys(members) {
		if a, ok := c.route.Actions[name]; ok {
			if !c.inRange(a.Since, a.Until) {
				return nil, fault.NotFoundf("The resource could not be found.")
			}
			c.Action, c.rule, c.audit, c.payload = name, a.Rule, a.Audit, members[name]
			if c.audit == "" {
				c.audit = name
			}
			return &a, nil
		}
	}
	for _, name := range sortedKeys(members) {
		if c.plannedAction(name) {
			return nil, fault.New(fault.NotImplemented, "The action %s is not implemented.", name)
		}
	}
	return nil, fault.Invalidf("There is no such action: %s", sortedKeys(members)[0])
}

// masked is a path as logs may show it: without the tokens that some addresses have in them.
func masked(path string) string {
	for _, before := range []string{"/os-console-auth-tokens/", "/v2.0/tokens/"} {
		if i := strings.Index(path, before); i >= 0 {
			return path[:i+len(before)] + "(token)"
		}
	}
	return path
}
