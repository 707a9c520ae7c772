package signature

import (
	"net/url"
	"slices"
	"strings"
)

// query is the parameters of an address as they were signed: in order, with
// repetitions, and with those that net/url would drop.
type query []parameter

type parameter struct{ name, value string }

func parseQuery(raw string) query {
	var q query
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		q = append(q, parameter{unescape(name), unescape(value)})
	}
	return q
}

// unescape undoes percent escapes; what is none stays.
func unescape(s string) string {
	if out, err := url.QueryUnescape(s); err == nil {
		return out
	}
	return s
}

func (q query) has(name string) bool {
	return slices.ContainsFunc(q, func(p parameter) bool { return p.name == name })
}

func (q query) get(name string) string {
	for _, p := range q {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

// escape escapes everything but letters, digits and "-_.~", and slashes when
// they may stay.
func escape(s string, slashes bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_.~", c) >= 0, slashes && c == '/':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}

// canonical is the query of a canonical request: escaped and sorted, without
// the signature itself.
func (q query) canonical() string {
	words := make([]string, 0, len(q))
	for _, p := range q {
		if p.name != "X-Amz-Signature" && p.name != "Signature" {
			words = append(words, escape(p.name, false)+"="+escape(p.value, false))
		}
	}
	slices.SortFunc(words, func(a, b string) int {
		an, av, _ := strings.Cut(a, "=")
		bn, bv, _ := strings.Cut(b, "=")
		if c := strings.Compare(an, bn); c != 0 {
			return c
		}
		return strings.Compare(av, bv)
	})
	return strings.Join(words, "&")
}
