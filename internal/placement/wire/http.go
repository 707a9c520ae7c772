package wire

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
)

// The forms of names.
var (
	ClassForm     = regexp.MustCompile(`^[A-Z0-9_]+$`)
	CustomForm    = regexp.MustCompile(`^CUSTOM_[A-Z0-9_]+$`)
	TypeForm      = regexp.MustCompile(`^[A-Z0-9_]+$`)
	TypeQueryForm = regexp.MustCompile(`^[A-Z0-9_]+$|^all|^unknown$`)
	groupForm     = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	numberForm    = regexp.MustCompile(`^[1-9][0-9]*$`)
	uuidForm      = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

// Fresh is the headers that tell caches to ask again, since 1.15. A zero time
// means now, which the caller passes.
func Fresh(v microversion.Version, at, now time.Time) http.Header {
	if v < CacheHeaders {
		return nil
	}
	if at.IsZero() {
		at = now
	}
	return http.Header{"Cache-Control": {"no-cache"}, "Last-Modified": {at.UTC().Format(http.TimeFormat)}}
}

// Accepts refuses clients that do not take JSON.
func Accepts(h http.Header) error {
	if len(h.Values("Accept")) == 0 || accepts(h, "*/*", "application/*", "application/json") {
		return nil
	}
	return fault.New(fault.NotAcceptable, "Only application/json is provided")
}

// accepts tells whether a client names one of these media ranges.
func accepts(h http.Header, ranges ...string) bool {
	for part := range strings.SplitSeq(strings.Join(h.Values("Accept"), ","), ",") {
		kind, parameters, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err == nil && parameters["q"] != "0" && slices.Contains(ranges, kind) { // a range that cannot be read accepts nothing
			return true
		}
	}
	return false
}

// Sends refuses bodies that are not declared to be JSON.
func Sends(r *http.Request) error {
	declared := r.Header.Get("Content-Type")
	if declared == "" && r.ContentLength > 0 {
		return fault.Invalidf("content-type header required when content-length > 0")
	}
	kind, _, err := mime.ParseMediaType(declared)
	if err == nil && kind == "application/json" {
		return nil
	}
	if declared == "" {
		declared = "None"
	}
	return fault.New(fault.UnsupportedMedia, "The media type %s is not supported, use application/json", declared)
}

// BadBody words what is wrong with a body.
func BadBody(err error) error {
	f := fault.As(err)
	if f.Kind != fault.Invalid {
		return err
	}
	if strings.HasPrefix(f.Text, "Malformed request body") {
		return fault.Invalidf("Malformed JSON: %s", f.Text)
	}
	return fault.Invalidf("JSON does not validate: %s", f.Text)
}

// BadField is a body whose member has the wrong form.
func BadField(format string, args ...any) error {
	return fault.Invalidf("JSON does not validate: %s", fmt.Sprintf(format, args...))
}

// Known refuses query parameters that the version does not have.
func Known(q url.Values, known func(name string) bool) error {
	for name := range q {
		if !known(name) {
			return badQuery("Additional properties are not allowed ('%s' was unexpected)", name)
		}
	}
	return nil
}

// OneOf is a set of names for Known.
func OneOf(names ...string) func(string) bool {
	return func(name string) bool { return slices.Contains(names, name) }
}

func badQuery(format string, args ...any) error {
	return fault.Invalidf("Invalid query string parameters: %s", fmt.Sprintf(format, args...))
}

// Last is the value of a parameter that counts when it is repeated.
func Last(q url.Values, name string) (string, bool) {
	values, ok := q[name]
	if !ok {
		return "", false
	}
	return values[len(values)-1], true
}

// Length refuses a query value that is empty or longer than 255.
func Length(q url.Values, name string) error {
	value, ok := Last(q, name)
	if ok && value == "" {
		return badQuery("'' is too short: %s", name)
	}
	if len(value) > 255 {
		return badQuery("%s is too long", name)
	}
	return nil
}

// IsUUID tells whether a key of a body is a UUID as placement spells it: with
// dashes and in lower case.
func IsUUID(s string) bool { return uuidForm.MatchString(s) }

// UUID reads any spelling of a UUID and gives the usual one.
func UUID(s string) (string, bool) {
	hex := strings.NewReplacer("urn:", "", "uuid:", "", "-", "", "{", "", "}", "").Replace(strings.ToLower(s))
	if len(hex) != 32 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", false
	}
	return hex[:8] + "-" + hex[8:12] + "-" + hex[12:16] + "-" + hex[16:20] + "-" + hex[20:], true
}

func positive(text string) (int, bool) {
	if !numberForm.MatchString(text) {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}
