package metadefs

import "testing"

func FuzzNamespace(f *testing.F) {
	for _, s := range []string{`{"namespace":"n","properties":{"p":{"title":"t","type":"string"}}}`, `{"namespace":"n","tags":[{"name":"t"}],"objects":[{"name":"o"}]}`,
		`{"namespace":null}`, `[]`, `{"namespace":"n","protected":null}`, `{"namespace":"n","objects":[null]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := parseNamespace(body, "owner")
		if err != nil {
			return
		}
		if d.Name == "" || (d.Visibility != "public" && d.Visibility != "private") {
			t.Fatalf("accepted %+v", d)
		}
		for _, one := range d.items {
			if one.name == "" || one.kind.check(one.name, one.doc) != nil {
				t.Fatalf("accepted %+v", one)
			}
		}
	})
}
