package byterange_test

import (
	"testing"

	"github.com/mekcloud/mek/internal/objectstore/s3/byterange"
)

func FuzzRange(f *testing.F) {
	f.Add("bytes=0-3", int64(10))
	f.Add("bytes=-5", int64(3))
	f.Add("bytes=9223372036854775807-", int64(1))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		if r, ok := byterange.Parse(header); ok {
			if from, n := r.In(size); from < 0 || n < 0 || from > size-n {
				t.Fatalf("%q of %d gives %d bytes from %d", header, size, n, from)
			}
		}
	})
}
