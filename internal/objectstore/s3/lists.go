package s3

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/s3/document"
)

const maxKeys = 1000

// page is what all lists ask.
type page struct {
	prefix, delimiter string
	most              int
	encode            bool // names in answers are escaped
}

func (c *call) page(most string) (page, error) {
	var p page
	var err error
	if e := c.query.Get("encoding-type"); e != "" && e != "url" {
		return p, argument("encoding-type", e, "Invalid Encoding Method specified in Request")
	}
	p.encode = c.query.Get("encoding-type") == "url"
	if p.most, err = c.query.number(most, maxKeys, maxKeys); err != nil {
		return p, err
	}
	if p.prefix, err = c.query.text("prefix"); err != nil {
		return p, err
	}
	p.delimiter, err = c.query.text("delimiter")
	return p, err
}

// name is a name in an answer.
func (p page) name(s string) string {
	if !p.encode {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), "%2F", "/")
}

func (p page) encoding() string {
	if p.encode {
		return "url"
	}
	return ""
}

// entries reads one more than a page, and tells whether there was more.
func (c *call) entries(b *objectstore.Container, p page, l objectstore.Listing) ([]objectstore.ObjectEntry, bool, error) {
	if p.most == 0 {
		return nil, false, nil
	}
	l.Prefix, l.Delimiter, l.Limit = p.prefix, p.delimiter, p.most+1
	found, err := c.s.Store.Objects(c.Context(), b.Account, b.Name, l)
	if err != nil {
		return nil, false, err
	}
	more := len(found) > p.most
	return found[:min(len(found), p.most)], more, nil
}

func nameOf(e objectstore.ObjectEntry) string {
	if e.Subdir != "" {
		return e.Subdir
	}
	return e.Object.Name
}

// listObjects answers both versions of the call.
func (c *call) listObjects() (*reply, error) {
	second, err := c.secondVersion()
	if err != nil {
		return nil, err
	}
	b, err := c.enter(toRead)
	if err != nil {
		return nil, err
	}
	p, err := c.page("max-keys")
	if err != nil {
		return nil, err
	}
	l := objectstore.Listing{}
	after, err := c.query.text("start-after")
	if err != nil {
		return nil, err
	}
	marker, err := c.query.text("marker")
	if err != nil {
		return nil, err
	}
	if l.Marker = marker; second {
		if l.Marker = after; c.query.has("continuation-token") {
			if l.Marker, err = c.continuation("continuation-token"); err != nil {
				return nil, err
			}
		}
	}
	found, more, err := c.entries(b, p, l)
	if err != nil {
		return nil, err
	}
	body := document.Objects{Name: b.Name, Prefix: p.name(p.prefix), MaxKeys: p.most, Delimiter: p.name(p.delimiter), EncodingType: p.encoding(), IsTruncated: more}
	owners := !second || strings.EqualFold(c.query.Get("fetch-owner"), "true")
	for _, e := range found {
		if e.Subdir != "" {
			body.CommonPrefixes = append(body.CommonPrefixes, document.Prefix{Prefix: p.name(e.Subdir)})
			continue
		}
		body.Contents = append(body.Contents, c.entry(p, &e.Object, owners))
	}
	if second {
		n := len(found)
		body.KeyCount, body.StartAfter = &n, p.name(after)
		if c.query.has("continuation-token") {
			t := c.query.Get("continuation-token")
			body.ContinuationToken = &t
		}
		if more {
			body.NextContinuationToken = token(nameOf(found[len(found)-1]))
		}
		return answer(body)
	}
	m := p.name(marker)
	body.Marker = &m
	if more && p.delimiter != "" {
		body.NextMarker = p.name(nameOf(found[len(found)-1]))
	}
	return answer(body)
}

func (c *call) secondVersion() (bool, error) {
	v := c.query.Get("list-type")
	if v == "" {
		return false, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return false, argument("list-type", v, "Argument list-type must be an integer")
	}
	return n == 2, nil
}

func (c *call) entry(p page, o *objectstore.Object, owner bool) document.Object {
	e := document.Object{Key: p.name(o.Name), LastModified: stamp(o.ModifiedAt), ETag: listedETag(o), Size: listedSize(o), StorageClass: "STANDARD"}
	if a, kind, _, ok := sumOf(o); ok {
		e.ChecksumType, e.Checksums = kind, []string{a.Name}
	}
	if owner {
		who := c.owner()
		e.Owner = &who
	}
	return e
}

// listedETag is that of all bytes of a large object, marked as no sum of them.
func listedETag(o *objectstore.Object) string {
	if o.ListedETag != "" {
		return quoted(plainETag(o.ListedETag) + "-N")
	}
	return quoted(o.ETag)
}

func listedSize(o *objectstore.Object) int64 {
	if o.ListedETag != "" {
		return o.ListedSize
	}
	return o.Size
}

// listVersions lists versions and delete markers, the newest of a name first.
func (c *call) listVersions() (*reply, error) {
	b, err := c.enter(toRead)
	if err != nil {
		return nil, err
	}
	p, err := c.page("max-keys")
	if err != nil {
		return nil, err
	}
	l := objectstore.Listing{Versions: true, VersionMarker: c.query.Get("version-id-marker")}
	if l.Marker, err = c.query.text("key-marker"); err != nil {
		return nil, err
	}
	if l.VersionMarker != "" && l.Marker == "" {
		return nil, argument("version-id-marker", l.VersionMarker, "A version-id marker cannot be specified without a key marker.")
	}
	found, more, err := c.entries(b, p, l)
	if err != nil {
		return nil, err
	}
	body := document.Versions{Name: b.Name, Prefix: p.name(p.prefix), KeyMarker: p.name(l.Marker), VersionIDMarker: l.VersionMarker, MaxKeys: p.most,
		Delimiter: p.name(p.delimiter), EncodingType: p.encoding(), IsTruncated: more}
	for _, e := range found {
		if e.Subdir != "" {
			body.CommonPrefixes = append(body.CommonPrefixes, document.Prefix{Prefix: p.name(e.Subdir)})
			continue
		}
		body.Entries = append(body.Entries, c.version(p, &e.Object))
	}
	if more {
		last := found[len(found)-1]
		body.NextKeyMarker = p.name(nameOf(last))
		if last.Subdir == "" {
			body.NextVersionIDMarker = last.Object.Version
		}
	}
	return answer(body)
}

func (c *call) version(p page, o *objectstore.Object) document.Version {
	v := document.Version{Marker: o.DeleteMarker, Key: p.name(o.Name), VersionID: o.Version, IsLatest: o.Current,
		LastModified: stamp(o.ModifiedAt), Owner: c.owner()}
	if !o.DeleteMarker {
		size := listedSize(o)
		v.ETag, v.Size, v.StorageClass = listedETag(o), &size, "STANDARD"
	}
	return v
}
