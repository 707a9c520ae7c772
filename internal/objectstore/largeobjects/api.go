package largeobjects

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// maxSegments is the most objects of a manifest.
const maxSegments = 1000

// Feature writes large objects.
type Feature struct {
	store  objectstore.Store
	reader objectstore.Reader
	guess  func(name string) string // content type of a name
}

// New makes the feature.
func New(s objectstore.Store, r objectstore.Reader, guess func(name string) string) *Feature {
	return &Feature{s, r, guess}
}

// Info is the sections of /info.
func Info() map[string]map[string]any {
	return map[string]map[string]any{
		"slo": {"max_manifest_segments": maxSegments, "max_manifest_size": objectstore.MaxManifestSize, "yield_frequency": 10, "min_segment_size": 1,
			"allow_async_delete": true},
		"dlo": {},
	}
}

// Filter takes requests about large objects.
func (f *Feature) Filter(next swift.Handler) swift.Handler {
	return func(r *swift.Request) (swift.Reply, error) {
		if r.Object == "" {
			return next(r)
		}
		switch kind := r.Query.Get("multipart-manifest"); {
		case r.Method == http.MethodPut && kind == "put":
			return f.put(r, next)
		case r.Method == http.MethodDelete && kind == "delete":
			return f.remove(r, next)
		case r.Method == http.MethodGet, r.Method == http.MethodHead:
			return next(r)
		case r.Header[objectstore.HeaderStatic] != nil:
			return swift.Reply{}, swift.FailText(http.StatusBadRequest, "X-Static-Large-Object is a reserved header. To create a static large object "+
				"add query param multipart-manifest=put.")
		case r.Method == http.MethodPut:
			if err := checkDynamic(r.Header); err != nil {
				return swift.Reply{}, err
			}
		}
		return next(r)
	}
}

// checkDynamic checks the header of a dynamic large object.
func checkDynamic(h http.Header) error {
	if h[objectstore.HeaderManifest] == nil {
		return nil
	}
	value := h.Get(objectstore.HeaderManifest)
	container, prefix, _ := strings.Cut(value, "/")
	if container == "" || prefix == "" || strings.ContainsAny(value, "?&") || strings.HasPrefix(prefix, "/") {
		return swift.FailText(http.StatusBadRequest, "X-Object-Manifest must be in the format container/prefix")
	}
	return nil
}

func (f *Feature) put(r *swift.Request, next swift.Handler) (swift.Reply, error) {
	body, err := manifestBody(r)
	if err != nil {
		return swift.Reply{}, err
	}
	list, err := read(body, "/"+r.Container+"/"+r.Object)
	if err != nil {
		return swift.Reply{}, swift.FailPlain(http.StatusBadRequest, err.Error())
	}
	objects := 0
	for i := range list {
		if !list[i].inline() {
			objects++
		}
	}
	if objects > maxSegments {
		return swift.Reply{}, swift.FailText(http.StatusRequestEntityTooLarge, fmt.Sprintf("Number of object-backed segments must be <= %d", maxSegments))
	}
	m, err := f.check(r, list)
	if err != nil {
		return swift.Reply{}, err
	}
	reply, err := f.write(r, m, next)
	if !r.True("heartbeat") {
		return reply, err
	}
	var failed *swift.Failure
	if errors.As(err, &failed) {
		reply, err = swift.Reply{Status: failed.Status, Body: []byte(first(failed.Text, reason(failed.Status)))}, nil
	}
	if err == nil {
		reply = heartbeat(r, m, reply)
	}
	return reply, err
}

func manifestBody(r *swift.Request) ([]byte, error) {
	tooLarge := swift.FailText(http.StatusRequestEntityTooLarge, fmt.Sprintf("Manifest File > %d bytes", objectstore.MaxManifestSize))
	switch {
	case r.Length == swift.NoLength:
		return nil, swift.Fail(http.StatusLengthRequired)
	case r.Length > objectstore.MaxManifestSize:
		return nil, tooLarge
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, objectstore.MaxManifestSize+1))
	if err == nil && len(body) > objectstore.MaxManifestSize {
		err = tooLarge
	}
	return body, err
}

// manifest is a manifest whose segments were looked at.
type manifest struct {
	segments []objectstore.Segment
	size     int64
	problems [][2]string
}

// check looks at each segment as the caller may.
func (f *Feature) check(r *swift.Request, list []asked) (*manifest, error) {
	m := &manifest{}
	seen := map[string]*objectstore.Whole{}
	status := map[string]int{}
	for i := range list {
		a := &list[i]
		if a.inline() {
			m.segments, m.size = append(m.segments, objectstore.Segment{Data: a.Data}), m.size+int64(len(a.Data))
			continue
		}
		if status[a.Path] == 0 {
			w, code, err := f.head(r, a.Path)
			if err != nil {
				return nil, err
			}
			seen[a.Path], status[a.Path] = w, code
		}
		if code := status[a.Path]; code != http.StatusOK {
			m.problem(a, swift.StatusLine(code))
			continue
		}
		m.add(a, seen[a.Path], i == len(list)-1)
	}
	return m, nil
}

func (m *manifest) problem(a *asked, text string) {
	m.problems = append(m.problems, [2]string{swift.Quote(a.Named), text})
}

// add adds a segment that is there, or says what is wrong with it.
func (m *manifest) add(a *asked, w *objectstore.Whole, last bool) {
	s := objectstore.Segment{Name: a.Path, Bytes: w.Size, Hash: w.ETag, Type: w.ContentType, SubSLO: w.Kind == objectstore.StaticLarge,
		Modified: swift.ListedTime(swift.Ceil(w.ModifiedAt))}
	length := w.Size
	if a.Range != nil {
		spans := swift.Spans([]swift.RangeSpec{*a.Range}, w.Size)
		if len(spans) == 0 {
			m.problem(a, "Unsatisfiable Range")
		} else if length = spans[0].End - spans[0].Start; length != w.Size {
			s.Range = strconv.FormatInt(spans[0].Start, 10) + "-" + strconv.FormatInt(spans[0].End-1, 10)
		}
	}
	if length < 1 && !last {
		m.problem(a, "Too small; each segment must be at least 1 byte.")
	}
	if a.Size >= 0 && a.Size != w.Size {
		m.problem(a, "Size Mismatch")
	}
	if a.ETag != "" && a.ETag != w.ETag {
		m.problem(a, "Etag Mismatch")
	}
	m.segments, m.size = append(m.segments, s), m.size+length
}

// head looks at "/container/object" and gives the status that a HEAD would have.
func (f *Feature) head(r *swift.Request, path string) (*objectstore.Whole, int, error) {
	container, object, _ := strings.Cut(path[1:], "/")
	t := swift.Target{Account: r.Account, Container: container, Object: object}
	acl := ""
	c, err := f.store.Container(r.Context(), t.Account, t.Container)
	if err == nil {
		acl = c.Headers[objectstore.HeaderRead]
	} else if !fault.Is(err, fault.NotFound) {
		return nil, 0, err
	}
	if err := r.Sub(http.MethodHead, t).Authorize(acl); err != nil {
		return refusal(err)
	}
	w, err := f.reader.Head(r.Context(), t.Key(), objectstore.View{})
	switch fault.KindOf(err) {
	case fault.NotFound:
		return nil, http.StatusNotFound, nil
	case fault.Conflict:
		return nil, http.StatusConflict, nil
	}
	if err != nil {
		return nil, 0, err
	}
	return w, http.StatusOK, nil
}

// write stores a manifest, or says what is wrong with it.
func (f *Feature) write(r *swift.Request, m *manifest, next swift.Handler) (swift.Reply, error) {
	if m.problems != nil {
		report := swift.Report{Root: "upload", Errors: m.problems}
		return report.Reply(http.StatusBadRequest, swift.ReportFormat(r)), nil
	}
	etag := objectstore.StaticETag(m.segments)
	if wanted := swift.PlainETag(r.Header.Get("Etag")); wanted != "" && wanted != etag {
		return swift.Reply{}, swift.Fail(http.StatusUnprocessableEntity)
	}
	stored, err := json.Marshal(m.segments)
	if err != nil {
		return swift.Reply{}, err
	}
	if m.segments == nil {
		stored = []byte("[]")
	}
	put := *r
	put.Header = r.Header.Clone()
	put.Header.Set("Etag", swift.Hash(stored))
	if put.Header.Get("Content-Type") == "" {
		put.Header.Set("Content-Type", first(f.guess(r.Object), "application/octet-stream"))
	}
	put.Body, put.Length = bytes.NewReader(stored), int64(len(stored))
	put.Sysmeta = objectstore.Headers{objectstore.HeaderStatic: "True", objectstore.HeaderStaticETag: etag,
		objectstore.HeaderStaticSize: strconv.FormatInt(m.size, 10)}
	for name, value := range r.Sysmeta {
		put.Sysmeta[name] = value
	}
	put.ListedETag, put.ListedSize = etag, m.size
	reply, err := next(&put)
	if err == nil && swift.OK(reply) {
		reply.Header.Set("Etag", `"`+etag+`"`)
	}
	return reply, err
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// reason is what a body of 202 says of a status.
func reason(status int) string {
	title, text := swift.Explain(status)
	return title + "\n" + text
}

// heartbeat wraps an answer into the body of 202, as clients ask for that have
// to see something while segments are checked.
func heartbeat(r *swift.Request, m *manifest, reply swift.Reply) swift.Reply {
	format := swift.ReportFormat(r)
	report := swift.Report{Root: "upload", Errors: m.problems, Values: map[string]string{"Response Status": swift.StatusLine(reply.Status), "Response Body": ""}}
	if m.problems != nil {
		report.Values["Response Body"] = reason(reply.Status)
	} else if body, ok := reply.Body.([]byte); ok {
		report.Values["Response Body"] = string(body)
	}
	if swift.OK(reply) {
		report.Values["Etag"], report.Values["Last Modified"] = reply.Header.Get("Etag"), reply.Header.Get("Last-Modified")
	}
	swift.Discard(reply)
	body := append([]byte(" \r\n\r\n"), report.Body(format)...)
	return swift.Reply{Status: http.StatusAccepted, Header: http.Header{"Content-Type": {format}}, Stream: func(w http.ResponseWriter) error {
		_, err := w.Write(body)
		return errors.Join(err, http.NewResponseController(w).Flush()) // chunked, as the length is not known before
	}}
}
