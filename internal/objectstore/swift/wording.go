package swift

import (
	"crypto/md5" //nolint:gosec // the wire's own checksum
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Stamp is a time as X-Timestamp shows it: seconds with five digits, padded to
// sixteen places.
func Stamp(t time.Time) string {
	units := t.UnixMicro() / 10
	text := strconv.FormatInt(units/100000, 10)
	for len(text) < 10 {
		text = "0" + text
	}
	rest := strconv.FormatInt(units%100000, 10)
	for len(rest) < 5 {
		rest = "0" + rest
	}
	return text + "." + rest
}

// LastModified is the header of an object: whole seconds, rounded up so that a
// change within the second is never missed.
func LastModified(t time.Time) string { return Ceil(t).UTC().Format(http.TimeFormat) }

// Ceil rounds a time up to whole seconds.
func Ceil(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); !whole.Equal(t) {
		return whole.Add(time.Second)
	}
	return t
}

// ListedTime is a time in listings.
func ListedTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000") }

// maxDeleteAt is the last second that Swift can name in ten digits.
const maxDeleteAt = 9999999999

// DeleteAt reads X-Delete-After and X-Delete-At of a request. Zero: neither.
func DeleteAt(h http.Header, now time.Time) (time.Time, error) {
	at := h.Get("X-Delete-At")
	if _, ok := h["X-Delete-After"]; ok {
		seconds, ok := wholeSeconds(h.Get("X-Delete-After"))
		if !ok {
			return time.Time{}, FailPlain(http.StatusBadRequest, "Non-integer X-Delete-After")
		}
		if seconds <= 0 {
			return time.Time{}, FailPlain(http.StatusBadRequest, "X-Delete-After in past")
		}
		at = strconv.FormatInt(min(now.Unix()+min(seconds, maxDeleteAt), maxDeleteAt), 10)
	} else if _, ok := h["X-Delete-At"]; !ok {
		return time.Time{}, nil
	}
	seconds, ok := wholeSeconds(at)
	if !ok {
		return time.Time{}, FailPlain(http.StatusBadRequest, "Non-integer X-Delete-At")
	}
	when := time.Unix(min(seconds, maxDeleteAt), 0)
	if !when.After(now) {
		return time.Time{}, FailPlain(http.StatusBadRequest, "X-Delete-At in past")
	}
	return when, nil
}

// Unquote takes the escapes of a path away; wrong ones stay as they are.
func Unquote(text string) string {
	if strings.IndexByte(text, '%') < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if v, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil {
				out, i = append(out, byte(v)), i+2
				continue
			}
		}
		out = append(out, text[i])
	}
	return string(out)
}

// wholeSeconds reads a number of seconds; what is too large for any clock is the
// last second there is.
func wholeSeconds(text string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if errors.Is(err, strconv.ErrRange) && n > 0 {
		return maxDeleteAt, true
	}
	return n, err == nil
}

// Hash is the MD5 of some bytes, which Swift calls their ETag.
func Hash(content []byte) string {
	sum := md5.Sum(content) //nolint:gosec // the wire's own checksum
	return hex.EncodeToString(sum[:])
}
