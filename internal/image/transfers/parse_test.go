package transfers

import (
	"testing"

	"github.com/mekcloud/mek/internal/fault"
)

func FuzzTask(f *testing.F) {
	for _, s := range []string{`{"type":"import","input":{"import_from":"http://here/"}}`, `{"type":"import","input":{"import_from":["file:///x"]}}`, `{"type":"location_import","input":null}`,
		`{"type":1,"input":{}}`, `{"type":"import","input":{},"x":1}`, `null`, `{`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_, input, err := parseTask(body)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if uri, err := importFrom(input, true); err == nil && len(uri) < len("http://") {
			t.Fatalf("%q may be fetched", uri)
		}
	})
}

func FuzzLocation(f *testing.F) {
	for _, s := range []string{`{"url":"http://here/"}`, `{"url":"","validation_data":{"os_hash_algo":"sha512","os_hash_value":"00"}}`, `{"url":null}`, `{"url":1}`, `null`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		l, err := parseLocation(body)
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
		if err == nil && l.Hash.Value != "" && len(l.Hash.Value) != 128 {
			t.Fatalf("digest %q", l.Hash.Value)
		}
	})
}
