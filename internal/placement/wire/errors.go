package wire

import (
	"errors"
	"html"
	"net/http"
	"strconv"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/placement"
)

// CodeNoMethod marks a fault that is answered by 405.
const CodeNoMethod = "NoSuchMethod"

// Prefix puts words before a fault's text and may change what it means.
func Prefix(err error, kind fault.Kind, words string) error {
	f := fault.As(err)
	out := *f
	out.Kind, out.Text = kind, words+f.Text
	return &out
}

// Whose tells whether an error is a fault of this kind with this code.
func Whose(err error, kind fault.Kind, code string) bool {
	var f *fault.Fault
	return errors.As(err, &f) && f.Kind == kind && f.Code == code
}

// ErrorBody is the body of an answer that reports a fault.
func ErrorBody(v microversion.Version, status int, f *fault.Fault, requestID string) map[string]any {
	e := map[string]any{"status": status, "title": http.StatusText(status), "detail": f.Text, "request_id": requestID}
	if v >= ErrorCodes {
		e["code"] = placement.CodeUndefined
		if published(f.Code) {
			e["code"] = f.Code
		}
	}
	if f.Kind == fault.NotAcceptable && v == 0 {
		e["min_version"], e["max_version"] = Min.String(), Max.String()
	}
	return map[string]any{"errors": []any{e}}
}

// WantsPage tells whether a client takes HTML and no JSON, as a browser may.
func WantsPage(h http.Header) bool { return accepts(h, "text/html") && Accepts(h) != nil }

// ErrorPage is ErrorBody for people.
func ErrorPage(status int, f *fault.Fault) []byte {
	title := html.EscapeString(strconv.Itoa(status) + " " + http.StatusText(status))
	return []byte("<html>\n<head><title>" + title + "</title></head>\n<body><h1>" + title + "</h1>\n<p>" + html.EscapeString(f.Text) + "</p></body>\n</html>\n")
}

func published(code string) bool {
	switch code {
	case placement.CodeInventoryInUse, placement.CodeConcurrentUpdate, placement.CodeDuplicateName, placement.CodeProviderInUse,
		placement.CodeCannotDeleteParent, placement.CodeProviderNotFound, placement.CodeDuplicateQuery, placement.CodeBadQuery, placement.CodeMissingQuery:
		return true
	}
	return false
}

// Codes of faults that tell what does not exist; clients see them as undefined.
const (
	CodeNoClass     = "ResourceClassNotFound"
	CodeNoTrait     = "TraitNotFound"
	CodeNoInventory = "InventoryNotFound"
	CodeAction      = "ObjectActionError"
)

// NamedBy puts the words for unknown classes or traits before such a fault.
func NamedBy(err error, class, trait string) error {
	switch {
	case err == nil:
		return nil
	case Whose(err, fault.Invalid, CodeNoClass):
		return Prefix(err, fault.Invalid, class)
	case Whose(err, fault.Invalid, CodeNoTrait):
		return Prefix(err, fault.Invalid, trait)
	}
	return err
}

// ActionFailed puts words before the fault of an action on a provider.
func ActionFailed(err error, words string) error {
	if Whose(err, fault.Invalid, CodeAction) {
		return Prefix(err, fault.Invalid, words)
	}
	return err
}

// NotFound words a fault anew if it is about something missing.
func NotFound(err error, text string) error {
	if fault.Is(err, fault.NotFound) {
		return fault.NotFoundf("%s", text)
	}
	return err
}
