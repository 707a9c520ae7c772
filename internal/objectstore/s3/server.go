package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/access"
	"github.com/mekcloud/mek/internal/objectstore/s3/document"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
	"github.com/mekcloud/mek/internal/policy"
)

// Deps is what the service stands on.
type Deps struct {
	Store  objectstore.Store
	Reader objectstore.Reader
	Keys   identity.AccessKeys
	Access access.Settings
	Clock  clock.Clock
	Log    *slog.Logger
	Region string // accepted in signatures beside us-east-1
	// Domains are host names below which a bucket may stand: "s3.example.org".
	Domains []string
	// Observe learns of every finished request; may be nil.
	Observe func(service, method, operation string, status int, took time.Duration)
	// Admit lets requests in, or makes them wait, or refuses them: RateLimited. caller
	// is a project, empty for an anonymous request; may be nil.
	Admit func(ctx context.Context, caller, address, method string) (Turn, error)
	// Other answers what is not S3 on the same port; may be nil.
	Other http.Handler
}

// Turn is a request that was let in: it waits for a place to work in, gives it
// back, and ends.
type Turn interface {
	Run(ctx context.Context) error
	Rest()
	Leave(bytes int64)
	// Watch cuts the connection once still says that who asked may no longer.
	Watch(w http.ResponseWriter, still func(ctx context.Context) error)
	// Pace has the pieces of a large body wait for their turns, and gives the
	// context of whoever takes them apart (package pace); release ends that. Send
	// does so with answers.
	Pace(ctx context.Context, body io.ReadCloser) (within context.Context, paced io.ReadCloser, release func())
	Send(ctx context.Context, w http.ResponseWriter) (paced http.ResponseWriter, release func())
}

// Server is the handler. Safe for concurrent use.
type Server struct {
	Deps
	operations []operation
	replays    replays
	names      names
}

// New makes a server.
func New(d Deps) *Server { return &Server{Deps: d, operations: operations()} }

// Location is where all buckets are, in S3's words. It is the one that needs no
// name, so that clients sign with the region they begin with.
const Location = "us-east-1"

// call is one request.
type call struct {
	*http.Request
	s           *Server
	w           http.ResponseWriter
	id          string // of the request
	now         time.Time
	query       params
	bucket, key string
	hosted      bool // the bucket came in the host name
	claim       *signed
	auth        *policy.Credentials // never nil; empty for an anonymous request
	account     string              // in which the bucket is
	op          *operation
	turn        Turn // nil: without a gate
}

// reply is an answer. Of body, content and span one says what follows the headers.
type reply struct {
	status  int
	header  http.Header
	body    any // a document, or []byte
	content objectstore.Content
	from, n int64 // of content
}

func answer(body any) (*reply, error) {
	return &reply{status: http.StatusOK, header: http.Header{}, body: body}, nil
}

func empty(status int) *reply { return &reply{status: status, header: http.Header{}} }

func (r *reply) with(name, value string) *reply {
	r.header.Set(name, value)
	return r
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Other != nil && !s.mine(r) {
		s.Other.ServeHTTP(w, r)
		return
	}
	c := &call{Request: r, s: s, w: w, id: "tx" + id.Hex(), now: s.Clock.Now(), auth: &policy.Credentials{}}
	w.Header().Set("X-Amz-Request-Id", c.id)
	w.Header().Set("X-Amz-Id-2", c.hostID())
	w.Header().Set("X-Openstack-Request-Id", c.id)
	out, err := c.answer()
	defer func() { c.leave(out) }()
	if err != nil {
		out = c.failed(err)
	}
	if err := c.send(out); err != nil {
		s.Log.Warn("answer broke off", "request", c.id, "path", r.URL.Path, "error", err)
	}
	name := "unknown"
	if c.op != nil {
		name = c.op.name
	}
	took := s.Clock.Now().Sub(c.now)
	if s.Observe != nil {
		s.Observe("s3", r.Method, name, out.status, took)
	}
	s.Log.Debug("request", "request", c.id, "service", "s3", "method", r.Method, "path", r.URL.Path, "status", out.status, "took", took,
		"user", c.auth.UserID, "project", c.auth.ProjectID)
}

// mine tells S3 from Swift on one port: Swift's addresses have its version in
// front, and no signature.
func (s *Server) mine(r *http.Request) bool {
	if strings.HasPrefix(r.Header.Get("Authorization"), "AWS") || strings.Contains(r.URL.RawQuery, "X-Amz-") || strings.Contains(r.URL.RawQuery, "AWSAccessKeyId=") {
		return true
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch first {
	case "v1", "v1.0", "info", "healthcheck", "auth", "endpoints":
		return false
	}
	return r.Header.Get("X-Auth-Token") == "" && r.Header.Get("X-Storage-Token") == ""
}

func (c *call) hostID() string { return base64.StdEncoding.EncodeToString([]byte(c.id)) }

// answer finds the operation, checks who asks, and runs it.
func (c *call) answer() (out *reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Internalf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := c.address(); err != nil {
		return nil, err
	}
	err = c.authenticate()
	if refused := c.admit(); refused != nil {
		err = refused
	}
	if err != nil {
		return nil, err
	}
	if err := c.choose(); err != nil {
		return nil, err
	}
	if err := c.unsupported(); err != nil {
		return nil, err
	}
	ctx := event.WithActor(c.Context(), event.Actor{UserID: c.auth.UserID, ProjectID: c.auth.ProjectID, RequestID: c.id})
	c.Request = c.Request.WithContext(ctx)
	if c.turn != nil {
		if err := c.turn.Run(ctx); err != nil {
			return nil, err
		}
		defer c.turn.Rest()
		if c.claim != nil {
			c.turn.Watch(c.w, c.still())
		}
		within, body, release := c.turn.Pace(ctx, c.Body)
		defer release()
		c.Request = c.Request.WithContext(within)
		c.Body = body
	}
	return c.op.run(c)
}

// still tells whether the key of a request still opens what it did.
func (c *call) still() func(ctx context.Context) error {
	access, roles := c.claim.Access, c.auth.Roles
	return func(ctx context.Context) error {
		key, err := c.s.Keys.Lookup(ctx, access)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(roles, func(r string) bool { return !slices.Contains(key.Credentials.Roles, r) }) {
			return failure.New(failure.AccessDenied)
		}
		return nil
	}
}

// admit asks the gate once it is known who asks, whether or not the signature held.
func (c *call) admit() (err error) {
	if c.s.Admit != nil {
		c.turn, err = c.s.Admit(c.Context(), c.auth.ProjectID, c.RemoteAddr, c.Method)
	}
	return err
}

func (c *call) leave(out *reply) {
	if c.turn != nil {
		c.turn.Leave(max(c.ContentLength, 0) + out.n)
	}
}

// event starts the audit record of a change of the bucket or of an object in it.
func (c *call) event(object string) event.Record {
	e := event.Record{Service: "object-store", Action: c.op.audit, Kind: "container", Object: c.account + "/" + c.bucket,
		ProjectID: c.project(), UserID: c.auth.UserID, RequestID: c.id}
	if object != "" {
		e.Kind, e.Object = "object", e.Object+"/"+object
	}
	return e
}

func (c *call) project() string { return strings.TrimPrefix(c.account, c.s.Access.Prefix) }

// failed makes the answer to an error.
func (c *call) failed(err error) *reply {
	f := c.explain(err)
	if f.Status >= http.StatusInternalServerError && f.Code == failure.InternalError {
		c.s.Log.Error("request failed", "request", c.id, "method", c.Method, "path", c.URL.Path, "error", err)
	}
	out := &reply{status: f.Status, header: http.Header{"Content-Type": {"application/xml"}}, body: f.Body(c.URL.Path, c.id, c.hostID())}
	if f.Code == failure.IncompleteBody || f.Status == http.StatusForbidden && c.ContentLength != 0 {
		out.header.Set("Connection", "close") // the rest of the body is not worth reading
	}
	if f.Code == failure.SlowDown {
		out.header.Set("Retry-After", "1")
	}
	for _, m := range f.Fields {
		switch m.Name {
		case "DeleteMarker":
			out.header.Set("X-Amz-Delete-Marker", m.Value)
		case "VersionId":
			out.header.Set("X-Amz-Version-Id", m.Value)
		case "Allow":
			out.header.Set("Allow", m.Value)
		}
	}
	return out
}

// explain says a fault of the store in S3's words.
func (c *call) explain(err error) *failure.Failure {
	if f := failure.As(err); f != nil {
		return f
	}
	f := fault.As(fault.OfService(err))
	switch {
	case f.Code == objectstore.CodeChecksum:
		return failure.New(failure.BadDigest)
	case f.Code == objectstore.CodeIncomplete:
		return failure.New(failure.IncompleteBody)
	case f.Code == objectstore.CodeFull:
		return failure.Newf(failure.ServiceUnavailable, "There is no space left to store the object.")
	case f.Kind == fault.NotFound && c.key != "":
		return failure.New(failure.NoSuchKey).With("Key", c.key)
	case f.Kind == fault.NotFound:
		return failure.New(failure.NoSuchBucket).With("BucketName", c.bucket)
	case f.Kind == fault.TooLarge:
		return failure.New(failure.EntityTooLarge)
	case f.Kind == fault.RateLimited:
		return failure.New(failure.SlowDown)
	case f.Kind == fault.Unauthenticated, f.Kind == fault.Forbidden:
		return failure.New(failure.AccessDenied)
	case f.Kind == fault.Invalid:
		return failure.Newf(failure.InvalidRequest, "%s", f.Text)
	case f.Kind == fault.Conflict, f.Kind == fault.Unavailable:
		return failure.New(failure.ServiceUnavailable).Because(err)
	}
	if errors.Is(err, c.Context().Err()) && c.Context().Err() != nil {
		return failure.New(failure.IncompleteBody).Because(err)
	}
	return failure.New(failure.InternalError).Because(err)
}

// send writes an answer. Bytes of an object go by the content's own WriterTo.
func (c *call) send(out *reply) error {
	if out.content != nil {
		defer out.content.Close() //nolint:errcheck // it was only read
	}
	header := c.w.Header()
	for name, values := range out.header {
		header[name] = values
	}
	body, ok := out.body.([]byte)
	if !ok && out.body != nil {
		var err error
		if body, err = document.Encode(out.body); err != nil {
			out.status, body = http.StatusInternalServerError, nil
			c.s.Log.Error("answer has no XML", "request", c.id, "error", err)
		}
		if header.Get("Content-Type") == "" {
			header.Set("Content-Type", "application/xml")
		}
	}
	if out.status != http.StatusNoContent && out.status != http.StatusNotModified && header.Get("Content-Length") == "" {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	c.w.WriteHeader(out.status)
	if c.Method == http.MethodHead || out.status == http.StatusNotModified || out.status == http.StatusNoContent {
		return nil
	}
	if out.content != nil && out.n > 0 {
		w := c.w
		if c.turn != nil {
			var release func()
			w, release = c.turn.Send(c.Context(), w)
			defer release()
		}
		_, err := io.Copy(w, out.content.Range(out.from, out.n))
		return err
	}
	_, err := c.w.Write(body)
	return err
}

// quoted is an ETag as headers and documents have it.
func quoted(etag string) string { return `"` + etag + `"` }

func plainETag(text string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(text), "W/"), `"`)
}

func isMD5(etag string) bool {
	raw, err := hex.DecodeString(etag)
	return err == nil && len(raw) == 16
}

// shown is a time as headers show it, to the second: never before the moment
// itself, so that a condition made of it holds.
func shown(t time.Time) time.Time {
	if cut := t.Truncate(time.Second); !cut.Equal(t) {
		return cut.Add(time.Second).UTC()
	}
	return t.UTC()
}

func stamp(t time.Time) string { return shown(t).Format("2006-01-02T15:04:05.000Z") }

func httpDate(t time.Time) string { return shown(t).Format(http.TimeFormat) }
