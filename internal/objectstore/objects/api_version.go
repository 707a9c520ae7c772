package objects

import (
	"net/http"
	"strconv"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// version answers requests with "?version-id".
func (f *Feature) version(r *swift.Request) (swift.Reply, error) {
	version := r.Query.Get("version-id")
	if r.Method == http.MethodPost {
		return swift.Reply{}, swift.FailText(http.StatusBadRequest, "POST to a specific version is not allowed")
	}
	if !validVersion(version) {
		return swift.Reply{}, swift.FailText(http.StatusBadRequest, "Invalid version parameter")
	}
	c, err := f.store.Container(r.Context(), r.Account, r.Container)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return swift.Reply{}, err
	}
	if (c == nil || c.Versioning == objectstore.Unversioned) && version != objectstore.NullVersion {
		return swift.Reply{}, swift.FailText(http.StatusBadRequest, "version-aware operations require that the container is versioned")
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return f.readVersion(r, version)
	case http.MethodPut:
		return f.restore(r, version)
	case http.MethodDelete:
		return f.remove(r, version)
	}
	return swift.Reply{}, swift.Fail(http.StatusMethodNotAllowed)
}

// validVersion tells whether a text may name a version: ours are sixteen digits,
// Swift's are times.
func validVersion(text string) bool {
	if text == objectstore.NullVersion {
		return true
	}
	_, errOurs := strconv.ParseUint(text, 16, 64)
	_, errSwift := strconv.ParseFloat(text, 64)
	return len(text) == 16 && errOurs == nil || errSwift == nil
}

func (f *Feature) readVersion(r *swift.Request, version string) (swift.Reply, error) {
	reply, err := f.read(r, version)
	if err != nil {
		return reply, err
	}
	if reply.Header == nil {
		reply.Header = http.Header{}
	}
	if reply.Status < 300 {
		reply.Header.Set("X-Object-Version-Id", version)
	}
	return reply, nil
}

// restore makes a version the current one again.
func (f *Feature) restore(r *swift.Request, version string) (swift.Reply, error) {
	if version == objectstore.NullVersion {
		return swift.Reply{}, swift.FailText(http.StatusBadRequest, "Invalid version parameter")
	}
	switch {
	case r.Length == swift.NoLength:
		return swift.Reply{}, swift.Fail(http.StatusLengthRequired)
	case r.Length != 0:
		return swift.Reply{}, swift.FailPlain(http.StatusBadRequest, "PUT version-id requests require a zero byte body")
	}
	c, err := f.container(r, objectstore.HeaderWrite)
	if err != nil {
		return swift.Reply{}, err
	}
	key := r.Key()
	key.Version = version
	o, err := f.store.Restore(r.Context(), key, checks(r, false), r.Event())
	if fault.Is(err, fault.NotFound) {
		return swift.Reply{}, swift.FailPlain(http.StatusNotFound, "The specified version does not exist")
	}
	if err != nil {
		return swift.Reply{}, err
	}
	return written(c, o), nil
}
