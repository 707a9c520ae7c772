package staticweb

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// Feature serves sites.
type Feature struct{ store objectstore.Store }

// New makes the feature.
func New(s objectstore.Store) *Feature { return &Feature{s} }

// Info is the section of /info.
func Info() map[string]map[string]any { return map[string]map[string]any{"staticweb": {}} }

// site is how a container wants to be shown.
type site struct {
	index, failure, css, label, folderType string
	listings                               bool
}

func (s site) none() bool { return s.index == "" && s.failure == "" && !s.listings }

func siteOf(h objectstore.Headers) site {
	const web = swift.ContainerMeta + "Web-"
	return site{index: strings.TrimSpace(h[web+"Index"]), failure: strings.TrimSpace(h[web+"Error"]), css: strings.TrimSpace(h[web+"Listings-Css"]),
		label: strings.TrimSpace(h[web+"Listings-Label"]), folderType: strings.TrimSpace(h[web+"Directory-Type"]), listings: swift.True(h[web+"Listings"])}
}

// Filter shows containers that are sites.
func (f *Feature) Filter(next swift.Handler) swift.Handler {
	return func(r *swift.Request) (swift.Reply, error) {
		if r.Container == "" || r.Method != http.MethodGet && r.Method != http.MethodHead || !visiting(r) {
			return next(r)
		}
		c, err := f.store.Container(r.Context(), r.Account, r.Container)
		if fault.Is(err, fault.NotFound) {
			return next(r)
		}
		if err != nil {
			return swift.Reply{}, err
		}
		v := &visitor{request: r, next: next, site: siteOf(c.Headers), readers: c.Headers[objectstore.HeaderRead]}
		switch {
		case v.none():
			return next(r)
		case r.Object == "":
			return v.root()
		}
		return v.page()
	}
}

// visiting tells whether somebody comes to see a site rather than the store.
func visiting(r *swift.Request) bool {
	return r.Signed != nil || r.Vouched == nil && (r.Caller().UserID == "" || swift.True(r.Header.Get("X-Web-Mode")))
}

// visitor is one request for a page.
type visitor struct {
	request *swift.Request
	next    swift.Handler
	readers string // the container's list
	site
}

// get reads an object of the site as the visitor may.
func (v *visitor) get(object string) (swift.Reply, error) {
	sub := *v.request
	sub.Object = object
	return v.next(&sub)
}

func (v *visitor) slashed() bool {
	return strings.HasSuffix(v.request.Call.Request.URL.Path, "/")
}

// moved sends a browser to the same address with a slash, so that relative links work.
func (v *visitor) moved() (swift.Reply, error) {
	return swift.Reply{}, swift.Fail(http.StatusMovedPermanently).With("Location", v.request.Call.Root()+v.request.Path()+"/")
}

// root is the container itself.
func (v *visitor) root() (swift.Reply, error) {
	if v.index == "" && !v.listings {
		reply, err := v.next(v.request)
		if err != nil || swift.OK(reply) {
			return reply, err
		}
		return v.failed(reply)
	}
	if err := v.request.Authorize(v.readers); err != nil {
		var refused *swift.Failure
		if errors.As(err, &refused) {
			return v.failed(refused.Reply(v.request))
		}
		return swift.Reply{}, err
	}
	if !v.slashed() {
		return v.moved()
	}
	if v.index == "" {
		return v.listing("")
	}
	reply, err := v.get(v.index)
	switch {
	case err != nil || reply.Status < 400:
		return reply, err
	case reply.Status == http.StatusNotFound:
		swift.Discard(reply)
		return v.listing("")
	}
	return v.failed(reply)
}

// page is an object, or a folder when there is no such object.
func (v *visitor) page() (swift.Reply, error) {
	reply, err := v.next(v.request)
	switch {
	case err != nil || reply.Status < 400 && !v.isFolder(reply):
		return reply, err
	case reply.Status >= 400 && reply.Status != http.StatusNotFound:
		return v.failed(reply)
	case reply.Status < 400:
		swift.Discard(reply)
		reply = swift.Fail(http.StatusNotFound).Reply(v.request)
	}
	if v.index == "" && !v.listings {
		return v.failed(reply)
	}
	folder := strings.TrimSuffix(v.request.Object, "/") + "/"
	if v.index != "" {
		index, err := v.get(folder + v.index)
		if err != nil {
			return swift.Reply{}, err
		}
		if index.Status < 400 {
			if v.slashed() {
				return index, nil
			}
			swift.Discard(index)
			return v.moved()
		}
		swift.Discard(index)
		if index.Status != http.StatusNotFound && index.Status != http.StatusUnauthorized {
			return v.failed(index)
		}
	}
	switch {
	case !v.listings:
		return v.failed(reply)
	case v.slashed():
		return v.listing(folder)
	}
	entries, refused, err := v.entries(folder, 1)
	if err != nil || refused != nil || len(entries) == 0 {
		return v.failedOr(reply, err)
	}
	return v.moved()
}

// isFolder tells whether an object only marks a folder.
func (v *visitor) isFolder(reply swift.Reply) bool {
	size, err := strconv.Atoi(reply.Header.Get("Content-Length"))
	want := v.folderType
	if want == "" {
		want = "application/directory"
	}
	return err == nil && size <= 1 && reply.Header.Get("Content-Type") == want && (v.index != "" || v.listings)
}

func (v *visitor) failedOr(reply swift.Reply, err error) (swift.Reply, error) {
	if err != nil {
		return swift.Reply{}, err
	}
	return v.failed(reply)
}

// failed shows the site's own page for an error, with the status of the error.
func (v *visitor) failed(reply swift.Reply) (swift.Reply, error) {
	if v.failure == "" {
		return reply, nil
	}
	sub := *v.request
	sub.Method, sub.Object, sub.Header = http.MethodGet, strconv.Itoa(reply.Status)+v.failure, http.Header{}
	own, err := v.next(&sub)
	if err != nil {
		return swift.Reply{}, err
	}
	if own.Status != http.StatusOK {
		swift.Discard(own)
		return reply, nil
	}
	swift.Discard(reply)
	own.Status = reply.Status
	if challenge := reply.Header["Www-Authenticate"]; challenge != nil {
		own.Header["Www-Authenticate"] = challenge
	}
	return own, nil
}
