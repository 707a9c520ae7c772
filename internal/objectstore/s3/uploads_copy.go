package s3

import (
	"encoding/xml"
	"strconv"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/s3/byterange"
	"github.com/mekcloud/mek/internal/objectstore/s3/document"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// uploadPartCopy makes a part of an object, or of a range of it.
func (c *call) uploadPartCopy() (*reply, error) {
	b, err := c.enter(toWrite)
	if err != nil {
		return nil, err
	}
	u, n, err := c.part(b)
	if err != nil {
		return nil, err
	}
	s, err := c.openSource()
	if err != nil {
		return nil, err
	}
	defer s.content.Close() //nolint:errcheck // it is only read
	from, size, err := copiedRange(c.Header.Get("X-Amz-Copy-Source-Range"), s.whole.Size)
	if err != nil {
		return nil, err
	}
	if size > maxPut {
		return nil, failure.Newf(failure.InvalidRequest, "The specified copy source is larger than the maximum allowable size for a copy source: %d", int64(maxPut))
	}
	o, err := c.copiedPart(u, n, s, from, size)
	if err != nil {
		return nil, err
	}
	body := document.Copied{XMLName: xml.Name{Space: document.Namespace, Local: "CopyPartResult"}, LastModified: stamp(o.ModifiedAt), ETag: quoted(o.ETag)}
	if a, _, value, ok := sumOf(o); ok {
		body.SetChecksum(a.Name, value)
	}
	out, err := answer(body)
	showVersionOfSource(out.header, s)
	return out, err
}

// copiedPart shares the bytes when all of a plain object is copied whose ETag is
// the sum of its bytes, and no other sum is asked for; otherwise it reads.
func (c *call) copiedPart(u *upload, n int, s *source, from, size int64) (*objectstore.Object, error) {
	_, _, summed := u.sum()
	if s.plain() && !summed && size == s.whole.Size && isMD5(s.whole.ETag) {
		quota := func(a *objectstore.Account, b *objectstore.Container, current *objectstore.Object) error {
			return withinQuota(a, b, current, size)
		}
		p := objectstore.Put{Key: u.at(u.partName(n)), Size: size, ETag: s.whole.ETag, ContentType: "application/octet-stream",
			Headers: objectstore.Headers{}, Check: quota, Event: c.event(c.key)}
		o, err := c.s.Store.Compose(c.Context(), p, []objectstore.Key{s.whole.Key}, false)
		if fault.Is(err, fault.NotFound) && failure.As(err) == nil {
			err = failure.New(failure.NoSuchKey).With("Key", s.Name)
		}
		return o, err
	}
	return c.putPart(u, n, &payload{in: s.content.Range(from, size), size: size})
}

// copiedRange reads x-amz-copy-source-range: both ends, within the object.
func copiedRange(header string, size int64) (from, n int64, err error) {
	if header == "" {
		return 0, size, nil
	}
	r, ok := byterange.Parse(header)
	if !ok || r.First < 0 || r.Last < 0 {
		return 0, 0, argument("x-amz-source-range", header, "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are "+
			"the zero-based offsets of the first and last bytes to copy")
	}
	if r.Last >= size {
		return 0, 0, argument("x-amz-source-range", header, "Range specified is not valid for source object of size: "+strconv.FormatInt(size, 10))
	}
	return r.First, r.Last - r.First + 1, nil
}
