package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

type (
	word   string
	count  uint16
	spoken struct{ n int }
	shape  struct {
		A int    `json:"a,omitempty"`
		B string `json:"b"`
	}
)

func (s spoken) MarshalJSON() ([]byte, error) { return json.Marshal(map[string]int{"spoken": s.n}) }

// byLibrary is what JSON must give.
func byLibrary(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), err
}

func TestJSONIsWhatTheLibraryWrites(t *testing.T) {
	text, number := "text", 7
	for _, v := range []any{nil, "", "plain", "<&>", "quo\"te\\ \n\t\x00\x7f", "é \u2028 \xff", true, 1, int64(-5), 2.5, 1e21, json.Number("12.50"),
		word("w"), word("é"), count(3), time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), netip.MustParseAddr("10.0.0.1"), spoken{1}, &spoken{2}, shape{}, &shape{A: 1},
		&text, &number, (*string)(nil), (*shape)(nil), []byte("bytes"), json.RawMessage(`{"b":1, "a":2}`), []int{1}, []word{"x"}, map[word]int{"b": 1, "a": 2},
		[]string{}, []string(nil), []any{nil, []any{}}, map[string]any(nil), map[string]any{}, map[string]string{"b": "x", "a": "<"}, []map[string]string{{"a": "b"}},
		map[string]any{"z": []map[string]any{{"b": 1, "a": nil}, nil}, "a b": []string{"x", "é"}, "é": map[string]any{"k": spoken{3}}, "m": map[int]string{2: "b", 1: "a"}},
		[]*shape{{}, nil}, struct{ X any }{map[string]any{"b": 1, "a": 2}}} {
		want, err := byLibrary(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := JSON(v)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%#v:\n%s (%v)\n%s by encoding/json", v, got, err, want)
		}
	}
	for _, v := range []any{make(chan int), map[string]any{"a": []any{func() {}}}, json.Number("x")} {
		if _, err := JSON(v); err == nil {
			t.Errorf("%T is written", v)
		}
	}
	var unsupported *json.UnsupportedTypeError
	if _, err := JSON([]any{make(chan int)}); !errors.As(err, &unsupported) {
		t.Errorf("error %v", err)
	}
}

// TestAroundALongList: what is around a list that is written already, where it is or not.
func TestAroundALongList(t *testing.T) {
	list := func() rendered { return append(make(rendered, roomBefore), `[1,2]`...) }
	for _, c := range []struct {
		body map[string]any
		want string
	}{
		{map[string]any{"things": list()}, `{"things":[1,2]}`},
		{map[string]any{"things": list(), "things_links": []any{"x"}, "with": 1}, `{"things":[1,2],"things_links":["x"],"with":1}`},
		{map[string]any{"things": list(), "links": nil}, `{"links":null,"things":[1,2]}`},
		{map[string]any{strings.Repeat("t", 80): list()}, `{"` + strings.Repeat("t", 80) + `":[1,2]}`},
		{map[string]any{"é\n": list(), "é\t": 1}, ""},
	} {
		for range 2 { // it may be asked for again
			b, err := JSON(c.body)
			if err != nil || !json.Valid(b) || c.want != "" && string(b) != c.want {
				t.Errorf("%s, want %s: %v", b, c.want, err)
			}
		}
	}
	if _, err := JSON(map[string]any{"things": list(), "worse": func() {}}); err == nil {
		t.Error("a function is written")
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"b":[1,"x",null,{"a":true}],"a":"\u00e9<\u2028"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var v any
		if json.Unmarshal(text, &v) != nil {
			return
		}
		want, err := byLibrary(v)
		got, e := JSON(v)
		if (err == nil) != (e == nil) || !bytes.Equal(got, want) {
			t.Fatalf("%s (%v)\n%s by encoding/json (%v)", got, e, want, err)
		}
	})
}

func BenchmarkJSON(b *testing.B) {
	list := make([]map[string]any, 100)
	for i := range list {
		list[i] = map[string]any{"id": "5f5e4086-a2a8-6efd8689188b", "name": "server", "status": word("ACTIVE"), "links": []any{map[string]any{"rel": "self", "href": "http://x"}},
			"metadata": map[string]string{"a": "b"}, "progress": i, "locked": false, "description": nil, "host": "h", "zone": "nova", "created": "2026-11-29T08:00:00Z"}
	}
	body := map[string]any{"servers": list}
	for name, encode := range map[string]func(any) ([]byte, error){"own": JSON, "library": byLibrary} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := encode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
