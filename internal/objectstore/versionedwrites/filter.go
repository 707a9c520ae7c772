package versionedwrites

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// Attributes of a container that is versioned in this way.
const (
	stack      = "X-Versions-Location"
	history    = "X-History-Location"
	markerType = "application/x-deleted;swift_versions_deleted=1"
)

// Feature keeps what is replaced.
type Feature struct{ store objectstore.Store }

// New makes the feature.
func New(s objectstore.Store) *Feature { return &Feature{s} }

// Info is the section of /info.
func Info() map[string]map[string]any {
	return map[string]map[string]any{"versioned_writes": {"allowed_flags": []string{"x-versions-location", "x-history-location"}}}
}

// Filter keeps versions of objects, and checks where they shall go.
func (f *Feature) Filter(next swift.Handler) swift.Handler {
	return func(r *swift.Request) (swift.Reply, error) {
		switch {
		case r.Container == "":
			return next(r)
		case r.Object == "":
			sub, err := f.change(r)
			if err != nil {
				return swift.Reply{}, err
			}
			return next(sub)
		case r.Method == http.MethodPut || r.Method == http.MethodDelete:
			return f.object(r, next)
		}
		return next(r)
	}
}

// wished reads where a request wants versions to go; both names are empty where
// they shall not be kept any more.
func wished(r *swift.Request) (where map[string]string, err error) {
	if r.Header.Get(stack) != "" && r.Header.Get(history) != "" {
		return nil, swift.FailText(http.StatusBadRequest, "Only one of X-Versions-Location or X-History-Location may be specified")
	}
	for _, header := range []string{stack, history} {
		values, there := r.Header[header]
		if _, remove := r.Header["X-Remove-"+strings.TrimPrefix(header, "X-")]; where == nil && (there || remove) {
			where = map[string]string{stack: "", history: ""}
		}
		if !there || values[0] == "" {
			continue
		}
		name, err := url.PathUnescape(values[0])
		name = strings.Trim(name, "/")
		if err != nil || !swift.ValidText(name) || strings.Contains(name, "/") || len(name) > swift.MaxContainerNameLength {
			return nil, swift.FailText(http.StatusPreconditionFailed, header+" must be the name of a container")
		}
		where[header] = name
	}
	return where, nil
}

// change has a container keep exactly what its request wants.
func (f *Feature) change(r *swift.Request) (*swift.Request, error) {
	if r.Method != http.MethodPut && r.Method != http.MethodPost {
		return r, nil
	}
	where, err := wished(r)
	if err != nil || where == nil {
		return r, err
	}
	if where[stack]+where[history] != "" {
		c, err := f.store.Container(r.Context(), r.Account, r.Container)
		if absent(err) != nil {
			return r, err
		}
		if swift.True(r.Header.Get("X-Versions-Enabled")) || err == nil && c.Versioning != objectstore.Unversioned {
			return r, swift.FailText(http.StatusBadRequest, "A container has versions of one kind only")
		}
	}
	sub := *r
	sub.Header = r.Header.Clone()
	for header, name := range where {
		sub.Header.Del("X-Remove-" + strings.TrimPrefix(header, "X-"))
		sub.Header[header] = []string{name}
	}
	return &sub, nil
}

func absent(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func (f *Feature) object(r *swift.Request, next swift.Handler) (swift.Reply, error) {
	c, err := f.store.Container(r.Context(), r.Account, r.Container)
	if err != nil {
		if err := absent(err); err != nil {
			return swift.Reply{}, err
		}
		return next(r)
	}
	box := c.Headers[stack] + c.Headers[history]
	if box == "" {
		return next(r)
	}
	if err := r.Authorize(c.Headers[objectstore.HeaderWrite]); err != nil {
		return swift.Reply{}, err
	}
	v := &versions{store: f.store, request: r, box: box}
	switch {
	case r.Method == http.MethodPut:
		if err := v.keep(); err != nil {
			return swift.Reply{}, err
		}
		return next(r)
	case c.Headers[history] != "":
		if err := v.mark(); err != nil {
			return swift.Reply{}, err
		}
		return next(r)
	}
	return v.pop(next)
}

// versions are those of one object.
type versions struct {
	store   objectstore.Store
	request *swift.Request
	box     string
}

// prefix begins the names of an object's versions.
func (v *versions) prefix() string {
	return fmt.Sprintf("%03x%s/", len(v.request.Object), v.request.Object)
}

func (v *versions) key(t time.Time) objectstore.Key {
	name := v.prefix() + fmt.Sprintf("%010d.%05d", t.Unix(), t.Nanosecond()/10000)
	return objectstore.Key{Account: v.request.Account, Container: v.box, Name: name}
}

func gone() error {
	return swift.FailText(http.StatusPreconditionFailed, "The container for versions does not exist")
}

// same describes a copy of an object.
func same(k objectstore.Key, o *objectstore.Object) objectstore.Put {
	return objectstore.Put{Key: k, Size: o.Size, ETag: o.ETag, ContentType: o.ContentType, Headers: o.Headers, DeleteAt: o.DeleteAt,
		ListedSize: o.ListedSize, ListedETag: o.ListedETag}
}

// keep keeps the current object, if there is one.
func (v *versions) keep() error {
	ctx := v.request.Context()
	o, err := v.store.Head(ctx, v.request.Key())
	if err != nil {
		return absent(err)
	}
	p := same(v.key(o.ModifiedAt), o)
	p.Event = v.request.Event()
	p.Event.Object = p.Account + "/" + p.Container + "/" + p.Name
	_, err = v.store.Compose(ctx, p, []objectstore.Key{v.request.Key()}, false)
	if fault.Is(err, fault.NotFound) {
		return v.missing(ctx)
	}
	return err
}

// missing tells a container for versions that is not there from an object that has just gone.
func (v *versions) missing(ctx context.Context) error {
	if _, err := v.store.Container(ctx, v.request.Account, v.box); err != nil {
		if fault.Is(err, fault.NotFound) {
			return gone()
		}
		return err
	}
	return nil
}

// mark keeps the current object and notes that it is deleted.
func (v *versions) mark() error {
	if err := v.keep(); err != nil {
		return err
	}
	p := objectstore.Put{Key: v.key(v.request.Time), ContentType: markerType}
	_, err := v.store.Put(v.request.Context(), p, bytes.NewReader(nil))
	if fault.Is(err, fault.NotFound) {
		return gone()
	}
	return err
}

// pop brings the last version back in the place of the current object.
func (v *versions) pop(next swift.Handler) (swift.Reply, error) {
	last, err := v.before("")
	if err != nil {
		return swift.Reply{}, err
	}
	if last != nil && last.ContentType == markerType {
		return v.undelete(last, next)
	}
	done, err := v.restore(last)
	if err != nil {
		return swift.Reply{}, err
	}
	if !done {
		return next(v.request)
	}
	return swift.NoContent(), nil
}

// undelete takes back the deletion that a mark, the last of the versions, notes:
// that of an object, or of nothing where another mark is right before it.
func (v *versions) undelete(mark *objectstore.Object, next swift.Handler) (swift.Reply, error) {
	_, err := v.store.Head(v.request.Context(), v.request.Key())
	if err == nil {
		return next(v.request) // it was made after the mark
	}
	if err := absent(err); err != nil {
		return swift.Reply{}, err
	}
	last, err := v.before(mark.Name)
	if err != nil {
		return swift.Reply{}, err
	}
	if _, err := v.restore(last); err != nil {
		return swift.Reply{}, err
	}
	if _, err := v.store.Delete(v.request.Context(), mark.Key, nil, event.Record{}); absent(err) != nil {
		return swift.Reply{}, err
	}
	return swift.NoContent(), nil
}

// before gives the last version before a name of one, or of all; nil: there is none.
func (v *versions) before(name string) (*objectstore.Object, error) {
	l := objectstore.Listing{Prefix: v.prefix(), Marker: name, Reverse: true, Limit: 1}
	list, err := v.store.Objects(v.request.Context(), v.request.Account, v.box, l)
	if err != nil || len(list) == 0 {
		return nil, absent(err)
	}
	return &list[0].Object, nil
}

// restore makes a version the current object; where somebody else has it, or it
// has expired, the one before it. A mark ends the search.
func (v *versions) restore(last *objectstore.Object) (done bool, err error) {
	for last != nil && last.ContentType != markerType {
		from := last.Key
		from.Version = ""
		p := same(v.request.Key(), last)
		p.Event = v.request.Event()
		_, err := v.store.Compose(v.request.Context(), p, []objectstore.Key{from}, true)
		if absent(err) != nil || err == nil {
			return err == nil, err
		}
		if last, err = v.before(last.Name); err != nil {
			return false, err
		}
	}
	return false, nil
}
