package images

import (
	"net/url"
	"strings"
	"testing"
)

func FuzzPatch(f *testing.F) {
	for _, s := range []string{`[{"op":"replace","path":"/name","value":"x"}]`, `[{"op":"remove","path":"/a~1b~0"}]`, `[{"add":"/x","value":"y"}]`,
		`[{"op":"add","path":"/tags","value":["a"]}]`, `[null]`, `[{"op":1,"path":{}}]`, `{}`, `[{"op":"add","path":"/~","value":null}]`} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, old bool) {
		kind := patchType
		if old {
			kind = oldPatchType
		}
		steps, err := parsePatch(body, kind)
		if err != nil {
			return
		}
		i, err := newImage([]byte(`{"name":"n","colour":"red"}`), "id", "project")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if s.name == "" || s.op == "" || (s.op != "remove") != (s.value != nil) {
				t.Fatalf("accepted %+v", s)
			}
			if s.apply(i) != nil {
				break
			}
		}
		if i.ID != "id" || i.Status != "queued" || i.Size != -1 || i.Checksum != "" {
			t.Fatalf("a patch changed what is read-only: %+v", i)
		}
		for name := range i.Properties {
			if strings.HasPrefix(name, reservedNamespace) {
				t.Fatalf("a patch set the reserved %q", name)
			}
		}
	})
}

func FuzzNewImage(f *testing.F) {
	for _, s := range []string{`{"name":"x","tags":["b","a","b"]}`, `{"id":"11111111-2222-4333-8444-555555555555"}`, `{"x":null}`, `[]`, `null`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		i, err := newImage(body, "id", "project")
		if err == nil && (i.Status != "queued" || i.Size != -1 || i.Content != "" || i.MinDisk < 0 || len(i.Tags) > maxTags) {
			t.Fatalf("accepted %+v", i)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"limit=1&sort=name:asc,size", `name=in:"a,b",c`, "created_at=gt:2026-05-01T12:01:00Z", "size_min=1&x=y&tag=a", "sort_key=id&sort_dir=asc"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		s, err := parseQuery(v)
		if err != nil {
			return
		}
		for _, o := range s.Order {
			if !strings.Contains(" "+strings.Join(sortKeys, " ")+" ", " "+o.Column+" ") {
				t.Fatalf("sorts by %q", o.Column)
			}
		}
		if s.Limit < 0 || s.Limit > maxPage || len(s.Order) == 0 {
			t.Fatalf("accepted %+v", s)
		}
	})
}
