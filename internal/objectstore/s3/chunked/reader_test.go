package chunked_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mekcloud/mek/internal/objectstore/s3/chunked"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// words accepts chunks by the words "good" and trailers by "fine".
type words struct{}

func (words) Chunk(_, signature string) bool { return signature == "good" }
func (words) Trailer(canonical, signature string) bool {
	return canonical == "x-amz-checksum-crc32:AAAAAA==\n" && signature == "fine"
}

func mismatch() error { return failure.New(failure.SignatureDoesNotMatch) }

func signed(size int64) chunked.Options {
	return chunked.Options{Size: size, Checker: words{}, Mismatch: mismatch}
}

func TestReader(t *testing.T) {
	big := strings.Repeat("x", 8192)
	trailer := chunked.Options{Size: 5, Trailers: []string{"x-amz-checksum-crc32"}}
	both := signed(5)
	both.Trailers, both.SignedTrailers = trailer.Trailers, true
	for name, c := range map[string]struct {
		body string
		o    chunked.Options
		want string // of the body, or a code
	}{
		"unsigned":              {"5\r\nhello\r\n0\r\n\r\n", chunked.Options{Size: 5}, "hello"},
		"without a last line":   {"5\r\nhello\r\n0\r\n", chunked.Options{Size: 5}, "hello"},
		"two chunks":            {"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", chunked.Options{Size: 5}, "hello"},
		"empty":                 {"0\r\n\r\n", chunked.Options{}, ""},
		"with a trailer":        {"5\r\nhello\r\n0\r\nX-Amz-Checksum-Crc32:AAAAAA==\r\n\r\n", trailer, "hello"},
		"trailer and end":       {"5\r\nhello\r\n0\r\nx-amz-checksum-crc32: AAAAAA==\r\n", trailer, "hello"},
		"signed":                {"5;chunk-signature=good\r\nhello\r\n0;chunk-signature=good\r\n\r\n", signed(5), "hello"},
		"signed trailer":        {"5;chunk-signature=good\r\nhello\r\n0;chunk-signature=good\r\nx-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:fine\r\n\r\n", both, "hello"},
		"wrong trailer":         {"5;chunk-signature=good\r\nhello\r\n0;chunk-signature=good\r\nx-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:bad\r\n\r\n", both, failure.SignatureDoesNotMatch},
		"trailer without proof": {"5;chunk-signature=good\r\nhello\r\n0;chunk-signature=good\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", both, failure.SignatureDoesNotMatch},
		"missing trailer":       {"5\r\nhello\r\n0\r\n\r\n", trailer, failure.MalformedTrailer},
		"foreign trailer":       {"5\r\nhello\r\n0\r\nx-amz-meta-a:b\r\n\r\n", trailer, failure.MalformedTrailer},
		"wrong signature":       {"5;chunk-signature=bad\r\nhello\r\n0;chunk-signature=good\r\n\r\n", signed(5), failure.SignatureDoesNotMatch},
		"wrong last signature":  {"5;chunk-signature=good\r\nhello\r\n0;chunk-signature=bad\r\n\r\n", signed(5), failure.SignatureDoesNotMatch},
		"no signature":          {"5\r\nhello\r\n0\r\n\r\n", signed(5), failure.SignatureDoesNotMatch},
		"small chunk":           {"3;chunk-signature=good\r\nhel\r\n2;chunk-signature=good\r\nlo\r\n0;chunk-signature=good\r\n\r\n", signed(5), failure.InvalidChunkSize},
		"large then small":      {"2000;chunk-signature=good\r\n" + big + "\r\n1;chunk-signature=good\r\ny\r\n0;chunk-signature=good\r\n\r\n", signed(8193), big + "y"},
		"too long":              {"6\r\nhello!\r\n0\r\n\r\n", chunked.Options{Size: 5}, failure.IncompleteBody},
		"too short":             {"4\r\nhell\r\n0\r\n\r\n", chunked.Options{Size: 5}, failure.IncompleteBody},
		"broken off":            {"5\r\nhel", chunked.Options{Size: 5}, failure.IncompleteBody},
		"no last chunk":         {"5\r\nhello\r\n", chunked.Options{Size: 5}, failure.IncompleteBody},
		"no line":               {"5", chunked.Options{Size: 5}, failure.IncompleteBody},
		"no number":             {"\r\nhello", chunked.Options{Size: 5}, failure.IncompleteBody},
		"negative":              {"-5\r\nhello", chunked.Options{Size: 5}, failure.IncompleteBody},
		"endless line":          {strings.Repeat("0", 100000), chunked.Options{Size: 5}, failure.IncompleteBody},
		"bytes between":         {"5\r\nhelloXX0\r\n\r\n", chunked.Options{Size: 5}, failure.IncompleteBody},
	} {
		for way, in := range map[string]io.Reader{"whole": strings.NewReader(c.body), "by bytes": iotest.OneByteReader(strings.NewReader(c.body))} {
			got, err := io.ReadAll(chunked.New(in, c.o))
			if f := failure.As(err); f != nil {
				got = []byte(f.Code)
			} else if err != nil {
				t.Errorf("%s, %s: %v is no answer", name, way, err)
			}
			if string(got) != c.want {
				t.Errorf("%s, %s: %.100q (%v), want %.100q", name, way, got, err, c.want)
			}
		}
	}
}

func TestTrailerValue(t *testing.T) {
	r := chunked.New(strings.NewReader("0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"), chunked.Options{Trailers: []string{"x-amz-checksum-crc32"}})
	if _, err := io.ReadAll(r); err != nil || r.Trailer("x-amz-checksum-crc32") != "AAAAAA==" {
		t.Errorf("trailer %q, %v", r.Trailer("x-amz-checksum-crc32"), err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("5;chunk-signature=good\r\nhello\r\n0;chunk-signature=good\r\nx-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:fine\r\n\r\n"), int64(5), true)
	f.Add([]byte("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"), int64(5), false)
	f.Fuzz(func(t *testing.T, body []byte, size int64, sign bool) {
		if size < 0 || size > 1<<20 {
			return
		}
		o := chunked.Options{Size: size}
		if sign {
			o = signed(size)
			o.Trailers, o.SignedTrailers = []string{"x-amz-checksum-crc32"}, true
		}
		got, err := io.ReadAll(chunked.New(bytes.NewReader(body), o))
		switch {
		case err == nil && int64(len(got)) != size:
			t.Fatalf("%d bytes, want %d", len(got), size)
		case int64(len(got)) > size:
			t.Fatal("more bytes than announced")
		case err != nil && failure.As(err) == nil:
			t.Fatalf("no answer: %v", err)
		}
		var again bytes.Buffer
		if _, err2 := io.Copy(&again, chunked.New(iotest.OneByteReader(bytes.NewReader(body)), o)); fmt.Sprint(err) != fmt.Sprint(err2) && !errors.Is(err, err2) {
			t.Fatalf("by bytes %v, at once %v", err2, err)
		}
	})
}
