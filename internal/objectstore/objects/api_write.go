package objects

import (
	"fmt"
	"maps"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// kept are the headers that an object keeps besides X-Object-Meta-.
var kept = []string{"Content-Disposition", "Content-Encoding", "Content-Language", "Cache-Control", "Expires", "X-Robots-Tag", objectstore.HeaderManifest}

// attributes reads what an object shall keep of a request.
func attributes(h http.Header) objectstore.Headers {
	out := objectstore.Headers{}
	for name := range h {
		value := h.Get(name)
		if strings.HasPrefix(name, swift.ObjectMeta) || value != "" && slices.Contains(kept, name) {
			out[name] = value // an attribute of a user may be empty
		}
	}
	return out
}

func (f *Feature) put(r *swift.Request) (swift.Reply, error) {
	fresh, err := swift.OnlyNew(r.Header)
	if err != nil {
		return swift.Reply{}, err
	}
	c, err := f.container(r, objectstore.HeaderWrite)
	if err != nil {
		return swift.Reply{}, err
	}
	if err := checkBody(r); err != nil {
		return swift.Reply{}, err
	}
	if n := len(r.Object); n > swift.MaxObjectNameLength {
		return swift.Reply{}, swift.FailPlain(http.StatusBadRequest, fmt.Sprintf("Object name length of %d longer than %d", n, swift.MaxObjectNameLength))
	}
	kind, err := contentType(r)
	if err != nil {
		return swift.Reply{}, err
	}
	until, err := swift.DeleteAt(r.Header, r.Time)
	if err != nil {
		return swift.Reply{}, err
	}
	if err := swift.CheckMetadata(r.Header, swift.ObjectMeta); err != nil {
		return swift.Reply{}, err
	}
	p := objectstore.Put{Key: r.Key(), Size: max(r.Length, -1), Limit: swift.MaxFileSize, ETag: strings.ToLower(swift.PlainETag(r.Header.Get("Etag"))),
		ContentType: kind, Headers: attributes(r.Header), DeleteAt: until, ListedSize: r.ListedSize, ListedETag: r.ListedETag, Event: r.Event(),
		Check: checks(r, fresh)}
	maps.Copy(p.Headers, r.Sysmeta)
	if r.Limit > 0 {
		p.Limit = min(p.Limit, r.Limit)
	}
	o, err := f.store1(r, p)
	if err != nil {
		return swift.Reply{}, err
	}
	return written(c, o), nil
}

// store1 stores one object, from the body or from objects that are there.
func (f *Feature) store1(r *swift.Request, p objectstore.Put) (*objectstore.Object, error) {
	if r.Compose != nil {
		return f.store.Compose(r.Context(), p, r.Compose, false)
	}
	return f.store.Put(r.Context(), p, r.Body)
}

// checks joins the conditions of a write.
func checks(r *swift.Request, fresh bool) func(*objectstore.Account, *objectstore.Container, *objectstore.Object) error {
	if !fresh && len(r.Checks) == 0 {
		return nil
	}
	return func(a *objectstore.Account, c *objectstore.Container, current *objectstore.Object) error {
		if fresh && current != nil {
			return swift.Fail(http.StatusPreconditionFailed)
		}
		for _, check := range r.Checks {
			if err := check(a, c, current); err != nil {
				return err
			}
		}
		return nil
	}
}

func written(c *objectstore.Container, o *objectstore.Object) swift.Reply {
	reply := swift.Created()
	reply.Header.Set("Etag", o.ETag)
	reply.Header.Set("Last-Modified", swift.LastModified(o.ModifiedAt))
	if c.Versioning == objectstore.Versioned {
		reply.Header.Set("X-Object-Version-Id", o.Version)
	}
	return reply
}

// checkBody refuses a body that is too large, or of unknown end.
func checkBody(r *swift.Request) error {
	if te := r.Header.Get("Transfer-Encoding"); te != "" && !strings.EqualFold(te, "chunked") {
		return swift.FailPlain(http.StatusNotImplemented, "Unsupported Transfer-Encoding header value specified in Transfer-Encoding header")
	}
	if r.Length > swift.MaxFileSize {
		return swift.FailPlain(http.StatusRequestEntityTooLarge, "Your request is too large.")
	}
	if r.Length == swift.NoLength {
		return swift.FailPlain(http.StatusLengthRequired, "Missing Content-Length header.")
	}
	return nil
}

// contentType is what the request says, or what the name suggests.
func contentType(r *swift.Request) (string, error) {
	kind := r.Header.Get("Content-Type")
	if kind == "" || swift.True(r.Header.Get("X-Detect-Content-Type")) {
		if kind = Guess(r.Object); kind == "" {
			kind = "application/octet-stream"
		}
	}
	if !swift.ValidText(kind) {
		return "", swift.FailPlain(http.StatusBadRequest, "Invalid Content-Type")
	}
	if _, params, found := strings.Cut(kind, ";"); found && strings.Contains(params, "swift_") {
		for param := range strings.SplitSeq(params, ";") {
			if strings.HasPrefix(strings.TrimSpace(param), "swift_") {
				return "", swift.FailPlain(http.StatusBadRequest, "Invalid Content-Type, swift_* is not a valid parameter name.")
			}
		}
	}
	return kind, nil
}

// Guess is the type that a name's ending suggests, or nothing.
func Guess(name string) string {
	kind, _, _ := strings.Cut(mime.TypeByExtension(strings.ToLower(path.Ext(name))), ";")
	return kind
}

func (f *Feature) post(r *swift.Request) (swift.Reply, error) {
	if _, err := f.container(r, objectstore.HeaderWrite); err != nil {
		return swift.Reply{}, err
	}
	if err := swift.CheckMetadata(r.Header, swift.ObjectMeta); err != nil {
		return swift.Reply{}, err
	}
	until, err := swift.DeleteAt(r.Header, r.Time)
	if err != nil {
		return swift.Reply{}, err
	}
	kind := r.Header.Get("Content-Type")
	if kind != "" {
		if kind, err = contentType(r); err != nil {
			return swift.Reply{}, err
		}
	}
	o, err := f.store.ChangeObject(r.Context(), r.Key(), func(o *objectstore.Object) error {
		change(o, r, kind, until)
		return nil
	}, r.Event())
	if err != nil {
		return swift.Reply{}, err
	}
	reply := swift.Accepted()
	if target := o.Headers[objectstore.HeaderLink]; target != "" {
		return swift.Reply{}, swift.FailText(http.StatusTemporaryRedirect,
			"The requested POST was applied to a symlink. POST directly to the target to apply requested metadata.").With("Location", linkPath(o))
	}
	return reply, nil
}

// change replaces what users set, and keeps what features did.
func change(o *objectstore.Object, r *swift.Request, kind string, until time.Time) {
	headers := attributes(r.Header)
	for name, value := range o.Headers {
		if strings.HasPrefix(name, "X-Sysmeta-") || name == objectstore.HeaderStatic {
			headers[name] = value
		}
	}
	o.Headers, o.DeleteAt = headers, until
	if kind != "" {
		o.ContentType = kind
	}
}

func linkPath(o *objectstore.Object) string {
	account := o.Headers[objectstore.HeaderLinkAccount]
	if account == "" {
		account = swift.Quote(o.Account)
	}
	return "/v1/" + account + "/" + o.Headers[objectstore.HeaderLink]
}

// remove answers DELETE. version is empty for the current object.
func (f *Feature) remove(r *swift.Request, version string) (swift.Reply, error) {
	c, err := f.container(r, objectstore.HeaderWrite)
	if err != nil {
		return swift.Reply{}, err
	}
	key := r.Key()
	key.Version = version
	done, err := f.store.Delete(r.Context(), key, nil, r.Event())
	if err != nil {
		return swift.Reply{}, err
	}
	reply := swift.NoContent()
	switch {
	case version != "" && version != objectstore.NullVersion:
		return reply, f.tellCurrent(r, version, reply.Header)
	case done.Marker != nil && c.Versioning == objectstore.Versioned:
		if done.Removed == nil {
			return swift.Reply{}, swift.Fail(http.StatusNotFound).With("X-Object-Version-Id", done.Marker.Version)
		}
		reply.Header.Set("X-Object-Version-Id", done.Marker.Version)
	case done.Removed == nil:
		return swift.Reply{}, swift.Fail(http.StatusNotFound)
	}
	return reply, nil
}

// tellCurrent says what is current after a version went.
func (f *Feature) tellCurrent(r *swift.Request, version string, h http.Header) error {
	h.Set("X-Object-Version-Id", version)
	h.Set("X-Object-Current-Version-Id", objectstore.NullVersion)
	o, err := f.store.Head(r.Context(), r.Key())
	if err == nil {
		h.Set("X-Object-Current-Version-Id", o.Version)
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}
