package objectstoreapi

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
	"github.com/mekcloud/mek/internal/rest"
)

// serve runs a request through the pipeline.
func (s *Service) serve(c *rest.Call) (rest.Reply, error) {
	r := &swift.Request{Call: c, Method: c.Method, Target: target(c), Query: c.Request.URL.Query(), Header: c.Header, Length: c.ContentLength,
		Time: s.deps.Clock.Now().Truncate(time.Microsecond), By: s.auth, Body: body{c.Body}}
	if r.Length == 0 && unsaid(c.Request) {
		r.Length = swift.NoLength
	}
	guard(r.Header)
	reply, err := s.run(r)
	if err == nil && c.Header.Get("Origin") != "" && r.Container != "" {
		err = s.share(r, &reply)
	}
	if err == nil && keeps(c.Request) {
		reply = reply.With("Connection", "keep-alive")
	}
	return reply, err
}

// keeps tells whether a client asks in so many words that its connection stays;
// it hears of that, though connections of HTTP/1.1 stay anyway.
func keeps(r *http.Request) bool {
	return r.ProtoMajor == 1 && strings.EqualFold(r.Header.Get("Connection"), "keep-alive")
}

// unsaid tells whether a request says nothing about its body's length.
func unsaid(r *http.Request) bool {
	_, said := r.Header["Content-Length"]
	return !said && r.ProtoMajor == 1 && len(r.TransferEncoding) == 0
}

// guard takes away what only the inside of Swift may say. Underscores in names
// are hyphens, as they are for every application behind WSGI.
func guard(h http.Header) {
	for name, values := range h {
		if strings.IndexByte(name, '_') < 0 {
			continue
		}
		delete(h, name)
		if plain := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")); h[plain] == nil {
			h[plain] = values
		}
	}
	for name := range h {
		if hidden(name) || name == "X-Timestamp" {
			delete(h, name)
		}
	}
}

var inside = []string{"X-Account-Sysmeta-", "X-Container-Sysmeta-", "X-Object-Sysmeta-", "X-Object-Transient-Sysmeta-", "X-Backend", "X-Sysmeta-"}

func hidden(name string) bool {
	if len(name) < 2 || name[0] != 'X' {
		return false
	}
	for _, prefix := range inside {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// body tells a client that left from a defect.
type body struct{ io.Reader }

func (b body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fault.New(fault.Invalid, "The request's body ended early").With(objectstore.CodeIncomplete).Because(err)
	}
	return n, err
}
