package rest

import (
	"net/http"
	"strconv"
)

// Reply is an answer. Body is encoded as JSON; Stream writes the body itself
// after the status and the headers went out; it gets a
// writer that io.Copy from a file reaches the kernel by. Close, when set, is
// called once the reply went out, also when Stream was not needed.
type Reply struct {
	Status int
	Body   any // nil: no body; []byte and string go out as they are
	Header http.Header
	Stream func(w http.ResponseWriter) error
	Close  func() error
}

// OK answers 200 with a body.
func OK(body any) (Reply, error) { return Reply{Status: http.StatusOK, Body: body}, nil }

// Created answers 201 with a body.
func Created(body any) (Reply, error) { return Reply{Status: http.StatusCreated, Body: body}, nil }

// Accepted answers 202; body may be nil.
func Accepted(body any) (Reply, error) { return Reply{Status: http.StatusAccepted, Body: body}, nil }

// NoContent answers 204.
func NoContent() (Reply, error) { return Reply{Status: http.StatusNoContent}, nil }

// Answer answers a status of the caller's choice.
func Answer(status int, body any) (Reply, error) { return Reply{Status: status, Body: body}, nil }

// With returns the reply with one more header.
func (r Reply) With(name, value string) Reply {
	r.Header = r.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(name, value)
	return r
}

// send writes the reply; head leaves the body out and keeps its length.
func (r Reply) send(w http.ResponseWriter, head bool) error {
	header := w.Header()
	for name, values := range r.Header {
		header[name] = values
	}
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	if r.Stream != nil {
		w.WriteHeader(status)
		if head {
			return nil
		}
		return r.Stream(w)
	}
	content, err := r.encode(header)
	if err != nil {
		return err
	}
	if status != http.StatusNoContent && status != http.StatusNotModified && header.Get("Content-Length") == "" {
		header.Set("Content-Length", strconv.Itoa(len(content)))
	}
	w.WriteHeader(status)
	if head || len(content) == 0 {
		return nil
	}
	_, err = w.Write(content)
	return err
}

// encoded is the same answer with its body as it is sent.
func (r Reply) encoded() (Reply, error) {
	if r.Body == nil || r.Stream != nil {
		return r, nil
	}
	header := r.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	content, err := r.encode(header)
	r.Body, r.Header = content, header
	return r, err
}

func (r Reply) encode(header http.Header) ([]byte, error) {
	kind := "application/json"
	var content []byte
	switch body := r.Body.(type) {
	case nil:
		return nil, nil
	case []byte:
		content = body
	case string:
		content, kind = []byte(body), "text/plain; charset=utf-8"
	default:
		var err error
		if content, err = JSON(body); err != nil {
			return nil, err
		}
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", kind)
	}
	return content, nil
}
