package transfers

import (
	"strconv"
	"strings"
)

// byteRange reads a Range header against a size: one range, "bytes=2-5",
// "bytes=2-" or "bytes=-3". Without a header it is all; not ok: it cannot be
// satisfied, or is not understood.
func byteRange(header string, size int64) (start, length int64, partial, ok bool) {
	if header == "" {
		return 0, size, false, true
	}
	text, isBytes := strings.CutPrefix(strings.TrimSpace(header), "bytes=")
	first, last, isRange := strings.Cut(text, "-")
	if !isBytes || !isRange {
		return 0, 0, false, false
	}
	if first == "" {
		n, err := strconv.ParseUint(last, 10, 63)
		if err != nil || n == 0 || size == 0 {
			return 0, 0, false, false
		}
		n = min(n, uint64(size))
		return size - int64(n), int64(n), true, true
	}
	from, err := strconv.ParseUint(first, 10, 63)
	if err != nil || int64(from) >= size {
		return 0, 0, false, false
	}
	to := uint64(size - 1)
	if last != "" {
		end, err := strconv.ParseUint(last, 10, 63)
		if err != nil || end < from {
			return 0, 0, false, false
		}
		to = min(to, end)
	}
	return int64(from), int64(to-from) + 1, true, true
}
