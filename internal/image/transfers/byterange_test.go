package transfers

import "testing"

func FuzzByteRange(f *testing.F) {
	for _, s := range []string{"", "bytes=0-4", "bytes=5-", "bytes=-3", "bytes=9-1", "bytes=0-1,2-3", "bytes=-0", "bytes=99999999999999999999-"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		start, length, partial, ok := byteRange(header, size)
		if ok && (start < 0 || length < 0 || start+length > size || (partial && length == 0)) {
			t.Fatalf("%q of %d: %d bytes from %d", header, size, length, start)
		}
	})
}
