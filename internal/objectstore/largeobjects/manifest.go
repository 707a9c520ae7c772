package largeobjects

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// asked is a segment as a client put it, checked in itself.
type asked struct {
	Path  string
	Named string // Path as the client has it
	ETag  string // empty: any
	Size  int64  // -1: any
	Range *swift.RangeSpec
	Data  []byte
}

// inline tells whether the bytes are in the manifest.
func (a *asked) inline() bool { return a.Path == "" }

// read reads a manifest as clients put it. self is "/container/object" of the
// manifest. Its error holds Swift's lines, one per segment that is wrong.
func read(body []byte, self string) ([]asked, error) {
	var raw any
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.UseNumber()
	if err := decoder.Decode(&raw); err != nil || decoder.More() {
		return nil, problem("Manifest must be valid JSON.\n")
	}
	list, ok := raw.([]any)
	if !ok {
		return nil, problem("Manifest must be a list.\n")
	}
	out, lines, objects := make([]asked, 0, len(list)), "", 0
	for i, item := range list {
		a, text := segment(item, i == len(list)-1, self)
		if text != "" {
			lines += fmt.Sprintf("Index %d: %s\n", i, text)
		}
		if m, ok := item.(map[string]any); !ok || m["data"] == nil {
			objects++
		}
		out = append(out, a)
	}
	if len(list) > 0 && objects == 0 {
		lines += "Inline data segments require at least one object-backed segment.\n"
	}
	if lines != "" {
		return nil, problem(lines)
	}
	return out, nil
}

// problem is a text for the client.
type problem string

func (p problem) Error() string { return string(p) }

func segment(item any, last bool, self string) (asked, string) {
	m, ok := item.(map[string]any)
	if !ok {
		return asked{}, "not a JSON object"
	}
	if data, ok := m["data"]; ok {
		if text := extra(m, "data"); text != "" {
			return asked{}, text
		}
		return inline(data)
	}
	if _, ok := m["path"]; !ok {
		return asked{}, "expected keys to include one of 'data' or 'path'"
	}
	if text := extra(m, "path", "range", "etag", "size_bytes"); text != "" {
		return asked{}, text
	}
	return object(m, last, self)
}

func extra(m map[string]any, allowed ...string) string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(allowed, name) {
			quoted, _ := json.Marshal(name) // a text always encodes
			names = append(names, string(quoted))
		}
	}
	if names == nil {
		return ""
	}
	return "extraneous keys " + strings.Join(names, ", ")
}

func inline(data any) (asked, string) {
	text, ok := data.(string)
	if !ok {
		return asked{}, "data must be valid base64"
	}
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		if content, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "=")); err != nil {
			return asked{}, "data must be valid base64"
		}
	}
	if len(content) == 0 {
		return asked{}, "too small; each segment must be at least 1 byte."
	}
	return asked{Data: content, Size: int64(len(content))}, ""
}

func object(m map[string]any, last bool, self string) (asked, string) {
	a := asked{Size: -1}
	var ok bool
	if a.Path, ok = m["path"].(string); !ok {
		return a, `"path" must be a string`
	}
	if etag := m["etag"]; etag != nil {
		if a.ETag, ok = etag.(string); !ok {
			return a, `"etag" must be a string or null (if provided)`
		}
	}
	if !strings.Contains(strings.Trim(a.Path, "/"), "/") {
		return a, "path does not refer to an object. Path must be of the form /container/object."
	}
	if size := m["size_bytes"]; size != nil {
		var err error
		if a.Size, err = strconv.ParseInt(strings.TrimSpace(fmt.Sprint(size)), 10, 64); err != nil {
			return a, "invalid size_bytes"
		}
		if a.Size < 1 && !last {
			return a, "too small; each segment must be at least 1 byte."
		}
	}
	a.Named, a.Path = a.Path, "/"+strings.TrimLeft(a.Path, "/")
	if a.Path == self {
		return a, "manifest must not include itself as a segment"
	}
	return a, ranged(&a, m["range"])
}

func ranged(a *asked, value any) string {
	if value == nil || value == "" {
		return ""
	}
	specs, ok := swift.ParseRange("bytes=" + fmt.Sprint(value))
	switch {
	case !ok:
		return "invalid range"
	case len(specs) > 1:
		return "multiple ranges (only one allowed)"
	case a.Size >= 0 && len(swift.Spans(specs, a.Size)) != 1:
		return "unsatisfiable range"
	}
	a.Range = &specs[0]
	return ""
}
