package hostlink

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/fault"
)

func listOf(t *testing.T, revision int64, body string) (Document, Listed, []json.RawMessage) {
	t.Helper()
	doc, l, texts, err := NewListed("guests", revision, json.RawMessage(body))
	if err != nil || l.Member == "" {
		t.Fatalf("%s is no list: %v", body, err)
	}
	if !doc.Intact() {
		t.Fatalf("%s is not intact", body)
	}
	return doc, l, texts
}

// What is no list of objects with ids, each once, keeps the digest of its text.
func TestOnlyListsAreTakenApart(t *testing.T) {
	for _, body := range []string{`{}`, `[]`, `{"a":"b"}`, `{"a":[1]}`, `{"a":[{}]}`, `{"a":[{"id":""}]}`, `{"a":[{"id":1}]}`, `{"a":[],"b":[]}`, `{"a":[{"id":"1"},{"id":"1"}]}`,
		`{"a":[{"id":"a\\b"}]}`, `{"a":[{"x":{"id":"1"}}]}`} {
		doc, l, _, err := NewListed("guests", 1, json.RawMessage(body))
		if err != nil || l.Member != "" || !doc.Intact() || strings.HasPrefix(doc.Digest, listMark) {
			t.Errorf("%s: %+v, %v, digest %s", body, l, err, doc.Digest)
		}
	}
	doc, l, texts := listOf(t, 1, `{"g":[{"id":"b","x":["]","}\"",{"id":"z"}]},{"n":-1.5e3,"id":"a"}]}`)
	if len(l.Objects) != 2 || l.Objects[0].ID != "a" || string(texts[1]) != `{"id":"b","x":["]","}\"",{"id":"z"}]}` {
		t.Errorf("%+v %s", l, texts)
	}
	if doc.Body[6] = ' '; doc.Intact() {
		t.Error("damage is not found")
	}
}

// A delta leads from one document to the other, and nowhere else.
func TestDeltas(t *testing.T) {
	before, old, _ := listOf(t, 1, `{"g":[{"id":"a","v":1},{"id":"b","v":1},{"id":"c","v":1}]}`)
	want, now, texts := listOf(t, 2, `{"g":[{"id":"a","v":1},{"id":"c","v":2},{"id":"d","v":"<\u2028"}]}`)
	d := Delta{Section: "guests", Revision: 2, Base: before.Digest, Digest: want.Digest, Member: "g", Set: texts[1:], Remove: []string{"b"}}
	if got := old.With([]Listing{now.Objects[2], now.Objects[1]}, d.Remove).Digest(); got != want.Digest {
		t.Errorf("a list knows its digest as %s, want %s", got, want.Digest)
	}
	text, err := Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	var travelled Delta
	if err := json.Unmarshal(text, &travelled); err != nil {
		t.Fatal(err)
	}
	got, err := travelled.Apply(before)
	if err != nil || !bytes.Equal(got.Body, want.Body) || got.Held() != want.Held() || !got.Intact() {
		t.Errorf("%v: %s, want %s", err, got.Body, want.Body)
	}
	if l := PackListed("guests", now).Listed(); !slices.Equal(l.Objects, now.Objects) || l.Member != now.Member {
		t.Errorf("a list arrives as %+v", l)
	}
	for name, wrong := range map[string]func(d *Delta){
		"another base":     func(d *Delta) { d.Base = want.Digest },
		"another epoch":    func(d *Delta) { d.Epoch = 1 },
		"another section":  func(d *Delta) { d.Section = "ports" },
		"another list":     func(d *Delta) { d.Member = "h" },
		"one is missing":   func(d *Delta) { d.Set = d.Set[1:] },
		"a removal less":   func(d *Delta) { d.Remove = nil },
		"a removal more":   func(d *Delta) { d.Remove = []string{"a", "b"} },
		"not an object":    func(d *Delta) { d.Set = append(slices.Clone(d.Set), json.RawMessage(`1`)) },
		"twice the object": func(d *Delta) { d.Set = append(slices.Clone(d.Set), d.Set[0]) },
	} {
		bad := d
		wrong(&bad)
		if _, err := bad.Apply(before); fault.As(err).Code != WholeWanted {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A text is taken apart as it can be put together again.
func FuzzTake(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"g":[{"id":"a"},{"id":"b","x":[1,{"y":"]"}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			return
		}
		body, err := Canonical(json.RawMessage(text))
		if err != nil {
			return
		}
		l, pieces, ok := Take(body)
		if !ok {
			return
		}
		again, _, ok := Take(l.Body(pieces))
		if !ok || again.Digest() != l.Digest() || !json.Valid(l.Body(pieces)) {
			t.Errorf("%s is put together as %s", body, l.Body(pieces))
		}
	})
}
