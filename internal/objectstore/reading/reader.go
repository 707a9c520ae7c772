package reading

import (
	"context"
	"fmt"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

// MaxLinks is how many links are followed, MaxDepth how deep manifests of
// manifests may lie: Swift's numbers.
const (
	MaxLinks = 2
	MaxDepth = 10
)

// Reader implements objectstore.Reader on a store. Safe for concurrent use.
type Reader struct{ store objectstore.Store }

// New makes the reader of a store.
func New(s objectstore.Store) *Reader { return &Reader{s} }

// Head implements objectstore.Reader.
func (r *Reader) Head(ctx context.Context, k objectstore.Key, v objectstore.View) (*objectstore.Whole, error) {
	w, _, err := r.find(ctx, k, v, 1, r.head)
	return w, err
}

// Open implements objectstore.Reader.
func (r *Reader) Open(ctx context.Context, k objectstore.Key, v objectstore.View) (*objectstore.Whole, objectstore.Content, error) {
	return r.find(ctx, k, v, 1, r.store.Open)
}

// opener is Store.Open, or head in its shape.
type opener func(context.Context, objectstore.Key) (*objectstore.Object, objectstore.Content, error)

func (r *Reader) head(ctx context.Context, k objectstore.Key) (*objectstore.Object, objectstore.Content, error) {
	o, err := r.store.Head(ctx, k)
	return o, nil, err
}

// find follows links and then looks at what kind of object there is.
func (r *Reader) find(ctx context.Context, k objectstore.Key, v objectstore.View, depth int, open opener) (*objectstore.Whole, objectstore.Content, error) {
	o, content, through, err := r.follow(ctx, k, v, open)
	if err != nil {
		return nil, nil, err
	}
	w := &objectstore.Whole{Object: *o, Through: through, ManifestETag: o.ETag}
	switch {
	case o.Headers == nil:
		return w, content, nil
	case v.Link && o.Headers[objectstore.HeaderLink] != "":
		w.Kind = objectstore.SymbolicLink
	case o.Headers[objectstore.HeaderStatic] != "" && v.Manifest:
		w.Kind = objectstore.LargeManifest
	case o.Headers[objectstore.HeaderStatic] != "":
		return r.static(ctx, w, content, v, depth)
	case o.Headers[objectstore.HeaderManifest] != "" && !v.Manifest:
		return r.dynamic(ctx, w, content, v)
	}
	return w, content, nil
}

// follow walks along links to the object at their end.
func (r *Reader) follow(ctx context.Context, k objectstore.Key, v objectstore.View, open opener) (*objectstore.Object, objectstore.Content, []objectstore.Key, error) {
	var through []objectstore.Key
	wanted, where := "", ""
	for {
		o, content, err := open(ctx, k)
		if err != nil {
			return nil, nil, nil, at(err, where)
		}
		target := o.Headers[objectstore.HeaderLink]
		if target == "" || v.Link {
			if wanted != "" && wanted != o.ETag {
				closeAll(content)
				return nil, nil, nil, at(fault.Conflictf("Object Etag '%s' does not match X-Symlink-Target-Etag header '%s'", o.ETag, wanted), where)
			}
			return o, content, through, nil
		}
		closeAll(content)
		etag := o.Headers[objectstore.HeaderLinkETag]
		if found := first(etag, o.ETag); wanted != "" && wanted != found {
			return nil, nil, nil, at(fault.Conflictf("X-Symlink-Target-Etag headers do not match"), where)
		}
		if len(through) >= MaxLinks {
			return nil, nil, nil, at(fault.Conflictf("Too many levels of symbolic links, maximum allowed is %d", MaxLinks), where)
		}
		through, wanted = append(through, k), etag
		if k, where, err = Target(o); err != nil {
			return nil, nil, nil, err
		}
		if err := allowed(ctx, v, k); err != nil {
			return nil, nil, nil, at(err, where)
		}
	}
}

// Target is what a link points to, and its path as a client would write it.
func Target(o *objectstore.Object) (objectstore.Key, string, error) {
	account, quoted := o.Account, o.Headers[objectstore.HeaderLinkAccount]
	if quoted != "" {
		account = unescape(quoted)
	} else {
		quoted = account
	}
	target := o.Headers[objectstore.HeaderLink]
	container, name, ok := strings.Cut(unescape(target), "/")
	if !ok {
		return objectstore.Key{}, "", fault.Internalf("object %s/%s/%s links to %q", o.Account, o.Container, o.Name, target)
	}
	return objectstore.Key{Account: account, Container: container, Name: name}, "/v1/" + quoted + "/" + target, nil
}

func allowed(ctx context.Context, v objectstore.View, k objectstore.Key) error {
	if v.Allow == nil {
		return nil
	}
	return v.Allow(ctx, k.Account, k.Container)
}

// at notes the path that a fault is about. Errors of others stay as they are.
func at(err error, where string) error {
	f := fault.As(err)
	if where == "" || f.Kind == fault.Internal {
		return err
	}
	c := *f
	c.Detail = map[string]any{objectstore.DetailLocation: where}
	return &c
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func closeAll(c objectstore.Content) {
	if c != nil {
		_ = c.Close() // nothing was read
	}
}

func mismatch(format string, args ...any) error {
	return fault.Conflictf("").Because(fmt.Errorf(format, args...))
}
