package s3

import (
	"net/http"
	"strconv"

	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/s3/checksum"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// putObject stores an object.
func (c *call) putObject() (*reply, error) {
	b, err := c.enter(toWrite)
	if err != nil {
		return nil, err
	}
	if err := c.checkCannedACL(); err != nil {
		return nil, err
	}
	d, err := c.described(c.Header)
	if err != nil {
		return nil, err
	}
	p, err := c.payload()
	if err != nil {
		return nil, err
	}
	o, err := c.store(b, c.key, d, p)
	if err != nil {
		return nil, err
	}
	out := empty(http.StatusOK)
	out.header["ETag"] = []string{quoted(o.ETag)}
	showSum(out.header, o)
	showVersion(out.header, b, o.Version)
	return out, nil
}

// store puts a payload under a key of a bucket.
func (c *call) store(b *objectstore.Container, key string, d described, p *payload) (*objectstore.Object, error) {
	switch {
	case p.size == -2:
		return nil, failure.New(failure.MissingContentLength)
	case p.size > maxPut:
		return nil, failure.New(failure.EntityTooLarge).With("ProposedSize", strconv.FormatInt(p.size, 10)).With("MaxSizeAllowed", strconv.FormatInt(maxPut, 10))
	}
	check, err := c.writeCheck(func() int64 { return p.taken })
	if err != nil {
		return nil, err
	}
	p.onEnd = func() { // a store keeps the headers that are there when the body has ended
		if p.sum != nil {
			setSum(d.headers, p.algorithm, checksum.FullObject, p.want)
		}
	}
	return c.s.Store.Put(c.Context(), objectstore.Put{Key: objectstore.Key{Account: b.Account, Container: b.Name, Name: key}, Size: p.size, Limit: maxPut,
		ETag: p.md5, ContentType: d.kind, Headers: d.headers, DeleteAt: d.deleteAt, Check: check, Event: c.event(key)}, p)
}

// deleteObject removes an object, or one version of it. What is not there is gone.
func (c *call) deleteObject() (*reply, error) {
	b, err := c.enter(toWrite)
	if err != nil {
		return nil, err
	}
	k := objectstore.Key{Account: b.Account, Container: b.Name, Name: c.key, Version: c.query.Get("versionId")}
	done, err := c.remove(b, k, c.Header.Get("If-Match"))
	if err != nil {
		return nil, err
	}
	out := empty(http.StatusNoContent)
	switch {
	case done.Marker != nil:
		out.with("X-Amz-Delete-Marker", "true")
		showVersion(out.header, b, done.Marker.Version)
	case k.Version != "":
		out.with("X-Amz-Version-Id", k.Version)
		if done.Removed != nil && done.Removed.DeleteMarker {
			out.with("X-Amz-Delete-Marker", "true")
		}
	}
	return out, nil
}
