package largeobjects

import (
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	good := `[{"path":"/c/a","etag":"x","size_bytes":5},{"path":"c/b","size_bytes":"7","range":"1-3"},{"data":"aGk="},{"path":"/c/d","etag":null,"size_bytes":null}]`
	list, err := read([]byte(good), "/c/m")
	if err != nil || len(list) != 4 {
		t.Fatalf("%v, %v", list, err)
	}
	if a := list[1]; a.Path != "/c/b" || a.Size != 7 || a.Range.First != 1 || a.Range.Last != 3 {
		t.Errorf("second: %+v", a)
	}
	if string(list[2].Data) != "hi" || list[3].Size != -1 {
		t.Errorf("others: %+v", list[2:])
	}
	for in, want := range map[string]string{
		`{`:                                   "Manifest must be valid JSON.\n",
		`{}`:                                  "Manifest must be a list.\n",
		`[1]`:                                 "Index 0: not a JSON object\n",
		`[{"etag":"x"}]`:                      "Index 0: expected keys to include one of 'data' or 'path'\n",
		`[{"path":"/c"}]`:                     "Index 0: path does not refer to an object. Path must be of the form /container/object.\n",
		`[{"path":"/c/a","b":1,"a":2}]`:       "Index 0: extraneous keys \"a\", \"b\"\n",
		`[{"path":5}]`:                        "Index 0: \"path\" must be a string\n",
		`[{"path":"/c/a","etag":5}]`:          "Index 0: \"etag\" must be a string or null (if provided)\n",
		`[{"path":"/c/a","size_bytes":"x"}]`:  "Index 0: invalid size_bytes\n",
		`[{"path":"/c/m"}]`:                   "Index 0: manifest must not include itself as a segment\n",
		`[{"path":"/c/a","range":"x"}]`:       "Index 0: invalid range\n",
		`[{"path":"/c/a","range":"1-2,4-5"}]`: "Index 0: multiple ranges (only one allowed)\n",
		`[{"path":"/c/a","size_bytes":5,"range":"7-9"}]`:   "Index 0: unsatisfiable range\n",
		`[{"path":"/c/a","size_bytes":0},{"path":"/c/b"}]`: "Index 0: too small; each segment must be at least 1 byte.\n",
		`[{"data":"***"},{"path":"/c/b"}]`:                 "Index 0: data must be valid base64\n",
		`[{"data":""},{"path":"/c/b"}]`:                    "Index 0: too small; each segment must be at least 1 byte.\n",
		`[{"data":"aGk="}]`:                                "Inline data segments require at least one object-backed segment.\n",
	} {
		if _, err := read([]byte(in), "/c/m"); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`[{"path":"/c/a","etag":"x","size_bytes":5,"range":"0-1"},{"data":"aGk="}]`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := read([]byte(text), "/c/m")
		if err != nil {
			return
		}
		for _, a := range list {
			if !a.inline() && (!strings.HasPrefix(a.Path, "/") || strings.HasPrefix(a.Path, "//") || a.Path == "/c/m") {
				t.Fatalf("path %q of %q", a.Path, text)
			}
			if a.inline() && len(a.Data) == 0 {
				t.Fatalf("empty segment in %q", text)
			}
		}
	})
}
