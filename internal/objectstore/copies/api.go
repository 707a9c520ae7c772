package copies

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// Feature copies objects.
type Feature struct {
	store  objectstore.Store
	reader objectstore.Reader
}

// New makes the feature.
func New(s objectstore.Store, r objectstore.Reader) *Feature { return &Feature{s, r} }

const (
	copyFrom        = "X-Copy-From"
	copyFromAccount = "X-Copy-From-Account"
)

// Filter makes a write of each request for a copy.
func (f *Feature) Filter(next swift.Handler) swift.Handler {
	return func(r *swift.Request) (swift.Reply, error) {
		switch {
		case r.Object == "":
		case r.Method == "COPY":
			if err := turn(r); err != nil {
				return swift.Reply{}, err
			}
			return f.copy(r, next)
		case r.Method == http.MethodPut && r.Header.Get(copyFrom) != "":
			return f.copy(r, next)
		}
		return next(r)
	}
}

// turn makes a PUT with X-Copy-From of a COPY with Destination.
func turn(r *swift.Request) error {
	destination := r.Header.Get("Destination")
	if destination == "" {
		return swift.FailText(http.StatusPreconditionFailed, "Destination header required")
	}
	from, to := r.Target, r.Target
	if account := r.Header.Get("Destination-Account"); account != "" {
		name, err := swift.AccountName(account)
		if err != nil {
			return err
		}
		to.Account = name
	}
	var ok bool
	if to.Container, to.Object, ok = swift.SplitPath(destination); !ok {
		return swift.FailText(http.StatusPreconditionFailed, "Destination header must be of the form <container name>/<object name>")
	}
	r.Header.Del("Destination")
	r.Header.Del("Destination-Account")
	r.Header.Set(copyFrom, swift.Quote("/"+from.Container+"/"+from.Object))
	r.Header.Set(copyFromAccount, swift.Quote(from.Account))
	r.Method, r.Target = http.MethodPut, to
	return nil
}

// source reads what shall be copied of the headers.
func source(r *swift.Request) (swift.Target, error) {
	from := swift.Target{Account: r.Account}
	if account := r.Header.Get(copyFromAccount); account != "" {
		name, err := swift.AccountName(account)
		if err != nil {
			return from, err
		}
		from.Account = name
	}
	var ok bool
	if from.Container, from.Object, ok = swift.SplitPath(r.Header.Get(copyFrom)); !ok {
		return from, swift.FailText(http.StatusPreconditionFailed, "X-Copy-From header must be of the form <container name>/<object name>")
	}
	return from, nil
}

func (f *Feature) copy(r *swift.Request, next swift.Handler) (swift.Reply, error) {
	if r.Length > 0 || r.Length == -1 {
		return swift.Reply{}, swift.FailPlain(http.StatusBadRequest, "Copy requests require a zero byte body")
	}
	from, err := source(r)
	if err != nil {
		return swift.Reply{}, err
	}
	whole, content, err := f.open(r, from)
	if err != nil {
		return swift.Reply{}, err
	}
	defer content.Close() //nolint:errcheck // it was read
	put := *r
	put.Header, put.Query = r.Header.Clone(), cloneQuery(r.Query)
	for _, name := range []string{copyFrom, copyFromAccount, "Range", "If-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		put.Header.Del(name)
	}
	describe(&put, whole)
	if err := fill(&put, r.Header, whole, content); err != nil {
		return swift.Reply{}, err
	}
	put.Query.Del("version-id")
	reply, err := next(&put)
	if err != nil || !swift.OK(reply) {
		return reply, err
	}
	tell(reply.Header, &put, from, whole)
	return reply, nil
}

func cloneQuery(q url.Values) url.Values {
	out := make(url.Values, len(q))
	for name, values := range q {
		out[name] = slices.Clone(values)
	}
	return out
}

// open opens the source as the caller may read it, under the request's conditions.
func (f *Feature) open(r *swift.Request, from swift.Target) (*objectstore.Whole, objectstore.Content, error) {
	if err := f.allow(r.Context(), r, from); err != nil {
		return nil, nil, err
	}
	key := from.Key()
	key.Version = r.Query.Get("version-id")
	w, content, err := f.reader.Open(r.Context(), key, objectstore.View{Link: r.Query.Get("symlink") == "get", Manifest: r.Query.Get("multipart-manifest") == "get",
		Allow: func(ctx context.Context, account, container string) error {
			return f.allow(ctx, r, swift.Target{Account: account, Container: container, Object: from.Object})
		}})
	if err != nil {
		if text := fault.As(err).Text; fault.Is(err, fault.Conflict) && text != "" {
			err = swift.FailPlain(http.StatusConflict, text)
		}
		return nil, nil, err
	}
	status := swift.Condition(r.Header, w.ModifiedAt, w.ETag)
	switch {
	case r.Header.Get("If-None-Match") == "*": // is about the new object
		status = 0
	case w.Size > swift.MaxFileSize:
		status = http.StatusRequestEntityTooLarge
	}
	if status != 0 {
		return nil, nil, errors.Join(swift.Fail(status), content.Close())
	}
	return w, content, nil
}

func (f *Feature) allow(ctx context.Context, r *swift.Request, t swift.Target) error {
	acl := ""
	c, err := f.store.Container(ctx, t.Account, t.Container)
	if err == nil {
		acl = c.Headers[objectstore.HeaderRead]
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	return r.Sub(http.MethodGet, t).Authorize(acl)
}

// describe gives the copy the attributes of its source where the request says
// nothing else.
func describe(put *swift.Request, w *objectstore.Whole) {
	if put.Header.Get("Content-Type") == "" {
		put.Header.Set("Content-Type", w.ContentType)
	}
	if swift.True(put.Header.Get("X-Fresh-Metadata")) {
		return
	}
	for name, value := range w.Headers {
		if name == objectstore.HeaderManifest || name == objectstore.HeaderStatic || strings.HasPrefix(name, "X-Sysmeta-") {
			continue
		}
		if _, said := put.Header[name]; !said {
			put.Header[name] = []string{value}
		}
	}
	_, at := put.Header["X-Delete-At"]
	_, after := put.Header["X-Delete-After"]
	if !w.DeleteAt.IsZero() && !at && !after {
		put.Header.Set("X-Delete-At", strconv.FormatInt(w.DeleteAt.Unix(), 10))
	}
}

// fill gives the copy its bytes.
func fill(put *swift.Request, asked http.Header, w *objectstore.Whole, content objectstore.Content) error {
	span, part, err := partSpan(put, w)
	if err != nil {
		return err
	}
	if specs, ok := swift.ParseRange(asked.Get("Range")); ok {
		spans := swift.Spans(specs, w.Size)
		switch {
		case len(specs) > 1:
			return swift.FailPlain(http.StatusBadRequest, "A copy takes one range")
		case len(spans) == 0:
			return swift.Fail(http.StatusRequestedRangeNotSatisfiable)
		}
		part, span = spans[0] != span, spans[0]
	}
	put.Length, put.Body = span.End-span.Start, content.Range(span.Start, span.End-span.Start)
	put.Header.Del("Etag")
	switch {
	case w.Kind == objectstore.LargeManifest:
		return manifest(put, w, content)
	case w.Kind == objectstore.SymbolicLink:
		link(put, w)
		return nil
	case put.Query.Get("multipart-manifest") == "get":
		put.Query.Del("multipart-manifest")
		if prefix := w.Headers[objectstore.HeaderManifest]; prefix != "" {
			put.Header.Set(objectstore.HeaderManifest, prefix)
		}
	}
	if w.Kind == objectstore.PlainObject && !part {
		put.Header.Set("Etag", w.ETag)
		put.Compose = []objectstore.Key{w.Key}
	}
	if p, ok := put.Body.(objectstore.Primed); ok {
		return p.Prime()
	}
	return nil
}

// partSpan is the part of a large object that is asked for, or all of it.
func partSpan(put *swift.Request, w *objectstore.Whole) (span swift.Span, part bool, err error) {
	span = swift.Span{Start: 0, End: w.Size}
	text := put.Query.Get("part-number")
	if text == "" || w.Kind != objectstore.StaticLarge {
		return span, false, nil
	}
	put.Query.Del("part-number")
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n <= 0:
		return span, false, swift.FailText(http.StatusBadRequest, "Part number must be an integer greater than 0")
	case n > len(w.Parts):
		return span, false, swift.Fail(http.StatusRequestedRangeNotSatisfiable)
	}
	for _, size := range w.Parts[:n-1] {
		span.Start += size
	}
	span.End = span.Start + w.Parts[n-1]
	return span, true, nil
}

// manifest copies the manifest of a static large object: it is put again.
func manifest(put *swift.Request, w *objectstore.Whole, content objectstore.Content) error {
	stored, err := io.ReadAll(content.Range(0, w.Size))
	if err != nil {
		return err
	}
	segments, err := objectstore.ParseManifest(stored)
	if err != nil {
		return err
	}
	raw, err := objectstore.RawManifest(segments)
	if err != nil {
		return err
	}
	put.Body, put.Length = bytes.NewReader(raw), int64(len(raw))
	put.Query.Set("multipart-manifest", "put")
	put.Query.Del("format")
	return nil
}

// link copies a link: it is made again.
func link(put *swift.Request, w *objectstore.Whole) {
	put.Body, put.Length = http.NoBody, 0
	for shown, kept := range map[string]string{"X-Symlink-Target": objectstore.HeaderLink, "X-Symlink-Target-Account": objectstore.HeaderLinkAccount,
		"X-Symlink-Target-Etag": objectstore.HeaderLinkETag} {
		if value := w.Headers[kept]; value != "" && put.Header.Get(shown) == "" {
			put.Header.Set(shown, value)
		}
	}
}

// tell says in the answer what was copied.
func tell(h http.Header, put *swift.Request, from swift.Target, w *objectstore.Whole) {
	h.Set("X-Copied-From", swift.Quote(from.Container+"/"+from.Object))
	h.Set("X-Copied-From-Account", swift.Quote(from.Account))
	h.Set("X-Copied-From-Last-Modified", swift.LastModified(w.ModifiedAt))
	if w.Version != objectstore.NullVersion {
		h.Set("X-Copied-From-Version-Id", w.Version)
	}
	for name := range put.Header {
		if strings.HasPrefix(name, swift.ObjectMeta) || name == "X-Delete-At" {
			h.Set(name, put.Header.Get(name))
		}
	}
}
