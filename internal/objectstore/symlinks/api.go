package symlinks

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// maxLinks is how many static links a new static link may go through.
const maxLinks = 2

// Feature makes links.
type Feature struct{ store objectstore.Store }

// New makes the feature.
func New(s objectstore.Store) *Feature { return &Feature{s} }

// Info is the section of /info.
func Info() map[string]map[string]any {
	return map[string]map[string]any{"symlink": {"symloop_max": maxLinks, "static_links": true}}
}

const (
	target        = "X-Symlink-Target"
	targetAccount = "X-Symlink-Target-Account"
	targetETag    = "X-Symlink-Target-Etag"
)

// Filter takes requests that make links.
func (f *Feature) Filter(next swift.Handler) swift.Handler {
	return func(r *swift.Request) (swift.Reply, error) {
		if r.Object == "" || r.Header[target] == nil {
			return next(r)
		}
		switch r.Method {
		case http.MethodPost:
			return swift.Reply{}, swift.FailPlain(http.StatusBadRequest, "A PUT request is required to set a symlink target")
		case http.MethodPut:
			if err := f.prepare(r); err != nil {
				return swift.Reply{}, err
			}
		}
		return next(r)
	}
}

// prepare makes an ordinary write of a request for a link.
func (f *Feature) prepare(r *swift.Request) error {
	if r.Length > 0 || r.Length == -1 && !empty(r) {
		return swift.FailPlain(http.StatusBadRequest, "Symlink requests require a zero byte body")
	}
	wrong := swift.FailPlain(http.StatusPreconditionFailed, "X-Symlink-Target header must be of the form <container name>/<object name>")
	if strings.HasPrefix(swift.Unquote(r.Header.Get(target)), "/") {
		return wrong
	}
	container, object, ok := swift.SplitPath(r.Header.Get(target))
	if !ok {
		return wrong
	}
	to := swift.Target{Account: r.Account, Container: container, Object: object}
	meta := objectstore.Headers{objectstore.HeaderLink: swift.Quote(container + "/" + object)}
	if _, ok := r.Header[targetAccount]; ok {
		account, err := swift.AccountName(r.Header.Get(targetAccount))
		if err != nil {
			return err
		}
		to.Account, meta[objectstore.HeaderLinkAccount] = account, swift.Quote(account)
	}
	if to == r.Target {
		return swift.FailPlain(http.StatusBadRequest, "Symlink cannot target itself")
	}
	if etag := swift.PlainETag(r.Header.Get(targetETag)); etag != "" {
		if strings.ContainsAny(etag, `;"\`) {
			return swift.FailPlain(http.StatusBadRequest, "Bad X-Symlink-Target-Etag format")
		}
		if err := f.fix(r, to, etag, meta); err != nil {
			return err
		}
	} else if r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/symlink")
	}
	for name, value := range r.Sysmeta {
		if _, ok := meta[name]; !ok {
			meta[name] = value
		}
	}
	r.Sysmeta, r.Compose, r.Length, r.Body = meta, nil, 0, http.NoBody
	return nil
}

func empty(r *swift.Request) bool {
	n, _ := r.Body.Read(make([]byte, 1)) // a body that fails is as good as none
	return n == 0
}

// fix makes a static link: its target must be there, and be what the link says.
func (f *Feature) fix(r *swift.Request, to swift.Target, etag string, meta objectstore.Headers) error {
	where, wanted := to, etag
	var o *objectstore.Object
	for n := 0; ; n++ {
		var err error
		if o, err = f.head(r, where); err != nil {
			return err
		}
		next := o.Headers[objectstore.HeaderLinkETag]
		if next == "" {
			if o.ETag != wanted {
				return conflict(where, "Object Etag '"+o.ETag+"' does not match X-Symlink-Target-Etag header '"+wanted+"'")
			}
			break
		}
		if next != wanted {
			return conflict(where, "X-Symlink-Target-Etag headers do not match")
		}
		if n >= maxLinks {
			return conflict(where, "Too many levels of symbolic links, maximum allowed is "+strconv.Itoa(maxLinks))
		}
		container, object, _ := swift.SplitPath(o.Headers[objectstore.HeaderLink])
		account := where.Account
		if a := o.Headers[objectstore.HeaderLinkAccount]; a != "" {
			account = swift.Unquote(a)
		}
		where = swift.Target{Account: account, Container: container, Object: object}
	}
	size := o.Headers[objectstore.HeaderStaticSize]
	if size == "" {
		size = strconv.FormatInt(o.Size, 10)
	} else {
		meta[objectstore.HeaderStaticETag] = o.Headers[objectstore.HeaderStaticETag]
	}
	meta[objectstore.HeaderLinkETag], meta[objectstore.HeaderLinkBytes] = etag, size
	if r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", o.ContentType)
	}
	return nil
}

// head looks at a target as the caller may.
func (f *Feature) head(r *swift.Request, t swift.Target) (*objectstore.Object, error) {
	acl := ""
	c, err := f.store.Container(r.Context(), t.Account, t.Container)
	if err == nil {
		acl = c.Headers[objectstore.HeaderRead]
	} else if !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if err := r.Sub(http.MethodHead, t).Authorize(acl); err != nil {
		return nil, err
	}
	o, err := f.store.Head(r.Context(), t.Key())
	if fault.Is(err, fault.NotFound) {
		return nil, conflict(t, "X-Symlink-Target does not exist")
	}
	return o, err
}

func conflict(t swift.Target, text string) error {
	return swift.FailPlain(http.StatusConflict, text).With("Content-Location", t.Path())
}
