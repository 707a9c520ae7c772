package swift

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/objectstore"
)

// Span is a part of some bytes: from Start, up to and without End.
type Span struct{ Start, End int64 }

func (s Span) size() int64 { return s.End - s.Start }

// Header is the value of Content-Range.
func (s Span) header(total int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", s.Start, s.End-1, total)
}

// Most ranges that one request may ask for, overlap, and mix up.
const (
	maxRanges       = 50
	maxOverlaps     = 2
	maxNonAscending = 8
)

// RangeSpec is a range as it was asked for; -1 stands for an absent end.
type RangeSpec struct{ First, Last int64 }

// ParseRange reads a Range header; ok is false for one that must be ignored.
func ParseRange(header string) (specs []RangeSpec, ok bool) {
	header = strings.ReplaceAll(header, " ", "")
	if len(header) < 6 || !strings.EqualFold(header[:6], "bytes=") {
		return nil, false
	}
	for part := range strings.SplitSeq(header[6:], ",") {
		from, to, found := strings.Cut(part, "-")
		first, last := int64(-1), int64(-1)
		if !found || from == "" && to == "" || from != "" && !number(from, &first) || to != "" && !number(to, &last) || first >= 0 && last >= 0 && last < first {
			return nil, false
		}
		specs = append(specs, RangeSpec{first, last})
	}
	return specs, true
}

func number(text string, n *int64) bool {
	if text[0] < '0' || text[0] > '9' {
		return false
	}
	v, err := strconv.ParseInt(text, 10, 64)
	*n = v
	return err == nil
}

// Spans gives the ranges that exist in a length; none means 416. A set of
// ranges that is built to cost much counts as none.
func Spans(specs []RangeSpec, length int64) []Span {
	var spans []Span
	for _, s := range specs {
		switch {
		case s.First < 0 && s.Last > 0:
			spans = append(spans, Span{max(0, length-s.Last), length})
		case s.First >= 0 && s.First < length && s.Last < 0:
			spans = append(spans, Span{s.First, length})
		case s.First >= 0 && s.First < length:
			spans = append(spans, Span{s.First, min(s.Last+1, length)})
		}
	}
	if len(spans) > maxRanges || len(spans) > 1 && costly(spans) {
		return nil
	}
	return spans
}

func costly(spans []Span) bool {
	descending, overlaps := 0, 0
	for i, s := range spans {
		if i > 0 && s.Start < spans[i-1].Start {
			descending++
		}
		for _, other := range spans[:i] {
			if s.Start < other.End && other.Start < s.End {
				overlaps++
				break
			}
		}
	}
	return descending >= maxNonAscending || overlaps > maxOverlaps
}

// Serve makes the reply of a GET of content: whole, a range, or several. header
// holds what describes the object; Serve adds lengths. The reply closes content;
// an error leaves that to the caller.
func Serve(r *Request, header http.Header, size int64, content objectstore.Content) (Reply, error) {
	header.Set("Accept-Ranges", "bytes")
	specs, ok := ParseRange(r.Header.Get("Range"))
	if !ok || size == 0 && len(Spans(specs, size)) > 0 {
		return one(header, http.StatusOK, Span{0, size}, content)
	}
	spans := Spans(specs, size)
	switch len(spans) {
	case 0:
		_ = content.Close() // nothing was read
		return Unsatisfiable(r, header, size), nil
	case 1:
		header.Set("Content-Range", spans[0].header(size))
		return one(header, http.StatusPartialContent, spans[0], content)
	}
	return several(header, spans, size, content)
}

// Unsatisfiable is the reply to ranges that do not exist.
func Unsatisfiable(r *Request, header http.Header, size int64) Reply {
	reply := Fail(http.StatusRequestedRangeNotSatisfiable).Reply(r)
	for name, values := range header {
		if name != "Content-Type" && name != "Content-Length" {
			reply.Header[name] = values
		}
	}
	reply.Header.Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
	return reply
}

func one(header http.Header, status int, s Span, content objectstore.Content) (Reply, error) {
	header.Set("Content-Length", strconv.FormatInt(s.size(), 10))
	if s.size() == 0 {
		return Reply{Status: status, Header: header, Close: content.Close, Stream: func(http.ResponseWriter) error { return nil }}, nil
	}
	reader, err := primed(content, s)
	return Reply{Status: status, Header: header, Close: content.Close, Stream: func(w http.ResponseWriter) error {
		_, err := io.Copy(w, reader)
		return err
	}}, err
}

// primed opens a range, and makes sure that it begins as it should.
func primed(content objectstore.Content, s Span) (io.Reader, error) {
	reader := content.Range(s.Start, s.size())
	if p, ok := reader.(objectstore.Primed); ok {
		return reader, p.Prime()
	}
	return reader, nil
}

// several is a body of type multipart/byteranges.
func several(header http.Header, spans []Span, size int64, content objectstore.Content) (Reply, error) {
	boundary, kind := strings.ReplaceAll(id.New(), "-", ""), header.Get("Content-Type")
	heads := make([]string, len(spans))
	total := int64(len(boundary) + 4)
	for i, s := range spans {
		heads[i] = "--" + boundary + "\r\nContent-Type: " + kind + "\r\nContent-Range: " + s.header(size) + "\r\n\r\n"
		total += int64(len(heads[i])) + s.size() + 2
	}
	header.Set("Content-Type", "multipart/byteranges;boundary="+boundary)
	header.Set("Content-Length", strconv.FormatInt(total, 10))
	header.Del("Content-Range")
	reader, err := primed(content, spans[0])
	return Reply{Status: http.StatusPartialContent, Header: header, Close: content.Close, Stream: func(w http.ResponseWriter) error {
		for i, s := range spans {
			if i > 0 {
				reader = content.Range(s.Start, s.size())
			}
			if _, err := io.WriteString(w, heads[i]); err != nil {
				return err
			}
			if _, err := io.Copy(w, reader); err != nil {
				return err
			}
			if _, err := io.WriteString(w, "\r\n"); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, "--"+boundary+"--")
		return err
	}}, err
}

// ServeSpan makes the reply of one known range.
func ServeSpan(header http.Header, s Span, size int64, content objectstore.Content) (Reply, error) {
	header.Set("Content-Range", s.header(size))
	return one(header, http.StatusPartialContent, s, content)
}
