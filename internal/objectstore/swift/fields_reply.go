package swift

import (
	"errors"
	"net/http"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/rest"
)

// Reply is an answer on its way back. Who replaces one calls Discard on it.
type Reply = rest.Reply

// Failure is an answer that says what was wrong. Text empty: Swift's own text
// for the status.
type Failure struct {
	Status int
	Text   string
	Plain  bool // text/plain instead of text/html
	Header http.Header
}

// Error makes it an error.
func (f *Failure) Error() string { return http.StatusText(f.Status) + ": " + f.Text }

// Fail is a failure with Swift's own text.
func Fail(status int) *Failure { return &Failure{Status: status} }

// FailText is a failure with a text of its own, sent as text/html as Swift does.
func FailText(status int, text string) *Failure { return &Failure{Status: status, Text: text} }

// FailPlain is a failure with a text of its own, sent as text/plain.
func FailPlain(status int, text string) *Failure {
	return &Failure{Status: status, Text: text, Plain: true}
}

// With returns the failure with one more header.
func (f *Failure) With(name, value string) *Failure {
	c := *f
	if c.Header = f.Header.Clone(); c.Header == nil {
		c.Header = http.Header{}
	}
	c.Header.Set(name, value)
	return &c
}

// Denied is the refusal: 401 without a token, 403 with one.
func Denied(r *Request) *Failure {
	if r.Call.Auth.UserID == "" {
		return Fail(http.StatusUnauthorized)
	}
	return Fail(http.StatusForbidden)
}

// Reply makes the answer of a failure.
func (f *Failure) Reply(r *Request) Reply {
	header := f.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	text := f.Text
	if text == "" {
		if e := explanations[f.Status]; e[1] != "" {
			text = "<html><h1>" + e[0] + "</h1><p>" + e[1] + "</p></html>"
		}
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "text/html; charset=UTF-8")
		if f.Plain {
			header.Set("Content-Type", "text/plain; charset=UTF-8")
		}
	}
	if f.Status == http.StatusUnauthorized {
		realm := "unknown"
		if r.Account != "" {
			realm = Quote(r.Account)
		}
		header["Www-Authenticate"] = []string{`Swift realm="` + realm + `"`, `Keystone uri="` + r.Call.Root() + `/identity"`}
	}
	return Reply{Status: f.Status, Body: []byte(text), Header: header}
}

// settle makes a reply of everything that is the caller's doing.
func settle(r *Request, err error) (Reply, error) {
	var f *Failure
	if !errors.As(err, &f) {
		if f = ofStore(err); f == nil {
			return Reply{}, err
		}
	}
	return f.Reply(r), nil
}

// ofStore says a store's fault in Swift's words; nil for a defect.
func ofStore(err error) *Failure {
	f := fault.As(fault.OfService(err))
	switch f.Kind {
	case fault.NotFound:
		return Fail(http.StatusNotFound)
	case fault.Conflict:
		return Fail(http.StatusConflict)
	case fault.TooLarge:
		return FailPlain(http.StatusRequestEntityTooLarge, "Your request is too large.")
	case fault.Invalid:
		switch f.Code {
		case objectstore.CodeChecksum:
			return Fail(http.StatusUnprocessableEntity)
		case objectstore.CodeIncomplete:
			return Fail(StatusClientDisconnect)
		}
		return FailPlain(http.StatusBadRequest, f.Text)
	case fault.Unavailable:
		if f.Code == objectstore.CodeFull {
			return Fail(http.StatusInsufficientStorage)
		}
		return Fail(http.StatusServiceUnavailable)
	case fault.Forbidden:
		return Fail(http.StatusForbidden)
	}
	return nil
}

// StatusClientDisconnect is Swift's status of a body that ended early.
const StatusClientDisconnect = 499

// Explain is Swift's short and long text of a status.
func Explain(status int) (title, text string) {
	e := explanations[status]
	return e[0], e[1]
}

// StatusLine is "404 Not Found", as bodies of Swift's reports have it.
func StatusLine(status int) string {
	title := explanations[status][0]
	if title == "" {
		title = http.StatusText(status)
	}
	return strings.TrimSpace(itoa(status) + " " + title)
}

// explanations are facts of the wire: clients and tests compare them.
var explanations = map[int][2]string{
	200: {"OK", ""}, 201: {"Created", ""}, 202: {"Accepted", "The request is accepted for processing."}, 204: {"No Content", ""}, 206: {"Partial Content", ""},
	301: {"Moved Permanently", "The resource has moved permanently."},
	302: {"Found", "The resource has moved temporarily."},
	303: {"See Other", "The response to the request can be found under a different URI."},
	304: {"Not Modified", ""},
	307: {"Temporary Redirect", "The resource has moved temporarily."},
	400: {"Bad Request", "The server could not comply with the request since it is either malformed or otherwise incorrect."},
	401: {"Unauthorized", "This server could not verify that you are authorized to access the document you requested."},
	402: {"Payment Required", "Access was denied for financial reasons."},
	403: {"Forbidden", "Access was denied to this resource."},
	404: {"Not Found", "The resource could not be found."},
	405: {"Method Not Allowed", "The method is not allowed for this resource."},
	406: {"Not Acceptable", "The resource is not available in a format acceptable to your browser."},
	408: {"Request Timeout", "The server has waited too long for the request to be sent by the client."},
	409: {"Conflict", "There was a conflict when trying to complete your request."},
	410: {"Gone", "This resource is no longer available."},
	411: {"Length Required", "Content-Length header required."},
	412: {"Precondition Failed", "A precondition for this request was not met."},
	413: {"Request Entity Too Large", "The body of your request was too large for this server."},
	414: {"Request URI Too Long", "The request URI was too long for this server."},
	415: {"Unsupported Media Type", "The request media type is not supported by this server."},
	416: {"Requested Range Not Satisfiable", "The Range requested is not available."},
	417: {"Expectation Failed", "Expectation failed."},
	422: {"Unprocessable Entity", "Unable to process the contained instructions"},
	499: {"Client Disconnect", "The client was disconnected during request."},
	500: {"Internal Error", "The server has either erred or is incapable of performing the requested operation."},
	501: {"Not Implemented", "The requested method is not implemented by this server."},
	503: {"Service Unavailable", "The server is currently unavailable. Please try again at a later time."},
	507: {"Insufficient Storage", "There was not enough space to save the resource. Drive: unknown"},
}

// Discard ends a reply that does not go out.
func Discard(reply Reply) {
	if reply.Close != nil {
		_ = reply.Close() // nobody reads it: there is nothing to tell
	}
}

// OK tells whether a reply is a success.
func OK(reply Reply) bool { return reply.Status >= 200 && reply.Status < 300 }

// Created, Accepted and NoContent are the replies of changes, as Swift words them.
func Created() Reply { return bare(http.StatusCreated) }

// Accepted says that something was there already.
func Accepted() Reply {
	title, text := Explain(http.StatusAccepted)
	r := bare(http.StatusAccepted)
	r.Body = []byte("<html><h1>" + title + "</h1><p>" + text + "</p></html>")
	return r
}

// NoContent has no body.
func NoContent() Reply { return bare(http.StatusNoContent) }

func bare(status int) Reply {
	return Reply{Status: status, Header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}}}
}
