package s3

import (
	"crypto/md5" //nolint:gosec // what ETags are
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/s3/checksum"
	"github.com/mekcloud/mek/internal/objectstore/s3/document"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

const maxCompleteBody = 4 << 20

// completeUpload makes an object of the parts that the client names.
func (c *call) completeUpload() (*reply, error) {
	b, err := c.enter(toWrite)
	if err != nil {
		return nil, err
	}
	announced := c.takeObjectSum()
	var sent document.CompleteUpload
	found, err := c.document("CompleteMultipartUpload", maxCompleteBody, false, &sent)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, failure.Newf(failure.InvalidRequest, "You must specify at least one part")
	}
	if len(sent.Parts) == 0 || len(sent.Parts) > maxParts {
		return nil, failure.New(failure.MalformedXML)
	}
	u, err := c.upload(b)
	if failure.Is(err, failure.NoSuchUpload) {
		return c.completedBefore(b, u, sent.Parts, err)
	}
	if err != nil {
		return nil, err
	}
	parts, err := c.chosenParts(u, sent.Parts)
	if err != nil {
		return nil, err
	}
	o, err := c.compose(b, u, parts, announced)
	if fault.Is(err, fault.NotFound) && failure.As(err) == nil {
		// Somebody was quicker: with the same parts it is done, otherwise the upload has ended.
		return c.completedBefore(b, u, sent.Parts, c.noSuchUpload(u))
	}
	if err != nil {
		return nil, err
	}
	c.s.dropParts(c.Context(), u, c.id) // parts that were sent and not chosen
	return c.completed(b, o)
}

// takeObjectSum takes the additional checksum of the object off the request,
// whose own body it does not describe.
func (c *call) takeObjectSum() map[string]string {
	out := map[string]string{}
	for name := range c.Header {
		if a, ok := checksum.ByHeader(name); ok {
			out[a.Name] = c.Header.Get(name)
			delete(c.Header, name)
		}
	}
	return out
}

// chosen is a part that goes into the object.
type chosen struct {
	objectstore.Key
	etag string
	size int64
	sum  string
}

// chosenParts checks the client's list against the parts that are there.
func (c *call) chosenParts(u *upload, sent []document.CompletedPart) ([]chosen, error) {
	a, _, summed := u.sum()
	out := make([]chosen, 0, len(sent))
	last := 0
	var page []objectstore.ObjectEntry
	for _, want := range sent {
		if want.PartNumber <= last {
			return nil, failure.New(failure.InvalidPartOrder).With("UploadId", u.id)
		}
		last = want.PartNumber
		name := u.partName(want.PartNumber)
		for len(page) > 0 && page[0].Object.Name < name {
			page = page[1:]
		}
		if len(page) == 0 || page[0].Object.Name != name {
			var err error
			l := objectstore.Listing{Prefix: u.name() + "/", Marker: u.partName(want.PartNumber - 1), Limit: 1000}
			if page, err = c.s.Store.Objects(c.Context(), u.account, u.container, l); err != nil {
				return nil, err
			}
		}
		if len(page) == 0 || page[0].Object.Name != name || page[0].Object.ETag != strings.ToLower(plainETag(want.ETag)) {
			return nil, invalidPart(u, want)
		}
		o := &page[0].Object
		p := chosen{Key: currentKey(o.Key), etag: o.ETag, size: o.Size}
		if has, _, value, ok := sumOf(o); ok && summed && has.Name == a.Name {
			p.sum = value
		}
		if claimed := want.Checksum(a.Name); claimed != "" && claimed != p.sum {
			return nil, invalidPart(u, want)
		}
		out = append(out, p)
	}
	for _, p := range out[:len(out)-1] {
		if p.size < minPart {
			return nil, failure.New(failure.EntityTooSmall).With("ETag", p.etag).With("MinSizeAllowed", strconv.Itoa(minPart)).
				With("ProposedSize", strconv.FormatInt(p.size, 10))
		}
	}
	return out, nil
}

func invalidPart(u *upload, p document.CompletedPart) error {
	return failure.New(failure.InvalidPart).With("UploadId", u.id).With("PartNumber", strconv.Itoa(p.PartNumber)).With("ETag", plainETag(p.ETag))
}

// uploadETag is the ETag of an object made of parts: the sum of their sums, and how many.
func uploadETag(etags []string) string {
	h := md5.New()
	for _, e := range etags {
		raw, err := hex.DecodeString(e)
		if err != nil {
			return "" // not of a part
		}
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(etags))
}

// compose commits: the object comes, the marker and the parts go.
func (c *call) compose(b *objectstore.Container, u *upload, parts []chosen, announced map[string]string) (*objectstore.Object, error) {
	headers := objectstore.Headers{attrUpload: u.id}
	for name, value := range u.marker.Headers {
		if !strings.HasPrefix(name, "X-Sysmeta-") {
			headers[name] = value
		}
	}
	keys, etags := []objectstore.Key{u.at(u.name())}, []string{}
	var sizes []int64
	var sums []checksum.Part
	total := int64(0)
	for _, p := range parts {
		keys, etags, sizes = append(keys, p.Key), append(etags, p.etag), append(sizes, p.size)
		sums = append(sums, checksum.Part{Sum: p.sum, Size: p.size})
		total += p.size
	}
	headers[attrParts] = writeSizes(sizes)
	if size := c.Header.Get("X-Amz-Mp-Object-Size"); size != "" && size != strconv.FormatInt(total, 10) {
		return nil, failure.Newf(failure.InvalidRequest, "The provided 'x-amz-mp-object-size' header value %s does not match what was computed: %d", size, total)
	}
	if a, kind, ok := u.sum(); ok {
		if value, ok := a.Join(kind, sums); ok {
			if want := announced[a.Name]; want != "" && want != value {
				return nil, failure.Newf(failure.BadDigest, "The %s you specified did not match the calculated checksum.", a.Name)
			}
			setSum(headers, a, kind, value)
		}
	}
	p := objectstore.Put{Key: objectstore.Key{Account: b.Account, Container: b.Name, Name: c.key}, Size: total, ETag: uploadETag(etags),
		ContentType: u.marker.ContentType, Headers: headers, Event: c.event(c.key)}
	if seconds, err := strconv.ParseInt(u.marker.Headers[attrDeleteAt], 10, 64); err == nil {
		p.DeleteAt = time.Unix(seconds, 0).UTC()
	}
	var err error
	if p.Check, err = c.writeCheck(func() int64 { return 0 }); err != nil { // the parts were counted when they came
		return nil, err
	}
	return c.s.Store.Compose(c.Context(), p, keys, true)
}

// completedBefore answers a repeated completion like the first one.
func (c *call) completedBefore(b *objectstore.Container, u *upload, sent []document.CompletedPart, otherwise error) (*reply, error) {
	o, err := c.s.Store.Head(c.Context(), objectstore.Key{Account: b.Account, Container: b.Name, Name: c.key})
	if fault.Is(err, fault.NotFound) {
		return nil, otherwise
	}
	if err != nil {
		return nil, err
	}
	var etags []string
	for _, p := range sent {
		etags = append(etags, strings.ToLower(plainETag(p.ETag)))
	}
	if u.id == "" || o.Headers[attrUpload] != u.id || o.ETag != uploadETag(etags) {
		return nil, otherwise
	}
	return c.completed(b, o)
}

func (c *call) completed(b *objectstore.Container, o *objectstore.Object) (*reply, error) {
	scheme := "http"
	if c.TLS != nil {
		scheme = "https"
	}
	body := document.UploadDone{Location: scheme + "://" + c.Host + c.URL.EscapedPath(), Bucket: b.Name, Key: c.key, ETag: quoted(o.ETag)}
	if a, kind, value, ok := sumOf(o); ok {
		body.ChecksumType = kind
		body.SetChecksum(a.Name, value)
	}
	out, err := answer(body)
	out.status = http.StatusOK
	showVersion(out.header, b, o.Version)
	return out, err
}
