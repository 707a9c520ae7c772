package objects

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// servePart answers "?part-number" of a static large object.
func servePart(r *swift.Request, w *objectstore.Whole, header http.Header, content objectstore.Content, text string) (swift.Reply, error) {
	part, err := strconv.Atoi(text)
	if err != nil || part <= 0 {
		return swift.Reply{}, swift.FailText(http.StatusBadRequest, "Part number must be an integer greater than 0")
	}
	if _, ok := swift.ParseRange(r.Header.Get("Range")); ok {
		return swift.Reply{}, swift.FailText(http.StatusBadRequest, "Range requests are not supported with part number queries")
	}
	header.Set("X-Parts-Count", strconv.Itoa(len(w.Parts)))
	if part > len(w.Parts) {
		header.Set("Content-Range", "bytes */"+strconv.FormatInt(w.Size, 10))
		body := []byte("The requested part number is not satisfiable")
		if r.Method == http.MethodHead {
			body = nil
			header.Set("Content-Length", "0")
		}
		return swift.Reply{Status: http.StatusRequestedRangeNotSatisfiable, Body: body, Header: header, Close: content.Close}, nil
	}
	var start int64
	for _, size := range w.Parts[:part-1] {
		start += size
	}
	return swift.ServeSpan(header, swift.Span{Start: start, End: start + w.Parts[part-1]}, w.Size, content)
}

// rawManifest gives a manifest as it would be put.
func rawManifest(w *objectstore.Whole, header http.Header, content objectstore.Content) (swift.Reply, error) {
	stored, err := io.ReadAll(content.Range(0, w.Size))
	if err = errors.Join(err, content.Close()); err != nil {
		return swift.Reply{}, err
	}
	segments, err := objectstore.ParseManifest(stored)
	if err != nil {
		return swift.Reply{}, err
	}
	raw, err := objectstore.RawManifest(segments)
	if err != nil {
		return swift.Reply{}, err
	}
	header.Set("Etag", swift.Hash(raw))
	header.Set("Content-Length", strconv.Itoa(len(raw)))
	return swift.Reply{Status: http.StatusOK, Body: raw, Header: header}, nil
}
