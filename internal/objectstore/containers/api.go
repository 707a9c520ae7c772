package containers

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/access"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// Feature serves containers.
type Feature struct{ store objectstore.Store }

// New makes the feature.
func New(s objectstore.Store) *Feature { return &Feature{s} }

// settable are the attributes of a container besides X-Container-Meta-.
var settable = []string{objectstore.HeaderRead, objectstore.HeaderWrite, "X-Container-Sync-Key", "X-Container-Sync-To", "X-Versions-Location", "X-History-Location"}

// Handle answers requests about a container.
func (f *Feature) Handle(r *swift.Request) (swift.Reply, error) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return f.read(r)
	case http.MethodPost:
		return f.post(r)
	case http.MethodPut:
		return f.put(r)
	case http.MethodDelete:
		return f.remove(r)
	}
	return swift.Reply{}, swift.Fail(http.StatusMethodNotAllowed)
}

func (f *Feature) read(r *swift.Request) (swift.Reply, error) {
	format, err := swift.Format(r)
	if err != nil {
		return swift.Reply{}, err
	}
	c, err := f.store.Container(r.Context(), r.Account, r.Container)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return swift.Reply{}, err
	}
	acl := ""
	if c != nil {
		acl = c.Headers[objectstore.HeaderRead]
	}
	if err := r.Authorize(acl); err != nil {
		return swift.Reply{}, err
	}
	if c == nil {
		return swift.Reply{}, swift.Fail(http.StatusNotFound)
	}
	header := describe(c, r.Owner)
	if r.Query.Get("format") == "" {
		header.Set("Vary", "Accept")
	}
	if r.Method == http.MethodHead {
		header.Set("Content-Type", format+"; charset=utf-8")
		return swift.Reply{Status: http.StatusNoContent, Header: header}, nil
	}
	if _, ok := r.Query["versions"]; ok {
		return f.versions(r, header)
	}
	return f.list(r, format, header)
}

func describe(c *objectstore.Container, owner bool) http.Header {
	h := http.Header{}
	swift.Show(h, c.Headers, owner)
	for _, name := range []string{"X-Versions-Location", "X-History-Location"} {
		if box := h.Get(name); box != "" {
			h.Set(name, swift.Quote(box))
		}
	}
	h.Set("X-Container-Object-Count", strconv.FormatInt(c.Objects, 10))
	h.Set("X-Container-Bytes-Used", strconv.FormatInt(c.AllBytes, 10))
	h.Set("X-Timestamp", swift.Stamp(c.CreatedAt))
	h.Set("Last-Modified", swift.LastModified(c.ChangedAt))
	h.Set("X-Storage-Policy", swift.PolicyName)
	h.Set("Accept-Ranges", "bytes")
	if c.Versioning != objectstore.Unversioned {
		h.Set("X-Versions-Enabled", versioning(c.Versioning == objectstore.Versioned))
	}
	return h
}

func versioning(on bool) string {
	if on {
		return "True"
	}
	return "False"
}

func (f *Feature) post(r *swift.Request) (swift.Reply, error) {
	if err := r.Authorize(""); err != nil {
		return swift.Reply{}, err
	}
	change, err := f.changes(r)
	if err != nil {
		return swift.Reply{}, err
	}
	_, _, err = f.store.PutContainer(r.Context(), r.Account, r.Container, func(c *objectstore.Container, created bool) error {
		if created {
			return swift.Fail(http.StatusNotFound)
		}
		return apply(r, c, change)
	}, r.Event())
	if err != nil {
		return swift.Reply{}, err
	}
	return swift.NoContent(), nil
}

func (f *Feature) put(r *swift.Request) (swift.Reply, error) {
	if err := r.Authorize(""); err != nil {
		return swift.Reply{}, err
	}
	change, err := f.changes(r)
	if err != nil {
		return swift.Reply{}, err
	}
	if err := checkPolicy(r); err != nil {
		return swift.Reply{}, err
	}
	if n := len(r.Container); n > swift.MaxContainerNameLength {
		return swift.Reply{}, swift.FailText(http.StatusBadRequest, fmt.Sprintf("Container name length of %d longer than %d", n, swift.MaxContainerNameLength))
	}
	if err := f.account(r); err != nil {
		return swift.Reply{}, err
	}
	_, created, err := f.store.PutContainer(r.Context(), r.Account, r.Container, func(c *objectstore.Container, _ bool) error {
		return apply(r, c, change)
	}, r.Event())
	if err != nil {
		return swift.Reply{}, err
	}
	if created {
		return swift.Created(), nil
	}
	return swift.Accepted(), nil
}

// account makes the account of a new container, to note whose it is; a deleted
// one takes nothing.
func (f *Feature) account(r *swift.Request) error {
	account, err := f.store.Account(r.Context(), r.Account)
	if err == nil {
		if account.Deleted {
			return swift.Fail(http.StatusNotFound)
		}
		return nil
	}
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	e := r.Event()
	e.Kind, e.Object = "account", r.Account
	_, err = f.store.ChangeAccount(r.Context(), r.Account, func(a *objectstore.Account) error {
		swift.NoteDomain(r, a)
		return nil
	}, e)
	return err
}

func checkPolicy(r *swift.Request) error {
	name := r.Header.Get("X-Storage-Policy")
	if name == "" || strings.EqualFold(name, swift.PolicyName) {
		return nil
	}
	return swift.FailPlain(http.StatusBadRequest, "Invalid X-Storage-Policy '"+name+"'")
}

// changes reads what a request changes, and checks it.
func (f *Feature) changes(r *swift.Request) (objectstore.Headers, error) {
	if err := swift.CheckMetadata(r.Header, swift.ContainerMeta); err != nil {
		return nil, err
	}
	change := swift.Change(r, swift.ContainerMeta, settable...)
	for _, name := range []string{objectstore.HeaderRead, objectstore.HeaderWrite} {
		list, ok := change[name]
		if !ok {
			continue
		}
		clean, err := access.Clean(list, name == objectstore.HeaderWrite)
		if err != nil {
			return nil, swift.FailText(http.StatusBadRequest, err.Error())
		}
		change[name] = clean
	}
	return change, nil
}

// apply makes a change in the store's transaction.
func apply(r *swift.Request, c *objectstore.Container, change objectstore.Headers) error {
	if err := swift.Apply(&c.Headers, change, swift.ContainerMeta); err != nil {
		return err
	}
	for name, value := range r.Sysmeta {
		c.Headers[name] = value
	}
	asked, ok := r.Header["X-Versions-Enabled"]
	if !ok {
		return nil
	}
	on := swift.True(asked[0])
	if on && (c.Headers["X-Versions-Location"] != "" || c.Headers["X-History-Location"] != "") {
		return swift.FailText(http.StatusBadRequest, "Cannot enable object versioning on a container that is already using the legacy versioned writes feature.")
	}
	if on && c.Headers["X-Container-Sync-To"] != "" {
		return swift.FailText(http.StatusBadRequest, "Cannot enable object versioning on a container configured as source of container syncing.")
	}
	switch {
	case on:
		c.Versioning = objectstore.Versioned
	case c.Versioning == objectstore.Versioned:
		c.Versioning = objectstore.Suspended
	}
	return nil
}

func (f *Feature) remove(r *swift.Request) (swift.Reply, error) {
	if err := r.Authorize(""); err != nil {
		return swift.Reply{}, err
	}
	c, err := f.store.Container(r.Context(), r.Account, r.Container)
	if err != nil {
		return swift.Reply{}, err
	}
	if c.Objects == 0 && c.Versions > 0 {
		return swift.Reply{}, swift.FailText(http.StatusConflict, "Delete all versions before deleting container.")
	}
	if err := f.store.DeleteContainer(r.Context(), r.Account, r.Container, r.Event()); err != nil {
		return swift.Reply{}, err
	}
	return swift.NoContent(), nil
}
