package s3

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/s3/checksum"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// Attributes of our own on objects and markers.
const (
	attrParts     = "X-Sysmeta-S3-Parts"     // sizes of the parts: "5242880*12,17"
	attrUpload    = "X-Sysmeta-S3-Upload"    // id of the upload that an object was made by
	attrChecksum  = "X-Sysmeta-S3-Checksum"  // "CRC32 FULL_OBJECT value"
	attrType      = "X-Sysmeta-S3-Type"      // of a marker: the content type to be
	attrAlgorithm = "X-Sysmeta-S3-Algorithm" // of a marker: "CRC32 COMPOSITE"
	attrDeleteAt  = "X-Sysmeta-S3-Delete-At" // of a marker: seconds
)

const (
	userMeta    = "X-Amz-Meta-"
	swiftMeta   = "X-Object-Meta-"
	maxMetadata = 4096 // bytes of names and values, as Swift has it
	defaultType = "binary/octet-stream"
)

// kept are headers that an object keeps and shows.
var kept = []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires", "X-Robots-Tag"}

// described is what a request says of an object to be.
type described struct {
	kind     string
	headers  objectstore.Headers
	deleteAt time.Time
}

// described reads it of the headers of a request; form fields come the same way.
func (c *call) described(h http.Header) (described, error) {
	d := described{kind: h.Get("Content-Type"), headers: objectstore.Headers{}}
	if d.kind == "" {
		d.kind = defaultType
	}
	size := 0
	for name, values := range h {
		value := strings.Join(values, ",")
		switch key, meta := strings.CutPrefix(name, userMeta); {
		case meta && key != "" && !strings.ContainsAny(key, ` "),/;<=>?@[\]{}`):
			if size += len(key) + len(value); size > maxMetadata {
				return d, failure.New(failure.MetadataTooLarge).With("MaxSizeAllowed", strconv.Itoa(maxMetadata))
			}
			d.headers[swiftMeta+key] = printable(value)
		case slices.Contains(kept, name) && value != "":
			d.headers[name] = value
		}
	}
	if e := contentEncoding(d.headers["Content-Encoding"]); e != "" {
		d.headers["Content-Encoding"] = e
	} else {
		delete(d.headers, "Content-Encoding")
	}
	if !validText(d.kind) {
		return d, argument("Content-Type", "", "Invalid Argument.")
	}
	var err error
	d.deleteAt, err = c.deleteAt(h)
	return d, err
}

// printable encodes a value that does not fit into a header, as Amazon does.
func printable(value string) string {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return mime.QEncoding.Encode("UTF-8", value)
		}
	}
	return value
}

// deleteAt reads Swift's headers for objects that end by themselves.
func (c *call) deleteAt(h http.Header) (time.Time, error) {
	if v := h.Get("X-Delete-After"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n <= 0 || n > 1<<40 {
			return time.Time{}, argument("X-Delete-After", v, "Non-integer X-Delete-After")
		}
		return c.now.Truncate(time.Second).Add(time.Duration(n) * time.Second), nil
	}
	v := h.Get("X-Delete-At")
	if v == "" {
		return time.Time{}, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n > 1<<40 {
		return time.Time{}, argument("X-Delete-At", v, "Non-integer X-Delete-At")
	}
	at := time.Unix(n, 0).UTC()
	if at.Before(c.now) {
		return at, argument("X-Delete-At", v, "X-Delete-At in past")
	}
	return at, nil
}

// show writes what an object says of itself into the headers of an answer.
func show(h http.Header, o *objectstore.Object) {
	for name, value := range o.Headers {
		if key, ok := strings.CutPrefix(name, swiftMeta); ok {
			h[strings.ToLower(userMeta+key)] = []string{value} // clients take the name as it comes; Amazon's are in lower case
		} else if slices.Contains(kept, name) {
			h.Set(name, value)
		}
	}
	h.Set("Content-Type", o.ContentType)
	h.Set("Last-Modified", httpDate(o.ModifiedAt))
	if !o.DeleteAt.IsZero() {
		h.Set("X-Amz-Expiration", `expiry-date="`+httpDate(o.DeleteAt)+`", rule-id="swift-object-expiration"`)
	}
}

// showVersion tells which version an answer is about, where there are versions.
func showVersion(h http.Header, b *objectstore.Container, version string) {
	if b.Versioning != objectstore.Unversioned && version != "" {
		h.Set("X-Amz-Version-Id", version)
	}
}

// sumOf reads an object's additional checksum.
func sumOf(o *objectstore.Object) (a checksum.Algorithm, kind, value string, ok bool) {
	words := strings.Fields(o.Headers[attrChecksum])
	if len(words) != 3 {
		return a, "", "", false
	}
	a, ok = checksum.ByName(words[0])
	return a, words[1], words[2], ok
}

func setSum(h objectstore.Headers, a checksum.Algorithm, kind, value string) {
	h[attrChecksum] = a.Name + " " + kind + " " + value
}

// showSum tells an object's additional checksum.
func showSum(h http.Header, o *objectstore.Object) {
	if a, kind, value, ok := sumOf(o); ok {
		h.Set(a.Header(), value)
		h.Set("X-Amz-Checksum-Type", kind)
	}
}

// writeSizes and readSizes are the form of attrParts. Parts of one size follow
// each other as a rule.
func writeSizes(sizes []int64) string {
	var b strings.Builder
	for i := 0; i < len(sizes); {
		n := 1
		for i+n < len(sizes) && sizes[i+n] == sizes[i] {
			n++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(sizes[i], 10))
		if n > 1 {
			b.WriteString("*" + strconv.Itoa(n))
		}
		i += n
	}
	return b.String()
}

func readSizes(text string) []int64 {
	if text == "" {
		return nil
	}
	var out []int64
	for word := range strings.SplitSeq(text, ",") {
		size, times, many := strings.Cut(word, "*")
		n := 1
		s, err := strconv.ParseInt(size, 10, 64)
		if err == nil && many {
			n, err = strconv.Atoi(times)
		}
		if err != nil || s < 0 || n < 1 || len(out)+n > maxParts {
			return nil // not of our writing
		}
		for range n {
			out = append(out, s)
		}
	}
	return out
}
