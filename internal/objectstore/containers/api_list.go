package containers

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// listed is an object in a listing, a version or a delete marker.
type listed struct {
	Bytes    int64  `json:"bytes"`
	Hash     string `json:"hash"`
	Name     string `json:"name"`
	Type     string `json:"content_type"`
	Modified string `json:"last_modified"`

	StaticETag string `json:"slo_etag,omitempty"`
	LinkPath   string `json:"symlink_path,omitempty"`
	LinkETag   string `json:"symlink_etag,omitempty"`
	LinkBytes  *int64 `json:"symlink_bytes,omitempty"`
	Versioned  bool   `json:"version_symlink,omitempty"`

	Version string `json:"version_id,omitempty"`
	Latest  *bool  `json:"is_latest,omitempty"`
}

const emptyHash = "d41d8cd98f00b204e9800998ecf8427e"

func entry(o *objectstore.Object) listed {
	e := listed{Bytes: o.Size, Hash: o.ETag, Name: o.Name, Type: o.ContentType, Modified: swift.ListedTime(o.ModifiedAt)}
	switch {
	case o.DeleteMarker:
		e.Hash, e.Type, e.Bytes = emptyHash, swift.MarkerType, 0
	case o.Headers[objectstore.HeaderStatic] != "":
		e.Bytes = o.ListedSize
		e.StaticETag = `"` + o.Headers[objectstore.HeaderStaticETag] + `"`
	case o.Headers[objectstore.HeaderLink] != "":
		account := o.Headers[objectstore.HeaderLinkAccount]
		if account == "" {
			account = swift.Quote(o.Account)
		}
		e.LinkPath = "/v1/" + account + "/" + o.Headers[objectstore.HeaderLink]
		e.LinkETag = o.Headers[objectstore.HeaderLinkETag]
		if etag := o.Headers[objectstore.HeaderStaticETag]; etag != "" {
			e.StaticETag = `"` + etag + `"`
		}
		if n, err := strconv.ParseInt(o.Headers[objectstore.HeaderLinkBytes], 10, 64); err == nil {
			e.LinkBytes = &n
		}
	case o.ListedETag != "":
		e.Hash, e.Bytes = o.ListedETag, o.ListedSize
	}
	return e
}

// current is the entry of a current object. Swift keeps versions elsewhere and
// links to them, which shows here.
func current(o *objectstore.Object) listed {
	e := entry(o)
	if o.Version != objectstore.NullVersion && e.LinkPath == "" {
		e.Versioned = true
		e.LinkPath = swift.Target{Account: o.Account, Container: o.Container, Object: o.Name}.Path() + "?version-id=" + o.Version
	}
	return e
}

func add(list *swift.List, e listed) {
	list.Add(e.Name, e, func(x *strings.Builder) {
		swift.Element(x, "name", e.Name)
		swift.Element(x, "hash", e.Hash)
		swift.Element(x, "bytes", strconv.FormatInt(e.Bytes, 10))
		swift.Element(x, "content_type", e.Type)
		swift.Element(x, "last_modified", e.Modified)
	})
}

// list answers a listing of current objects.
func (f *Feature) list(r *swift.Request, format string, header http.Header) (swift.Reply, error) {
	listing, err := swift.Listing(r)
	if err != nil {
		return swift.Reply{}, err
	}
	list := swift.List{Root: "container", Name: r.Container}
	if paths, ok := r.Query["path"]; ok {
		if err := f.folder(r, listing, paths[0], &list); err != nil {
			return swift.Reply{}, err
		}
		return list.Reply(format, "object", "", header)
	}
	if listing.Limit > 0 {
		entries, err := f.store.Objects(r.Context(), r.Account, r.Container, listing)
		if err != nil {
			return swift.Reply{}, err
		}
		for i := range entries {
			if entries[i].Subdir != "" {
				list.Subdir(entries[i].Subdir, true)
				continue
			}
			add(&list, current(&entries[i].Object))
		}
	}
	return list.Reply(format, "object", "", header)
}

// folder lists what lies directly in a folder, as the parameter "path" asks:
// objects, and those that stand for folders, but no bare prefixes.
func (f *Feature) folder(r *swift.Request, l objectstore.Listing, path string, list *swift.List) error {
	if path != "" {
		path = strings.TrimRight(path, "/") + "/"
	}
	l.Prefix, l.Delimiter = path, "/"
	for wanted := l.Limit; wanted > 0; {
		entries, err := f.store.Objects(r.Context(), r.Account, r.Container, l)
		if err != nil {
			return err
		}
		for i := range entries {
			o := &entries[i].Object
			l.Marker = o.Name
			if name := entries[i].Subdir; name != "" {
				l.Marker = name
				if o, err = f.store.Head(r.Context(), swift.Target{Account: r.Account, Container: r.Container, Object: name}.Key()); fault.Is(err, fault.NotFound) {
					continue
				} else if err != nil {
					return err
				}
			}
			if o.Name == path {
				continue
			}
			add(list, current(o))
			if wanted--; wanted == 0 {
				return nil
			}
		}
		if len(entries) < l.Limit {
			return nil
		}
	}
	return nil
}

// versions answers "?versions": every version and delete marker, as JSON only.
func (f *Feature) versions(r *swift.Request, header http.Header) (swift.Reply, error) {
	best, ok := swift.Acceptable(r.Header.Get("Accept"), swift.JSON)
	if format := r.Query.Get("format"); format != "" {
		ok, best = strings.EqualFold(format, "json"), swift.JSON
	}
	if !ok || best == "" {
		return swift.Reply{}, swift.Fail(http.StatusNotAcceptable)
	}
	listing, err := swift.Listing(r)
	if err != nil {
		return swift.Reply{}, err
	}
	if strings.ContainsAny(listing.Delimiter, "0123456789.") {
		return swift.Reply{}, swift.FailText(http.StatusBadRequest, "invalid delimiter param")
	}
	listing.Versions = true
	if marker, ok := r.Query["version_marker"]; ok {
		if _, named := r.Query["marker"]; !named {
			return swift.Reply{}, swift.FailText(http.StatusBadRequest, "version_marker param requires marker")
		}
		listing.VersionMarker = marker[0]
	}
	list := swift.List{Root: "container", Name: r.Container}
	if listing.Limit > 0 {
		entries, err := f.store.Objects(r.Context(), r.Account, r.Container, listing)
		if err != nil {
			return swift.Reply{}, err
		}
		for i := range entries {
			if entries[i].Subdir != "" {
				list.Subdir(entries[i].Subdir, true)
				continue
			}
			o := &entries[i].Object
			e := entry(o)
			e.Version, e.Latest = o.Version, &o.Current
			list.Add(e.Name, e, nil)
		}
	}
	return list.Reply(swift.JSON, "object", "", header)
}
