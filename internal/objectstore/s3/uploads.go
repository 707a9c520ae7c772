package s3

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/s3/checksum"
	"github.com/mekcloud/mek/internal/objectstore/s3/document"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

const (
	segmentsSuffix = "+segments"
	uploadIDLength = 32
	minPart        = 5 << 20
	// maxUploadKey leaves room for "/<upload>/<number>".
	maxUploadKey = maxKey - uploadIDLength - 7
)

// upload is one that goes on.
type upload struct {
	account, container string // of the parts
	key, id            string
	marker             *objectstore.Object
}

func (u *upload) name() string          { return u.key + "/" + u.id }
func (u *upload) partName(n int) string { return fmt.Sprintf("%s/%05d", u.name(), n) }
func (u *upload) at(name string) objectstore.Key {
	return objectstore.Key{Account: u.account, Container: u.container, Name: name}
}

// sum is the additional checksum that the object will have.
func (u *upload) sum() (a checksum.Algorithm, kind string, ok bool) {
	name, kind, _ := strings.Cut(u.marker.Headers[attrAlgorithm], " ")
	a, ok = checksum.ByName(name)
	return a, kind, ok
}

var uploadID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// upload finds the upload of a request.
func (c *call) upload(b *objectstore.Container) (*upload, error) {
	u := &upload{account: b.Account, container: b.Name + segmentsSuffix, key: c.key, id: c.query.Get("uploadId")}
	if !uploadID.MatchString(u.id) {
		return u, c.noSuchUpload(u)
	}
	var err error
	u.marker, err = c.s.Store.Head(c.Context(), u.at(u.name()))
	if fault.Is(err, fault.NotFound) {
		return u, c.noSuchUpload(u)
	}
	return u, err
}

func (c *call) noSuchUpload(u *upload) error {
	return failure.New(failure.NoSuchUpload).With("UploadId", u.id)
}

// createUpload begins an upload in parts.
func (c *call) createUpload() (*reply, error) {
	b, err := c.enter(toWrite)
	if err != nil {
		return nil, err
	}
	if err := c.checkCannedACL(); err != nil {
		return nil, err
	}
	if len(c.key) > maxUploadKey {
		return nil, failure.New(failure.KeyTooLong).With("Size", strconv.Itoa(len(c.key))).With("MaxSizeAllowed", strconv.Itoa(maxUploadKey))
	}
	d, err := c.described(c.Header)
	if err != nil {
		return nil, err
	}
	a, kind, err := c.uploadSum()
	if err != nil {
		return nil, err
	}
	if a.Name != "" {
		d.headers[attrAlgorithm] = a.Name + " " + kind
	}
	if !d.deleteAt.IsZero() {
		d.headers[attrDeleteAt] = strconv.FormatInt(d.deleteAt.Unix(), 10)
	}
	u := &upload{account: b.Account, container: b.Name + segmentsSuffix, key: c.key, id: id.Hex()}
	if err := c.s.segments(c.Context(), b, u.container); err != nil {
		return nil, err
	}
	_, err = c.s.Store.Put(c.Context(), objectstore.Put{Key: u.at(u.name()), ContentType: d.kind, Headers: d.headers, Event: c.event(c.key)}, http.NoBody)
	if err != nil {
		return nil, err
	}
	out, err := answer(document.UploadBegun{Bucket: b.Name, Key: c.key, UploadID: u.id})
	if a.Name != "" {
		out.with("X-Amz-Checksum-Algorithm", a.Name).with("X-Amz-Checksum-Type", kind)
	}
	return out, err
}

// uploadSum reads which additional checksum the object shall have.
func (c *call) uploadSum() (a checksum.Algorithm, kind string, err error) {
	name := c.Header.Get("X-Amz-Checksum-Algorithm")
	kind = c.Header.Get("X-Amz-Checksum-Type")
	if name == "" {
		if kind != "" {
			return a, "", failure.Newf(failure.InvalidRequest, "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return a, "", nil
	}
	a, ok := checksum.ByName(name)
	if !ok {
		return a, "", failure.Newf(failure.InvalidRequest, "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	}
	if kind == "" {
		return a, a.Types()[0], nil
	}
	for _, t := range a.Types() {
		if t == kind {
			return a, kind, nil
		}
	}
	return a, "", failure.Newf(failure.InvalidRequest, "The %s checksum type cannot be used with the %s checksum algorithm.", kind, strings.ToLower(a.Name))
}

// segments makes the container of parts, as readable as the bucket.
func (s *Server) segments(ctx context.Context, b *objectstore.Container, name string) error {
	_, err := s.Store.Container(ctx, b.Account, name)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	_, _, err = s.Store.PutContainer(ctx, b.Account, name, func(c *objectstore.Container, created bool) error {
		if created {
			if c.Headers == nil {
				c.Headers = objectstore.Headers{}
			}
			for _, h := range []string{objectstore.HeaderRead, objectstore.HeaderWrite} {
				if v := b.Headers[h]; v != "" {
					c.Headers[h] = v
				}
			}
		}
		return nil
	}, event.Record{})
	return err
}

// uploadPart stores a part; one of the same number is replaced.
func (c *call) uploadPart() (*reply, error) {
	b, err := c.enter(toWrite)
	if err != nil {
		return nil, err
	}
	u, n, err := c.part(b)
	if err != nil {
		return nil, err
	}
	p, err := c.payload()
	if err != nil {
		return nil, err
	}
	switch {
	case p.size == -2:
		return nil, failure.New(failure.MissingContentLength)
	case p.size > maxPut:
		return nil, failure.New(failure.EntityTooLarge)
	}
	o, err := c.putPart(u, n, p)
	if err != nil {
		return nil, err
	}
	out := empty(http.StatusOK)
	out.header["ETag"] = []string{quoted(o.ETag)}
	if a, _, value, ok := sumOf(o); ok {
		out.with(a.Header(), value)
	}
	return out, nil
}

// part finds the upload and the number of a part.
func (c *call) part(b *objectstore.Container) (*upload, int, error) {
	if !c.query.has("uploadId") {
		return nil, 0, argument("ResourceType", "partNumber", "Unexpected query string parameter")
	}
	n, err := partNumber(c.query.Get("partNumber"))
	if err != nil {
		return nil, 0, err
	}
	u, err := c.upload(b)
	return u, n, err
}

func (c *call) putPart(u *upload, n int, p *payload) (*objectstore.Object, error) {
	if a, _, ok := u.sum(); ok {
		if p.sum != nil && p.algorithm.Name != a.Name {
			return nil, failure.Newf(failure.InvalidRequest, "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
				strings.ToLower(a.Name), strings.ToLower(p.algorithm.Name))
		}
		p.compute(a)
	}
	headers := objectstore.Headers{}
	p.onEnd = func() {
		if p.sum != nil {
			setSum(headers, p.algorithm, checksum.FullObject, p.want)
		}
	}
	quota := func(a *objectstore.Account, b *objectstore.Container, current *objectstore.Object) error {
		return withinQuota(a, b, current, p.taken)
	}
	return c.s.Store.Put(c.Context(), objectstore.Put{Key: u.at(u.partName(n)), Size: p.size, Limit: maxPut, ETag: p.md5, ContentType: "application/octet-stream",
		Headers: headers, Check: quota, Event: c.event(c.key)}, p)
}

// abortUpload ends an upload: its marker first, so that nothing completes it,
// then its parts.
func (c *call) abortUpload() (*reply, error) {
	b, err := c.enter(toWrite)
	if err != nil {
		return nil, err
	}
	u, err := c.upload(b)
	if err != nil {
		return nil, err
	}
	if _, err := c.s.Store.Delete(c.Context(), u.at(u.name()), nil, c.event(c.key)); fault.Is(err, fault.NotFound) {
		return nil, c.noSuchUpload(u)
	} else if err != nil {
		return nil, err
	}
	c.s.dropParts(c.Context(), u, c.id)
	return empty(http.StatusNoContent), nil
}

// dropParts removes what is left of an upload that has ended. What fails is
// left to the reconciler.
func (s *Server) dropParts(ctx context.Context, u *upload, request string) {
	err := s.deleteAll(ctx, u.account, u.container, u.name()+"/", func(name string) bool {
		key, id, part, ok := ofUpload(name)
		return ok && part > 0 && key == u.key && id == u.id
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		s.Log.Warn("parts of an upload wait for the reconciler", "request", request, "error", err)
	}
}

// deleteAll removes the objects of a container whose names begin with prefix and
// are meant.
func (s *Server) deleteAll(ctx context.Context, account, container, prefix string, meant func(name string) bool) error {
	l := objectstore.Listing{Prefix: prefix, Limit: 1000}
	for {
		page, err := s.Store.Objects(ctx, account, container, l)
		if err != nil {
			return err
		}
		for _, e := range page {
			l.Marker = e.Object.Name
			if !meant(l.Marker) {
				continue
			}
			_, err := s.Store.Delete(ctx, currentKey(e.Object.Key), nil, event.Record{})
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
		}
		if len(page) < l.Limit {
			return nil
		}
	}
}

// dropSegments removes a container of parts, unless it holds what is not of uploads.
func (s *Server) dropSegments(ctx context.Context, account, container string) error {
	err := s.deleteAll(ctx, account, container, "", func(name string) bool { _, _, _, ok := ofUpload(name); return ok })
	if err == nil {
		err = s.Store.DeleteContainer(ctx, account, container, event.Record{})
	}
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

// currentKey is a key without its version.
func currentKey(k objectstore.Key) objectstore.Key {
	k.Version = ""
	return k
}
