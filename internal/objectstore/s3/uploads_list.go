package s3

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/s3/document"
)

// listParts lists the parts of an upload.
func (c *call) listParts() (*reply, error) {
	b, err := c.enter(toWrite) // Amazon's right to do so is that of the uploader
	if err != nil {
		return nil, err
	}
	p, err := c.page("max-parts")
	if err != nil {
		return nil, err
	}
	after, err := c.query.number("part-number-marker", 0, maxParts)
	if err != nil {
		return nil, err
	}
	u, err := c.upload(b)
	if err != nil {
		return nil, err
	}
	who := c.owner()
	body := document.Parts{Bucket: b.Name, Key: p.name(c.key), UploadID: u.id, Initiator: who, Owner: who, StorageClass: "STANDARD",
		PartNumberMarker: after, MaxParts: p.most, EncodingType: p.encoding()}
	if a, kind, ok := u.sum(); ok {
		body.ChecksumAlgorithm, body.ChecksumType = a.Name, kind
	}
	if p.most > 0 {
		found, err := c.s.Store.Objects(c.Context(), u.account, u.container,
			objectstore.Listing{Prefix: u.name() + "/", Marker: u.partName(after), Limit: p.most + 1})
		if err != nil {
			return nil, err
		}
		body.IsTruncated = len(found) > p.most
		for _, e := range found[:min(len(found), p.most)] {
			o := &e.Object
			n, err := strconv.Atoi(o.Name[len(u.name())+1:])
			if err != nil {
				continue // not of our making
			}
			part := document.Part{PartNumber: n, LastModified: stamp(o.ModifiedAt), ETag: quoted(o.ETag), Size: o.Size}
			if a, _, value, ok := sumOf(o); ok {
				part.SetChecksum(a.Name, value)
			}
			body.Parts = append(body.Parts, part)
			body.NextPartNumberMarker = n
		}
	}
	return answer(body)
}

// listUploads lists the uploads of a bucket that go on, by key and then by id.
func (c *call) listUploads() (*reply, error) {
	b, err := c.enter(toWrite)
	if err != nil {
		return nil, err
	}
	p, err := c.page("max-uploads")
	if err != nil {
		return nil, err
	}
	after, err := c.query.text("key-marker")
	if err != nil {
		return nil, err
	}
	afterID := c.query.Get("upload-id-marker")
	if after == "" {
		afterID = ""
	}
	all, err := c.s.uploadsOf(c.Context(), b.Account, b.Name+segmentsSuffix, p.prefix)
	if err != nil {
		return nil, err
	}
	body := document.Uploads{Bucket: b.Name, KeyMarker: p.name(after), UploadIDMarker: afterID, Delimiter: p.name(p.delimiter), Prefix: p.name(p.prefix),
		MaxUploads: p.most, EncodingType: p.encoding()}
	who, shared := c.owner(), ""
	for _, u := range all {
		if u.key < after || u.key == after && (afterID == "" || u.id <= afterID) {
			continue
		}
		group := p.group(u.key)
		if group != "" && (group == shared || after != "" && strings.HasPrefix(after, group)) {
			continue
		}
		if body.IsTruncated = len(body.Uploads)+len(body.CommonPrefixes) == p.most; body.IsTruncated {
			break
		}
		if shared = group; group != "" {
			body.CommonPrefixes = append(body.CommonPrefixes, document.Prefix{Prefix: p.name(group)})
			body.NextKeyMarker, body.NextUploadIDMarker = p.name(group), ""
			continue
		}
		entry := document.Upload{Key: p.name(u.key), UploadID: u.id, Initiator: who, Owner: who, StorageClass: "STANDARD", Initiated: stamp(u.marker.ModifiedAt)}
		if a, kind, ok := u.sum(); ok {
			entry.ChecksumAlgorithm, entry.ChecksumType = a.Name, kind
		}
		body.Uploads = append(body.Uploads, entry)
		body.NextKeyMarker, body.NextUploadIDMarker = p.name(u.key), u.id
	}
	if !body.IsTruncated || p.most == 0 {
		body.NextKeyMarker, body.NextUploadIDMarker, body.IsTruncated = "", "", false
	}
	return answer(body)
}

// group is what a key shares with others up to the delimiter; empty for none.
func (p page) group(key string) string {
	if p.delimiter == "" {
		return ""
	}
	at := strings.Index(key[len(p.prefix):], p.delimiter)
	if at < 0 {
		return ""
	}
	return key[:len(p.prefix)+at+len(p.delimiter)]
}

// ofUpload reads the name of a marker or a part; part is 0 for a marker.
func ofUpload(name string) (key, id string, part int, ok bool) {
	at := strings.LastIndexByte(name, '/')
	if at < 0 {
		return "", "", 0, false
	}
	if last := name[at+1:]; len(last) == 5 {
		n, err := strconv.Atoi(last)
		if err != nil || n < 1 {
			return "", "", 0, false
		}
		key, id, part, ok = ofUpload(name[:at])
		return key, id, n, ok && part == 0
	}
	return name[:at], name[at+1:], 0, uploadID.MatchString(name[at+1:]) && at > 0
}

// uploadsOf finds the uploads of a container of parts, stepping over the parts.
func (s *Server) uploadsOf(ctx context.Context, account, container, prefix string) ([]upload, error) {
	var out []upload
	l := objectstore.Listing{Prefix: prefix, Limit: 100}
	for {
		page, err := s.Store.Objects(ctx, account, container, l)
		if fault.Is(err, fault.NotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for i := range page {
			o := &page[i].Object
			key, id, part, ok := ofUpload(o.Name)
			if l.Marker = o.Name; part > 0 {
				l.Marker = key + "/" + id + "/~" // behind all digits
			}
			if ok && part == 0 && strings.HasPrefix(key, prefix) {
				out = append(out, upload{account, container, key, id, o})
			}
		}
		if len(page) < l.Limit {
			break
		}
	}
	slices.SortFunc(out, func(a, b upload) int { return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.id, b.id)) })
	return out, nil
}
