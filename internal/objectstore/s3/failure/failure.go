package failure

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
)

// Failure is an error as an S3 client sees it.
type Failure struct {
	Code    string
	Message string
	Status  int
	Fields  []Field // further members of the body, in order
	Cause   error   // for logs only
}

// Field is one member of an error's body besides Code and Message.
type Field struct{ Name, Value string }

// Error is the whole truth, for logs.
func (f *Failure) Error() string {
	if f.Cause != nil {
		return f.Code + ": " + f.Cause.Error()
	}
	return f.Code + ": " + f.Message
}

// Unwrap gives the private cause.
func (f *Failure) Unwrap() error { return f.Cause }

// New makes a failure of a known code with its usual text. A code that is not
// in the table becomes InternalError.
func New(code string) *Failure {
	k, ok := known[code]
	if !ok {
		k, code = known[InternalError], InternalError
	}
	return &Failure{Code: code, Message: k.message, Status: k.status}
}

// Newf makes a failure of a known code with a text of its own.
func Newf(code, format string, args ...any) *Failure {
	f := New(code)
	f.Message = fmt.Sprintf(format, args...)
	return f
}

// With adds a member to the body.
func (f *Failure) With(name, value string) *Failure {
	f.Fields = append(f.Fields, Field{name, value})
	return f
}

// Because keeps a cause for the logs.
func (f *Failure) Because(cause error) *Failure {
	f.Cause = cause
	return f
}

// As finds the failure in an error chain, or nil.
func As(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// Is tells whether err carries a failure of this code.
func Is(err error, code string) bool {
	f := As(err)
	return f != nil && f.Code == code
}

// Body is the XML document of a failure.
func (f *Failure) Body(resource, requestID, hostID string) []byte {
	var b strings.Builder
	b.WriteString(xml.Header)
	b.WriteString("<Error>")
	member := func(name, value string) {
		b.WriteString("<" + name + ">")
		_ = xml.EscapeText(&b, []byte(value)) // a builder never fails
		b.WriteString("</" + name + ">")
	}
	member("Code", f.Code)
	member("Message", f.Message)
	for _, m := range f.Fields {
		member(m.Name, m.Value)
	}
	member("Resource", resource)
	member("RequestId", requestID)
	member("HostId", hostID)
	b.WriteString("</Error>")
	return []byte(b.String())
}
