package objects

import (
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
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
func Guess(name string) string { return types[strings.ToLower(path.Ext(name))] }

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
	if o.Headers[objectstore.HeaderLink] == "" {
		return swift.Accepted(), nil
	}
	elsewhere := swift.FailText(http.StatusTemporaryRedirect,
		"The requested POST was applied to a symlink. POST directly to the target to apply requested metadata.").With("Location", linkPath(o))
	if etag := o.Headers[objectstore.HeaderLinkETag]; etag != "" {
		elsewhere = elsewhere.With("X-Symlink-Target-Etag", etag)
	}
	return swift.Reply{}, elsewhere
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
	list := objectstore.HeaderWrite
	if version != "" && version != objectstore.NullVersion {
		list = "" // old versions are for those who own the account
	}
	c, err := f.container(r, list)
	if err != nil {
		return swift.Reply{}, err
	}
	key := r.Key()
	key.Version = version
	check, err := deleteCheck(r)
	if err != nil {
		return swift.Reply{}, err
	}
	done, err := f.store.Withdraw(r.Context(), key, check, r.Event())
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

// deleteCheck reads X-If-Delete-At: the object goes only if it was to go then.
func deleteCheck(r *swift.Request) (func(*objectstore.Object) error, error) {
	asked := r.Header.Get("X-If-Delete-At")
	if asked == "" {
		return nil, nil
	}
	at, err := strconv.ParseFloat(asked, 64)
	if err != nil {
		return nil, swift.FailText(http.StatusBadRequest, "Bad X-If-Delete-At header value")
	}
	return func(o *objectstore.Object) error {
		if o == nil {
			return swift.Fail(http.StatusNotFound)
		}
		if o.DeleteAt.IsZero() || o.DeleteAt.Unix() != int64(at) {
			return swift.FailText(http.StatusPreconditionFailed, "X-If-Delete-At and X-Delete-At do not match")
		}
		return nil
	}, nil
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
