package s3

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/s3/checksum"
	"github.com/mekcloud/mek/internal/objectstore/s3/document"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// source is what a copy is made of.
type source struct {
	objectstore.Key // as the client named it
	bucket          *objectstore.Container
	whole           *objectstore.Whole
	content         objectstore.Content
}

// plain tells whether the bytes are those of one object of the store, so that a
// copy can share them.
func (s *source) plain() bool { return s.whole.Kind == objectstore.PlainObject }

// openSource reads x-amz-copy-source and opens what it names, if its conditions hold.
func (c *call) openSource() (*source, error) {
	header := c.Header.Get("X-Amz-Copy-Source")
	path, parameters, _ := strings.Cut(header, "?")
	path, err := url.PathUnescape(path)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if err != nil || !ok || bucket == "" || key == "" || !validText(path) {
		return nil, argument("x-amz-copy-source", header, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	q, err := url.ParseQuery(parameters)
	if err != nil || len(q) > 1 || len(q) == 1 && !q.Has("versionId") {
		return nil, argument("X-Amz-Copy-Source", header, "Unsupported copy source parameter.")
	}
	b, err := c.open(bucket, key, toRead)
	if err != nil {
		return nil, err
	}
	s := &source{Key: objectstore.Key{Account: b.Account, Container: b.Name, Name: key, Version: q.Get("versionId")}, bucket: b}
	s.whole, s.content, err = c.s.Reader.Open(c.Context(), s.Key, c.view())
	if fault.Is(err, fault.NotFound) {
		if err = c.missing(b, s.Key); failure.Is(err, failure.MethodNotAllowed) {
			err = failure.Newf(failure.InvalidRequest, "The source of a copy request may not specifically refer to a delete marker by version id.")
		}
	}
	if err != nil {
		return nil, err
	}
	if err := readConditions(c.Header, "X-Amz-Copy-Source-").required(etagOf(s.whole), s.whole.ModifiedAt); err != nil {
		return nil, s.close(err)
	}
	return s, nil
}

func (s *source) close(err error) error {
	_ = s.content.Close() // it was only read
	return err
}

// copyObject makes an object of another one.
func (c *call) copyObject() (*reply, error) {
	b, err := c.enter(toWrite)
	if err != nil {
		return nil, err
	}
	if err := c.checkCopy(); err != nil {
		return nil, err
	}
	s, err := c.openSource()
	if err != nil {
		return nil, err
	}
	defer s.content.Close() //nolint:errcheck // it is only read
	replace := c.Header.Get("X-Amz-Metadata-Directive") == "REPLACE"
	if !replace && s.Version == "" && s.Account == b.Account && s.Container == b.Name && s.Name == c.key {
		return nil, failure.Newf(failure.InvalidRequest, "This copy request is illegal because it is trying to copy an object to itself without "+
			"changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	d := described{kind: s.whole.ContentType, headers: objectstore.Headers{}, deleteAt: s.whole.DeleteAt}
	if replace {
		if d, err = c.described(c.Header); err != nil {
			return nil, err
		}
	}
	for name, value := range s.whole.Headers {
		own := name == attrChecksum || name == attrParts
		if own && s.plain() || !replace && !strings.HasPrefix(name, "X-Sysmeta-") && !special(name) {
			d.headers[name] = value
		}
	}
	o, err := c.copied(b, s, d)
	if err != nil {
		return nil, err
	}
	body := document.Copied{XMLName: xml.Name{Space: document.Namespace, Local: "CopyObjectResult"}, LastModified: stamp(o.ModifiedAt), ETag: quoted(o.ETag)}
	if a, _, value, ok := sumOf(o); ok {
		body.SetChecksum(a.Name, value)
	}
	out, err := answer(body)
	showVersion(out.header, b, o.Version)
	showVersionOfSource(out.header, s)
	return out, err
}

// special attributes make an object more than its bytes; its copy is not.
func special(name string) bool {
	return name == objectstore.HeaderStatic || name == objectstore.HeaderManifest
}

func showVersionOfSource(h http.Header, s *source) {
	if s.bucket.Versioning != objectstore.Unversioned {
		h.Set("X-Amz-Copy-Source-Version-Id", s.whole.Version)
	}
}

func (c *call) checkCopy() error {
	switch {
	case c.Header.Get("X-Amz-Copy-Source-Range") != "":
		return argument("x-amz-copy-source-range", c.Header.Get("X-Amz-Copy-Source-Range"), "Illegal copy header")
	case c.Header.Get("Range") != "":
		return argument("Range", c.Header.Get("Range"), "RANGE is not supported in Copy!")
	case strings.EqualFold(c.Header.Get("X-Amz-Tagging-Directive"), "REPLACE"):
		return failure.Newf(failure.NotImplemented, "Object tagging is not supported.")
	}
	return c.checkCannedACL()
}

// copied stores the copy: sharing the bytes of a plain object, reading those of
// a large one. A checksum that the source has not is computed by reading.
func (c *call) copied(b *objectstore.Container, s *source, d described) (*objectstore.Object, error) {
	p := objectstore.Put{Key: objectstore.Key{Account: b.Account, Container: b.Name, Name: c.key}, Size: s.whole.Size,
		ContentType: d.kind, Headers: d.headers, DeleteAt: d.deleteAt, Event: c.event(c.key)}
	var err error
	if p.Check, err = c.writeCheck(func() int64 { return s.whole.Size }); err != nil {
		return nil, err
	}
	wanted, sums := checksum.Algorithm{}, false
	if name := c.Header.Get("X-Amz-Checksum-Algorithm"); name != "" {
		var ok bool
		if wanted, ok = checksum.ByName(name); !ok {
			return nil, failure.Newf(failure.InvalidRequest, "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
		}
		has, _, _, ok := sumOf(&s.whole.Object)
		sums = !ok || has.Name != wanted.Name
	}
	if s.plain() && !sums {
		p.ETag = s.whole.ETag
		o, err := c.s.Store.Compose(c.Context(), p, []objectstore.Key{s.whole.Key}, false)
		if fault.Is(err, fault.NotFound) && failure.As(err) == nil {
			err = failure.New(failure.NoSuchKey).With("Key", s.Name)
		}
		return o, err
	}
	delete(d.headers, attrParts) // the copy is of one piece, and its ETag the sum of its bytes
	in := &payload{in: s.content.Range(0, s.whole.Size), size: s.whole.Size}
	if sums {
		in.compute(wanted)
		in.onEnd = func() { setSum(d.headers, in.algorithm, checksum.FullObject, in.want) }
	}
	return c.s.Store.Put(c.Context(), p, io.Reader(in))
}
