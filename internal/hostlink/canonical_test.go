package hostlink

import (
	"encoding/json"
	"testing"
)

var texts = []string{`{}`, `[]`, `{"b":1,"a":[{"d":null,"c":true}],"c":{}}`, `{"a":1,"a":2}`, `{"a":"\u00e9","é":"<&>","b":"\/"}`, `[1.50,1e3,-0]`,
	`"plain"`, `{"b":{"z":[],"y":{"x":1,"w":"2"}},"a":"` + "\u2028" + `"}`, `{"guests":[{"name":"x","id":"1"},{"id":"2","nics":[{"mtu":1,"mac":"a"}]}]}`}

// The quick way to the canonical text and the one by way of maps agree: a
// digest is compared with one that another program made.
func TestCanonicalIsOneText(t *testing.T) {
	for _, text := range texts {
		same(t, []byte(text))
	}
	got, err := Canonical(map[string]any{"b": json.RawMessage(`{"y":1,"x":"<"}`), "a": struct{ Z, A int }{1, 2}})
	if want := `{"a":{"A":2,"Z":1},"b":{"x":"<","y":1}}`; err != nil || string(got) != want {
		t.Errorf("%s (%v), want %s", got, err, want)
	}
}

func same(t *testing.T, text []byte) {
	t.Helper()
	want, err := decoded(text)
	got, e := Canonical(json.RawMessage(text))
	if (err == nil) != (e == nil) || string(got) != string(want) {
		t.Fatalf("%s\nbecomes    %s (%v)\nby way of maps %s (%v)", text, got, e, want, err)
	}
}

func FuzzCanonical(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if json.Valid(text) {
			same(t, text)
		}
	})
}
