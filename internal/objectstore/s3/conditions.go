package s3

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// conditions are those of a request, or those that it puts on the source of a copy.
type conditions struct {
	match, noneMatch   string
	modified, unmodify time.Time
	prefix             string // of the headers' names, for errors
}

func readConditions(h http.Header, prefix string) conditions {
	date := func(name string) time.Time {
		t, err := http.ParseTime(h.Get(prefix + name))
		if err != nil {
			return time.Time{} // what cannot be read is no condition
		}
		return t
	}
	return conditions{h.Get(prefix + "If-Match"), h.Get(prefix + "If-None-Match"), date("If-Modified-Since"), date("If-Unmodified-Since"), prefix}
}

// hold gives 0 when an object fulfils them, or 304 or 412 with the header that it does not.
func (c conditions) hold(etag string, at time.Time) (status int, header string) {
	at = shown(at)
	switch {
	case c.match != "" && !matches(c.match, etag):
		return http.StatusPreconditionFailed, "If-Match"
	case c.match == "" && !c.unmodify.IsZero() && at.After(c.unmodify):
		return http.StatusPreconditionFailed, "If-Unmodified-Since"
	case c.noneMatch != "" && matches(c.noneMatch, etag):
		return http.StatusNotModified, "If-None-Match"
	case c.noneMatch == "" && !c.modified.IsZero() && !at.After(c.modified):
		return http.StatusNotModified, "If-Modified-Since"
	}
	return 0, ""
}

// required is hold for the source of a copy: all failures are one.
func (c conditions) required(etag string, at time.Time) error {
	if status, header := c.hold(etag, at); status != 0 {
		return unfulfilled(strings.ToLower(c.prefix + header))
	}
	return nil
}

func unfulfilled(header string) error {
	return failure.New(failure.PreconditionFailed).With("Condition", header)
}

func matches(list, etag string) bool {
	for word := range strings.SplitSeq(list, ",") {
		if word = plainETag(word); word == "*" || word == etag {
			return true
		}
	}
	return false
}

// writeCheck makes the check of a write of its conditions and the quotas. size
// is asked when the body was read.
func (c *call) writeCheck(size func() int64) (func(*objectstore.Account, *objectstore.Container, *objectstore.Object) error, error) {
	match, noneMatch := c.Header.Get("If-Match"), c.Header.Get("If-None-Match")
	if c.Header.Get("If-Modified-Since") != "" || c.Header.Get("If-Unmodified-Since") != "" || noneMatch != "" && strings.TrimSpace(noneMatch) != "*" {
		return nil, failure.Newf(failure.NotImplemented, "Conditional object PUTs are not supported.")
	}
	return func(a *objectstore.Account, b *objectstore.Container, current *objectstore.Object) error {
		switch {
		case noneMatch != "" && current != nil:
			return unfulfilled("If-None-Match")
		case match != "" && current == nil:
			return failure.New(failure.NoSuchKey).With("Key", c.key)
		case match != "" && !matches(match, current.ETag):
			return unfulfilled("If-Match")
		}
		return withinQuota(a, b, current, size())
	}, nil
}

// withinQuota keeps the quotas that Swift's owners and resellers set.
func withinQuota(a *objectstore.Account, b *objectstore.Container, current *objectstore.Object, size int64) error {
	grows, objects := size, int64(1)
	if current != nil && b.Versioning == objectstore.Unversioned {
		grows, objects = size-current.Size, 0
	}
	over := func(h objectstore.Headers, name string, used, more int64) bool {
		limit, err := strconv.ParseInt(h[name], 10, 64)
		return err == nil && more > 0 && used+more > limit
	}
	if over(b.Headers, "X-Container-Meta-Quota-Bytes", b.AllBytes, grows) || over(b.Headers, "X-Container-Meta-Quota-Count", b.Objects, objects) ||
		over(a.Headers, "X-Account-Meta-Quota-Bytes", a.Bytes, grows) || over(a.Headers, "X-Account-Meta-Quota-Count", a.Objects, objects) {
		f := failure.Newf(failure.EntityTooLarge, "Upload exceeds quota.")
		f.Status = http.StatusRequestEntityTooLarge
		return f
	}
	return nil
}
