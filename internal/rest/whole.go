package rest

import (
	"context"
	"errors"
	"net/http"
)

// Holder is a connection that can keep what is written to it until an answer is
// whole. Left alone, the standard library hands the system 4 KiB at a time, or the
// head before the body: each call costs as much as the work on a small request,
// and the client is woken by the first, to wait for the next.
type Holder interface {
	// Hold keeps what is written from now on, if it is not much.
	Hold()
	// Send writes what was kept.
	Send() error
}

type holderKey struct{}

// WithHolder gives the requests of a connection its Holder.
func WithHolder(ctx context.Context, h Holder) context.Context {
	return context.WithValue(ctx, holderKey{}, h)
}

const (
	// leastHeld is the length of a body that is not written by one call in any case.
	leastHeld = 2 << 10
	// mostStreamed is the length of a body that is made while it is sent and still
	// waits for its end.
	mostStreamed = 32 << 10
)

// whole sends the reply, at once if it is neither short nor long.
func (r Reply) whole(w http.ResponseWriter, req *http.Request) error {
	head := req.Method == http.MethodHead
	h, ok := req.Context().Value(holderKey{}).(Holder)
	if !ok || head || req.ProtoMajor != 1 || !r.worthHolding() { // HTTP/2 has many answers on a connection
		return r.send(w, head)
	}
	h.Hold()
	err := r.send(w, head)
	if flushed := http.NewResponseController(w).Flush(); err == nil {
		err = flushed
	}
	return errors.Join(err, h.Send())
}

// worthHolding tells whether the answer would be written by several calls, and is
// there soon.
func (r Reply) worthHolding() bool {
	if r.Stream != nil {
		length := r.Header.Get("Content-Length")
		return length != "" && parseLength(length) <= mostStreamed
	}
	content, ok := r.Body.([]byte)
	return ok && len(content) >= leastHeld
}
