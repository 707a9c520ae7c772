package rest

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
)

// Dialect is how one service differs from the others on the wire.
type Dialect struct {
	// Error renders a fault; nil gives {"error": {"code", "message"}}. A status
	// in the reply replaces the one of the kind (405 for CodeNoMethod).
	Error func(c *Call, status int, f *fault.Fault) Reply
	// Status overrides the HTTP status of kinds (over quota is 403, 409 or 413).
	Status map[fault.Kind]int
	// RequestIDHeaders names further response headers that carry the request
	// id beside X-Openstack-Request-Id, for example "X-Compute-Request-Id".
	RequestIDHeaders []string
	// RequestID makes the id of a request; nil gives "req-" and a UUID.
	RequestID func(r *http.Request, now time.Time) string
	// Path turns an escaped path below the prefix into the one that is routed;
	// its fault is the answer. nil routes the path as it came.
	Path     func(escaped string) (string, error)
	Versions *Versions // nil: the API has no microversions
	// ProjectInPath accepts a project id behind the version segment; a foreign one is refused.
	ProjectInPath bool
	// Base maps an older version segment to the one whose routes serve it, at the
	// lowest microversion and whatever the request asks for: {"v2": "v2.1"}.
	Base       map[string]string
	KeepSuffix bool // ".json" is part of a name (object store)
	KeepSlash  bool // a trailing slash is part of a name (object store)
	List       ListStyle
}

// ListStyle is how a service writes pages.
type ListStyle struct {
	MaxLimit, DefaultLimit int // 0: none
	// Links adds the paging members to a list body. next and previous are
	// queries of the adjoining pages, nil where there is none.
	Links func(c *Call, many string, body map[string]any, page PageLinks)
	// UnknownFilter makes an error of a filter nobody declared; nil ignores it.
	UnknownFilter func(name string) error
	SelectFields  bool // "fields" picks members (Neutron)
	SortParam     bool // "sort=name:asc,…" is understood besides sort_key and sort_dir
	RepeatIsIn    bool // a repeated filter matches any of its values; otherwise the last counts
}

// Versions is the microversion window of a service and its headers.
type Versions struct {
	Min, Max microversion.Version
	Types    []string // accepted in OpenStack-API-Version: "compute"; the first is answered
	Legacy   string   // older header with the bare number, "X-OpenStack-Nova-API-Version"
	Default  microversion.Version
}

// statusOf is the status most services use for a kind.
func (d *Dialect) statusOf(k fault.Kind) int {
	if s, ok := d.Status[k]; ok {
		return s
	}
	switch k {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden, fault.OverQuota:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.NotImplemented:
		return http.StatusNotImplemented
	case fault.Gone:
		return http.StatusGone
	case fault.PreconditionFailed:
		return http.StatusPreconditionFailed
	case fault.UnsupportedMedia:
		return http.StatusUnsupportedMediaType
	case fault.NotAcceptable:
		return http.StatusNotAcceptable
	case fault.RateLimited:
		return http.StatusTooManyRequests
	}
	return http.StatusInternalServerError
}

func (d *Dialect) failure(c *Call, err error) Reply {
	f := fault.As(err)
	status := d.statusOf(f.Kind)
	if status >= 500 && f.Kind == fault.Internal {
		f = &fault.Fault{Kind: f.Kind, Text: "An unexpected error occurred. Request " + c.RequestID + "."}
	}
	var reply Reply
	if d.Error != nil {
		reply = d.Error(c, status, f)
	} else {
		reply = Reply{Body: map[string]any{"error": map[string]any{"code": status, "message": f.Text}}}
	}
	if reply.Status == 0 {
		reply.Status = status
	}
	return reply
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
