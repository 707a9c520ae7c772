package swift

import (
	"net/http"
	"strings"
	"time"
)

// Condition gives the status that the conditions of a read ask for: 304, 412, or
// 0 to go on. etags are what counts as the object's ETag, without quotes.
func Condition(h http.Header, modified time.Time, etags ...string) int {
	if match, ok := etagList(h, "If-None-Match"); ok && matches(match, etags) {
		return http.StatusNotModified
	}
	if match, ok := etagList(h, "If-Match"); ok && !matches(match, etags) {
		return http.StatusPreconditionFailed
	}
	shown := Ceil(modified)
	if since, ok := date(h, "If-Modified-Since"); ok && !shown.After(since) {
		return http.StatusNotModified
	}
	if since, ok := date(h, "If-Unmodified-Since"); ok && shown.After(since) {
		return http.StatusPreconditionFailed
	}
	return 0
}

// MissingCondition is Condition for an object that is not there.
func MissingCondition(h http.Header) int {
	if match, ok := etagList(h, "If-Match"); ok && match["*"] {
		return http.StatusPreconditionFailed
	}
	return 0
}

// Conditional tells whether a request has any condition.
func Conditional(h http.Header) bool {
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}

// OnlyNew reads the If-None-Match of a write: "*" asks that nothing is there.
func OnlyNew(h http.Header) (bool, error) {
	match, ok := etagList(h, "If-None-Match")
	if !ok {
		return false, nil
	}
	if !match["*"] {
		return false, FailPlain(http.StatusBadRequest, "If-None-Match only supports *")
	}
	return true, nil
}

func etagList(h http.Header, name string) (map[string]bool, bool) {
	text := h.Get(name)
	if text == "" {
		return nil, false
	}
	list := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list[PlainETag(part)] = true
		}
	}
	return list, len(list) > 0
}

func matches(list map[string]bool, etags []string) bool {
	if list["*"] {
		return true
	}
	for _, e := range etags {
		if list[e] {
			return true
		}
	}
	return false
}

// PlainETag takes the quotes off, and the mark of a weak one.
func PlainETag(text string) string {
	text = strings.TrimPrefix(strings.TrimSpace(text), "W/")
	if len(text) > 1 && text[0] == '"' && text[len(text)-1] == '"' {
		return text[1 : len(text)-1]
	}
	return text
}

func date(h http.Header, name string) (time.Time, bool) {
	text := h.Get(name)
	if text == "" {
		return time.Time{}, false
	}
	t, err := http.ParseTime(text)
	return t, err == nil
}
