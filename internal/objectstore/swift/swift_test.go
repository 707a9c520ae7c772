package swift

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

func TestSpans(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header string
		length int64
		ok     bool
		want   []Span
	}{
		{"bytes=0-4", 10, true, []Span{{0, 5}}},
		{"bytes = 0 - 4", 10, true, []Span{{0, 5}}},
		{"Bytes=2-", 10, true, []Span{{2, 10}}},
		{"bytes=-3", 10, true, []Span{{7, 10}}},
		{"bytes=-30", 10, true, []Span{{0, 10}}},
		{"bytes=5-100", 10, true, []Span{{5, 10}}},
		{"bytes=10-", 10, true, nil},
		{"bytes=-0", 10, true, nil},
		{"bytes=0-0,5-6,-1", 10, true, []Span{{0, 1}, {5, 7}, {9, 10}}},
		{"bytes=20-,1-1", 10, true, []Span{{1, 2}}},
		{"bytes=5-3", 10, false, nil},
		{"bytes=-", 10, false, nil},
		{"bytes=4", 10, false, nil},
		{"bytes=a-b", 10, false, nil},
		{"bytes=--1", 10, false, nil},
		{"bytes=+1-2", 10, false, nil},
		{"items=0-4", 10, false, nil},
		{"", 10, false, nil},
		{"bytes=0-9,0-9,0-9,0-9", 10, true, nil}, // costs more than it is worth
	} {
		specs, ok := ParseRange(c.header)
		if ok != c.ok {
			t.Errorf("%q: ok %v", c.header, ok)
			continue
		}
		if got := Spans(specs, c.length); ok && !slices.Equal(got, c.want) {
			t.Errorf("%q of %d: %v, want %v", c.header, c.length, got, c.want)
		}
	}
}

func TestCondition(t *testing.T) {
	t.Parallel()
	modified := time.Date(2026, 1, 2, 3, 4, 5, 600000000, time.UTC)
	shown := LastModified(modified)
	if shown != "Fri, 02 Jan 2026 03:04:06 GMT" {
		t.Fatalf("Last-Modified %s", shown)
	}
	for _, c := range []struct {
		name, value string
		want        int
	}{
		{"If-Match", `"abc"`, 0}, {"If-Match", "abc", 0}, {"If-Match", "*", 0}, {"If-Match", `"x", "abc"`, 0}, {"If-Match", `"x"`, 412},
		{"If-None-Match", `"x"`, 0}, {"If-None-Match", `"abc"`, 304}, {"If-None-Match", "*", 304}, {"If-None-Match", `W/"abc"`, 304},
		{"If-Modified-Since", shown, 304}, {"If-Modified-Since", "Fri, 02 Jan 2026 03:04:05 GMT", 0}, {"If-Modified-Since", "nonsense", 0},
		{"If-Unmodified-Since", shown, 0}, {"If-Unmodified-Since", "Fri, 02 Jan 2026 03:04:05 GMT", 412},
	} {
		if got := Condition(http.Header{c.name: {c.value}}, modified, "abc"); got != c.want {
			t.Errorf("%s: %s gives %d, want %d", c.name, c.value, got, c.want)
		}
	}
}

func TestAcceptable(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]string{
		"": Plain, "*/*": Plain, "application/json": JSON, "text/xml": TextXML, "application/*": JSON, "application/json;q=0.2, application/xml": XML,
		"image/png": "", "text/plain;q=0, */*": JSON,
	} {
		if got, ok := Acceptable(accept, Plain, JSON, XML, TextXML); !ok || got != want {
			t.Errorf("%q: %q, %v; want %q", accept, got, ok, want)
		}
	}
	for _, accept := range []string{"nonsense", "text/plain;q=x", "a/b/c"} {
		if got, ok := Acceptable(accept, Plain); ok {
			t.Errorf("%q: %q", accept, got)
		}
	}
}

func TestStamp(t *testing.T) {
	t.Parallel()
	if got := Stamp(time.Unix(1400000000, 123456789)); got != "1400000000.12345" {
		t.Error(got)
	}
	if got := Stamp(time.Unix(5, 0)); got != "0000000005.00000" {
		t.Error(got)
	}
}

func TestDeleteAt(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		name, value string
		want        int64
		fault       string
	}{
		{"X-Delete-After", "60", 1060, ""}, {"X-Delete-At", "1001", 1001, ""}, {"X-Delete-At", "99999999999", 9999999999, ""},
		{"X-Delete-After", "99999999999999", 9999999999, ""},
		{"X-Delete-At", "111111111111111111111111111111", 9999999999, ""},
		{"X-Delete-After", "x", 0, "Non-integer X-Delete-After"}, {"X-Delete-At", "x", 0, "Non-integer X-Delete-At"},
		{"X-Delete-After", "0", 0, "X-Delete-After in past"}, {"X-Delete-After", "-5", 0, "X-Delete-After in past"},
		{"X-Delete-At", "1000", 0, "X-Delete-At in past"}, {"X-Delete-At", "", 0, "Non-integer X-Delete-At"},
	} {
		got, err := DeleteAt(http.Header{c.name: {c.value}}, now)
		if c.fault != "" {
			if f, ok := err.(*Failure); !ok || f.Text != c.fault || f.Status != http.StatusBadRequest {
				t.Errorf("%s: %s gives %v", c.name, c.value, err)
			}
			continue
		}
		if err != nil || got.Unix() != c.want {
			t.Errorf("%s: %s gives %v, %v", c.name, c.value, got, err)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-4", "bytes=-1,5-", "bytes=9223372036854775807-"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, length int64) {
		specs, ok := ParseRange(header)
		if !ok || length < 0 {
			return
		}
		for _, s := range Spans(specs, length) {
			if s.Start < 0 || s.Start >= s.End && length > 0 || s.End > length {
				t.Fatalf("%q of %d gives %v", header, length, s)
			}
		}
	})
}

func FuzzUnquote(f *testing.F) {
	f.Add("a%2Fb%zz%")
	f.Fuzz(func(t *testing.T, text string) {
		Unquote(text)
		if got := Unquote(Quote(text)); got != text {
			t.Fatalf("%q becomes %q", text, got)
		}
		if plain, err := url.PathUnescape(text); err == nil && plain != Unquote(text) {
			t.Fatalf("%q: %q, want %q", text, Unquote(text), plain)
		}
		container, object, ok := SplitPath(text)
		if ok && (container == "" || object == "") {
			t.Fatalf("%q splits into %q and %q", text, container, object)
		}
	})
}

func FuzzAcceptable(f *testing.F) {
	f.Add("text/plain;q=0.5, application/*")
	f.Fuzz(func(t *testing.T, accept string) {
		if got, _ := Acceptable(accept, Plain, JSON); got != "" && got != Plain && got != JSON {
			t.Fatalf("%q gives %q", accept, got)
		}
	})
}
