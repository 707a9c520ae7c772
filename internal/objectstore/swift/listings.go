package swift

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mekcloud/mek/internal/objectstore"
)

// Listing reads the paging parameters of a request.
func Listing(r *Request) (objectstore.Listing, error) {
	l := objectstore.Listing{Limit: ListingLimit}
	for name, into := range map[string]*string{"prefix": &l.Prefix, "delimiter": &l.Delimiter, "marker": &l.Marker, "end_marker": &l.EndMarker} {
		*into = r.Query.Get(name)
		if !utf8.ValidString(*into) {
			return l, FailPlain(http.StatusBadRequest, `"`+name+`" parameter not valid UTF-8`)
		}
	}
	if n, err := strconv.Atoi(r.Query.Get("limit")); err == nil && n >= 0 {
		if n > ListingLimit {
			return l, FailText(http.StatusPreconditionFailed, "Maximum limit is "+itoa(ListingLimit))
		}
		l.Limit = n
	}
	if l.Reverse = r.True("reverse"); l.Reverse {
		l.Marker = strings.ReplaceAll(l.Marker, "\x00", "\x01") // "name\x00" asks for the name too; names have no zero byte
	}
	return l, nil
}

// The representations of listings.
const (
	Plain   = "text/plain"
	JSON    = "application/json"
	XML     = "application/xml"
	TextXML = "text/xml"
)

// Format chooses the representation of a listing by the query or Accept.
func Format(r *Request) (string, error) {
	if format := r.Query.Get("format"); format != "" {
		if !utf8.ValidString(format) {
			return "", FailPlain(http.StatusBadRequest, `"format" parameter not valid UTF-8`)
		}
		switch strings.ToLower(format) {
		case "json":
			return JSON, nil
		case "xml":
			return XML, nil
		}
		return Plain, nil
	}
	best, ok := Acceptable(r.Header.Get("Accept"), Plain, JSON, XML, TextXML)
	if !ok {
		return "", FailText(http.StatusBadRequest, "Invalid Accept header")
	}
	if best == "" {
		return "", Fail(http.StatusNotAcceptable)
	}
	return best, nil
}

// Acceptable picks the offer that an Accept header likes best, the earlier one of
// equals; empty when it likes none, and false when it cannot be read.
func Acceptable(accept string, offers ...string) (string, bool) {
	if strings.TrimSpace(accept) == "" {
		return offers[0], true
	}
	type liked struct {
		kind    string
		quality float64
	}
	var list []liked
	for part := range strings.SplitSeq(accept, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		kind, params, err := mime.ParseMediaType(part)
		if err != nil && kind == "" || strings.Count(kind, "/") != 1 {
			return "", false
		}
		quality := 1.0
		if q, ok := params["q"]; ok {
			if quality, err = strconv.ParseFloat(q, 64); err != nil {
				return "", false
			}
		}
		list = append(list, liked{kind, quality})
	}
	best, score := "", 0.0
	for _, offer := range offers {
		exact, quality := -1, 0.0
		for _, l := range list {
			if e := fit(l.kind, offer); e > exact {
				exact, quality = e, l.quality
			}
		}
		if quality > score {
			best, score = offer, quality
		}
	}
	return best, true
}

// fit says how closely a pattern names an offer: -1 not at all, 2 exactly.
func fit(pattern, offer string) int {
	switch {
	case pattern == offer:
		return 2
	case pattern == "*/*":
		return 0
	case strings.HasSuffix(pattern, "/*") && strings.HasPrefix(offer, pattern[:len(pattern)-1]):
		return 1
	}
	return -1
}
