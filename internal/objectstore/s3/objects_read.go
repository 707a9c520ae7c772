package s3

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/s3/byterange"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// overrides are the parameters that replace headers of an answer.
var overrides = []string{"Content-Type", "Content-Language", "Expires", "Cache-Control", "Content-Disposition", "Content-Encoding"}

// getObject answers GET and HEAD.
func (c *call) getObject() (*reply, error) {
	b, err := c.enter(toRead)
	if err != nil {
		return nil, err
	}
	part, err := c.partNumber()
	if err != nil {
		return nil, err
	}
	for _, name := range overrides {
		if c.anonymous() && c.query.has("response-"+strings.ToLower(name)) {
			return nil, failure.Newf(failure.InvalidRequest, "Request specific response headers cannot be used for anonymous GET requests.")
		}
	}
	k := objectstore.Key{Account: b.Account, Container: b.Name, Name: c.key, Version: c.query.Get("versionId")}
	whole, content, err := c.read(k, part > 0)
	if fault.Is(err, fault.NotFound) {
		return nil, c.missing(b, k)
	}
	if err != nil {
		return nil, err
	}
	out, err := c.readReply(b, whole, part)
	if err != nil {
		if content != nil {
			_ = content.Close() // nothing was read
		}
		return nil, err
	}
	if out.content = content; content != nil && out.n == 0 {
		out.content = nil
		return out, content.Close()
	}
	return out, nil
}

// read opens an object, or looks at it for HEAD. parts asks for sizes of segments.
func (c *call) read(k objectstore.Key, parts bool) (*objectstore.Whole, objectstore.Content, error) {
	if c.Method == http.MethodHead && !parts {
		whole, err := c.s.Reader.Head(c.Context(), k, c.view())
		return whole, nil, err
	}
	whole, content, err := c.s.Reader.Open(c.Context(), k, c.view())
	return whole, content, err
}

// etagOf is an object's ETag in S3's words: that of a large object must not look
// like a sum of bytes.
func etagOf(w *objectstore.Whole) string {
	if w.Kind == objectstore.StaticLarge || w.Kind == objectstore.DynamicLarge {
		return plainETag(w.ETag) + "-N"
	}
	return w.ETag
}

// readReply makes the answer without its bytes.
func (c *call) readReply(b *objectstore.Container, w *objectstore.Whole, part int) (*reply, error) {
	etag := etagOf(w)
	if status, header := readConditions(c.Header, "").hold(etag, w.ModifiedAt); status == http.StatusNotModified {
		out := empty(status).with("ETag", quoted(etag)).with("Last-Modified", httpDate(w.ModifiedAt))
		showVersion(out.header, b, w.Version)
		return out, nil
	} else if status != 0 {
		return nil, unfulfilled(header)
	}
	out := empty(http.StatusOK)
	show(out.header, &w.Object)
	showVersion(out.header, b, w.Version)
	out.header["ETag"] = []string{quoted(etag)}
	out.header.Set("Accept-Ranges", "bytes")
	sizes := w.Parts
	if sizes == nil {
		sizes = readSizes(w.Headers[attrParts])
	}
	from, n, partial, err := c.span(w.Size, sizes, part)
	if err != nil {
		return nil, err
	}
	if part > 0 && len(sizes) > 0 {
		out.header.Set("X-Amz-Mp-Parts-Count", strconv.Itoa(len(sizes)))
	}
	out.from, out.n = from, n
	if partial {
		out.status = http.StatusPartialContent
		out.header.Set("Content-Range", "bytes "+strconv.FormatInt(from, 10)+"-"+strconv.FormatInt(from+n-1, 10)+"/"+strconv.FormatInt(w.Size, 10))
	} else if strings.EqualFold(c.Header.Get("X-Amz-Checksum-Mode"), "ENABLED") {
		showSum(out.header, &w.Object)
	}
	out.header.Set("Content-Length", strconv.FormatInt(n, 10))
	for _, name := range overrides {
		if v := c.query.Get("response-" + strings.ToLower(name)); v != "" {
			out.header.Set(name, v)
		}
	}
	return out, nil
}

// span says which bytes to send.
func (c *call) span(size int64, sizes []int64, part int) (from, n int64, partial bool, err error) {
	if part > 0 {
		if len(sizes) == 0 {
			sizes = []int64{size}
		}
		if part > len(sizes) {
			return 0, 0, false, failure.New(failure.InvalidPartNumber).With("ActualPartCount", strconv.Itoa(len(sizes))).With("PartNumberRequested", strconv.Itoa(part))
		}
		for _, s := range sizes[:part-1] {
			from += s
		}
		return from, sizes[part-1], size > 0, nil
	}
	header := c.Header.Get("Range")
	r, ok := byterange.Parse(header)
	if !ok {
		return 0, size, false, nil
	}
	from, n = r.In(size)
	if n == 0 {
		return 0, 0, false, failure.New(failure.InvalidRange).With("RangeRequested", header).With("ActualObjectSize", strconv.FormatInt(size, 10))
	}
	return from, n, true, nil
}

// partNumber reads the parameter of a read; 0 when there is none.
func (c *call) partNumber() (int, error) {
	if !c.query.has("partNumber") {
		return 0, nil
	}
	if c.Header.Get("Range") != "" {
		return 0, failure.Newf(failure.InvalidRequest, "Cannot specify both Range header and partNumber query parameter")
	}
	return partNumber(c.query.Get("partNumber"))
}

// maxParts is the most parts of an object.
const maxParts = 10000

func partNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxParts {
		return 0, argument("partNumber", text, "Part number must be an integer between 1 and "+strconv.Itoa(maxParts)+", inclusive")
	}
	return n, nil
}

// missing says why an object cannot be read: it is not there, the version is
// not, or a delete marker stands for it.
func (c *call) missing(b *objectstore.Container, k objectstore.Key) error {
	f := failure.New(failure.NoSuchKey).With("Key", k.Name)
	if k.Version != "" {
		f = failure.New(failure.NoSuchVersion).With("Key", k.Name).With("VersionId", k.Version)
	}
	if b.Versioning == objectstore.Unversioned {
		return f
	}
	marker, err := c.deleteMarker(b, k)
	switch {
	case err != nil:
		return err
	case marker == nil:
		return f
	case k.Version == "":
		return failure.New(failure.NoSuchKey).With("Key", k.Name).With("DeleteMarker", "true").With("VersionId", marker.Version)
	}
	return failure.New(failure.MethodNotAllowed).With("Method", c.Method).With("ResourceType", "DeleteMarker").
		With("DeleteMarker", "true").With("VersionId", k.Version).With("Allow", http.MethodDelete)
}

// deleteMarker finds the marker that a key names, or the newest version of its
// name if that is one.
func (c *call) deleteMarker(b *objectstore.Container, k objectstore.Key) (*objectstore.Object, error) {
	l := objectstore.Listing{Prefix: k.Name, Versions: true, Limit: 1}
	for {
		page, err := c.s.Store.Objects(c.Context(), b.Account, b.Name, l)
		if err != nil || len(page) == 0 || page[0].Object.Name != k.Name {
			return nil, err
		}
		o := page[0].Object
		switch {
		case k.Version == "" || o.Version == k.Version:
			if o.DeleteMarker {
				return &o, nil
			}
			return nil, nil
		}
		l.Marker, l.VersionMarker, l.Limit = k.Name, o.Version, 1
	}
}
