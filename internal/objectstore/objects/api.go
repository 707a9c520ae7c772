package objects

import (
	"context"
	"net/http"
	"strconv"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// Feature serves objects.
type Feature struct {
	store  objectstore.Store
	reader objectstore.Reader
}

// New makes the feature.
func New(s objectstore.Store, r objectstore.Reader) *Feature { return &Feature{s, r} }

// Handle answers requests about an object.
func (f *Feature) Handle(r *swift.Request) (swift.Reply, error) {
	if _, ok := r.Query["version-id"]; ok && r.Query.Get("version-id") != "" {
		return f.version(r)
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return f.read(r, "")
	case http.MethodPut:
		return f.put(r)
	case http.MethodPost:
		return f.post(r)
	case http.MethodDelete:
		return f.remove(r, "")
	}
	return swift.Reply{}, swift.Fail(http.StatusMethodNotAllowed)
}

// container gives the container of a request, authorised for its method; the
// caller learns that it is not there only if he may know.
func (f *Feature) container(r *swift.Request, list string) (*objectstore.Container, error) {
	c, err := f.store.Container(r.Context(), r.Account, r.Container)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	acl := ""
	if c != nil {
		acl = c.Headers[list]
	}
	if err := r.Authorize(acl); err != nil {
		return nil, err
	}
	if c == nil {
		return nil, swift.Fail(http.StatusNotFound)
	}
	return c, nil
}

// read answers GET and HEAD. version is empty for the current object.
func (f *Feature) read(r *swift.Request, version string) (swift.Reply, error) {
	list := objectstore.HeaderRead
	if version != "" && version != objectstore.NullVersion {
		list = "" // old versions are for those who own the account
	}
	c, err := f.container(r, list)
	if err != nil {
		return swift.Reply{}, err
	}
	key := r.Key()
	key.Version = version
	view := objectstore.View{Link: r.Query.Get("symlink") == "get", Manifest: r.Query.Get("multipart-manifest") == "get",
		Allow: func(ctx context.Context, account, container string) error { return f.allow(ctx, r, account, container) }}
	var whole *objectstore.Whole
	var content objectstore.Content
	if r.Method == http.MethodHead && r.Query.Get("part-number") == "" {
		whole, err = f.reader.Head(r.Context(), key, view)
	} else {
		whole, content, err = f.reader.Open(r.Context(), key, view)
	}
	if err != nil {
		return swift.Reply{}, missing(r, err)
	}
	reply, err := f.answer(r, c, whole, content)
	if err != nil {
		if content != nil {
			_ = content.Close() // the answer is an error already
		}
		return swift.Reply{}, missing(r, err)
	}
	return reply, nil
}

// allow asks for objects behind links and manifests.
func (f *Feature) allow(ctx context.Context, r *swift.Request, account, container string) error {
	acl := ""
	c, err := f.store.Container(ctx, account, container)
	if err == nil {
		acl = c.Headers[objectstore.HeaderRead]
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	sub := r.Sub(r.Method, swift.Target{Account: account, Container: container, Object: r.Object})
	return sub.Authorize(acl)
}

// missing says why there is nothing to read.
func missing(r *swift.Request, err error) error {
	fail := func(f *swift.Failure) *swift.Failure {
		if where, ok := fault.As(err).Detail[objectstore.DetailLocation].(string); ok {
			f = f.With("Content-Location", where)
		}
		return f
	}
	switch fault.KindOf(err) {
	case fault.NotFound:
		if f := fault.As(err); f.Code == objectstore.CodeMarker && r.Query.Get("version-id") != "" {
			return swift.Fail(http.StatusNotFound).With("X-Object-Version-Id", r.Query.Get("version-id")).With("Content-Type", swift.MarkerType)
		}
		if status := swift.MissingCondition(r.Header); status != 0 {
			return fail(swift.Fail(status))
		}
		return fail(swift.Fail(http.StatusNotFound))
	case fault.Conflict:
		if text := fault.As(err).Text; text != "" {
			return fail(swift.FailPlain(http.StatusConflict, text))
		}
		return fail(swift.Fail(http.StatusConflict))
	}
	return err
}

func (f *Feature) answer(r *swift.Request, c *objectstore.Container, w *objectstore.Whole, content objectstore.Content) (swift.Reply, error) {
	header := describe(r, c, w)
	if status := swift.Condition(r.Header, w.ModifiedAt, w.ETag); status != 0 {
		if content != nil {
			_ = content.Close() // nothing was read
		}
		return unmet(header, status), nil
	}
	if part := r.Query.Get("part-number"); part != "" && w.Kind == objectstore.StaticLarge {
		return servePart(r, w, header, content, part)
	}
	if r.Method == http.MethodHead {
		header.Set("Content-Length", strconv.FormatInt(w.Size, 10))
		return swift.Reply{Status: http.StatusOK, Header: header}, nil
	}
	if w.Kind == objectstore.LargeManifest && r.Query.Get("format") == "raw" {
		return rawManifest(w, header, content)
	}
	if specs, ok := swift.ParseRange(r.Header.Get("Range")); ok && len(specs) > 1 && w.Kind == objectstore.DynamicLarge {
		r.Header.Del("Range") // Swift gives the whole of these
	}
	return swift.Serve(r, header, w.Size, content)
}

// unmet is the answer to a condition that does not hold: no body, no length.
func unmet(header http.Header, status int) swift.Reply {
	if status == http.StatusPreconditionFailed {
		header.Set("Content-Length", "0")
	}
	return swift.Reply{Status: status, Header: header}
}

// describe gives the headers of an object.
func describe(r *swift.Request, c *objectstore.Container, w *objectstore.Whole) http.Header {
	h := make(http.Header, len(w.Headers)+8)
	swift.Show(h, w.Headers, true)
	delete(h, objectstore.HeaderStatic)
	h["Content-Type"] = []string{w.ContentType}
	h["Etag"] = []string{w.ETag} // without quotes, as Swift has them
	h["Last-Modified"] = []string{swift.LastModified(w.ModifiedAt)}
	h["X-Timestamp"] = []string{swift.Stamp(w.ModifiedAt)}
	h["Accept-Ranges"] = []string{"bytes"}
	if !w.DeleteAt.IsZero() {
		h.Set("X-Delete-At", strconv.FormatInt(w.DeleteAt.Unix(), 10))
	}
	switch w.Kind {
	case objectstore.StaticLarge:
		h.Set(objectstore.HeaderStatic, "True")
		h.Set("Etag", `"`+w.ETag+`"`)
		h.Set("X-Manifest-Etag", w.ManifestETag)
	case objectstore.LargeManifest:
		h.Set(objectstore.HeaderStatic, "True")
		if r.Query.Get("format") != "raw" {
			h.Set("Content-Type", "application/json; charset=utf-8")
		}
	case objectstore.DynamicLarge:
		h.Set("Etag", `"`+w.ETag+`"`)
	case objectstore.SymbolicLink:
		showLink(h, w.Headers)
	}
	if n := len(w.Through); n > 0 {
		h.Set("Content-Location", swift.Target{Account: w.Account, Container: w.Container, Object: w.Name}.Path())
	}
	if c.Versioning != objectstore.Unversioned {
		h.Set("X-Object-Version-Id", w.Version)
		if w.Version != objectstore.NullVersion && r.Query.Get("version-id") == "" {
			h.Set("Content-Location", swift.Target{Account: w.Account, Container: w.Container, Object: w.Name}.Path()+"?version-id="+w.Version)
		}
	}
	return h
}

// showLink says where a link points to.
func showLink(h http.Header, attributes objectstore.Headers) {
	for shown, kept := range map[string]string{"X-Symlink-Target": objectstore.HeaderLink, "X-Symlink-Target-Account": objectstore.HeaderLinkAccount,
		"X-Symlink-Target-Etag": objectstore.HeaderLinkETag, "X-Symlink-Target-Bytes": objectstore.HeaderLinkBytes} {
		if value := attributes[kept]; value != "" {
			h.Set(shown, value)
		}
	}
}
