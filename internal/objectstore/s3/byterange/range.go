package byterange

import (
	"strconv"
	"strings"
)

// Range is one range as it was asked for; First < 0: the last bytes, Last < 0: to the end.
type Range struct{ First, Last int64 }

// Parse reads a header with one range. Everything else is ignored, as
// Amazon does: the whole object is the answer.
func Parse(header string) (Range, bool) {
	text, ok := strings.CutPrefix(strings.ReplaceAll(header, " ", ""), "bytes=")
	from, to, found := strings.Cut(text, "-")
	if !ok || !found || from == "" && to == "" {
		return Range{}, false
	}
	r := Range{-1, -1}
	for _, end := range []struct {
		text string
		into *int64
	}{{from, &r.First}, {to, &r.Last}} {
		if end.text == "" {
			continue
		}
		n, err := strconv.ParseInt(end.text, 10, 64)
		if err != nil || n < 0 || end.text[0] == '+' {
			return Range{}, false
		}
		*end.into = n
	}
	return r, r.First < 0 || r.Last < 0 || r.First <= r.Last
}

// In gives the bytes that exist; n is 0 when there are none.
func (r Range) In(size int64) (from, n int64) {
	switch {
	case r.First < 0:
		n = min(r.Last, size)
		return size - n, n
	case r.First >= size:
		return 0, 0
	case r.Last < 0:
		return r.First, size - r.First
	}
	return r.First, min(r.Last, size-1) - r.First + 1
}
