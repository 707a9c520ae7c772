// Package fault holds the error values of the cloud: a kind to decide by, a
// text that users may see, and a private cause that only logs keep.
//
// A fault is made where the meaning of a failure is known. Code below that
// wraps with %w; code above looks at KindOf. Only package rest turns kinds
// into HTTP statuses. A single error type with a status in it was rejected:
// the services disagree about statuses (over quota is 403, 409 or 413).
package fault

import (
	"errors"
	"fmt"
)

// Kind says what a caller can do about a failure.
type Kind uint8

// The kinds. Internal is the zero value: an error nobody classified.
const (
	Internal           Kind = iota // a defect or a broken engine; text is never shown
	Invalid                        // the request is wrong and will stay wrong
	Unauthenticated                // no or dead credentials
	Forbidden                      // known caller, not allowed
	NotFound                       // does not exist, or must look as if it did not
	Conflict                       // right request, wrong state
	OverQuota                      // a limit of the project is reached
	TooLarge                       // the request is larger than what is accepted
	Unavailable                    // try again later
	NotImplemented                 // part of the API, not built
	Gone                           // was part of the API, no more
	PreconditionFailed             // a condition of the request does not hold
	UnsupportedMedia               // content type not understood
	NotAcceptable                  // version or representation not offered
	RateLimited                    // too many requests
)

var kindNames = [...]string{"internal", "invalid", "unauthenticated", "forbidden", "not found", "conflict", "over quota", "too large",
	"unavailable", "not implemented", "gone", "precondition failed", "unsupported media", "not acceptable", "rate limited"}

// String names the kind for logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Fault is an error with a kind and a public text.
type Fault struct {
	Kind   Kind
	Text   string         // fit for a user: no path, SQL, host name or secret
	Code   string         // a service's own error code or class, for example "PortNotFound"; often empty
	Detail map[string]any // further members of the error body, if the dialect has any
	Cause  error          // for logs only
}

// Error is the whole truth, for logs.
func (f *Fault) Error() string {
	if f.Cause == nil {
		return f.Text
	}
	if f.Text == "" {
		return f.Cause.Error()
	}
	return f.Text + ": " + f.Cause.Error()
}

// Unwrap gives the private cause.
func (f *Fault) Unwrap() error { return f.Cause }

// With returns a copy that carries a service's own error code.
func (f *Fault) With(code string) *Fault {
	c := *f
	c.Code = code
	return &c
}

// Because returns a copy that keeps cause for the logs.
func (f *Fault) Because(cause error) *Fault {
	c := *f
	c.Cause = cause
	return &c
}

// New makes a fault of a kind; the text is formatted as by fmt.Sprintf.
func New(kind Kind, format string, args ...any) *Fault {
	return &Fault{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// Invalidf reports a request that is wrong in itself.
func Invalidf(format string, args ...any) *Fault { return New(Invalid, format, args...) }

// Forbiddenf reports a known caller who may not do this.
func Forbiddenf(format string, args ...any) *Fault { return New(Forbidden, format, args...) }

// NotFoundf reports a thing that does not exist for this caller.
func NotFoundf(format string, args ...any) *Fault { return New(NotFound, format, args...) }

// Conflictf reports a state that forbids the request.
func Conflictf(format string, args ...any) *Fault { return New(Conflict, format, args...) }

// Unavailablef reports a condition that passes; steps of sagas are tried again on it.
func Unavailablef(format string, args ...any) *Fault { return New(Unavailable, format, args...) }

// OverQuotaf reports a reached limit.
func OverQuotaf(format string, args ...any) *Fault { return New(OverQuota, format, args...) }

// Internalf wraps a defect or a broken engine; its text reaches logs only.
func Internalf(format string, args ...any) *Fault {
	return &Fault{Kind: Internal, Cause: fmt.Errorf(format, args...)}
}

// As finds the fault in an error chain; an unclassified error becomes Internal.
func As(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return &Fault{Kind: Internal, Cause: err}
}

// KindOf is the kind of the fault in an error chain, Internal when there is none.
func KindOf(err error) Kind { return As(err).Kind }

// Is tells whether err carries a fault of this kind. A nil error has none.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }
