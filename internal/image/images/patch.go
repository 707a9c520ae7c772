package images

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
)

// The media types of patches. The older one says {"replace": "/name", "value": …}.
const (
	patchType    = "application/openstack-images-v2.1-json-patch"
	oldPatchType = "application/openstack-images-v2.0-json-patch"
)

// operation is one step of a patch: a member of the image, by name.
type operation struct {
	op    string // add, remove, replace
	name  string
	value json.RawMessage // not for remove
	old   bool            // of the older media type: add refuses what is there
}

var operations = []string{"add", "remove", "replace"}

const maxOperations = 1000

var (
	adjacent  = regexp.MustCompile(`/\s*/`)
	badEscape = regexp.MustCompile(`~([^01]|$)`)
)

// parsePatch reads a patch document. Only members of the image itself can be
// named: nothing in it is nested (locations are not served).
func parsePatch(body []byte, mediaType string) ([]operation, error) {
	if mediaType != patchType && mediaType != oldPatchType {
		return nil, fault.New(fault.UnsupportedMedia, "Image PATCH expects Content-Type one of: %s, %s", oldPatchType, patchType)
	}
	var steps []map[string]json.RawMessage
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, fault.Invalidf("Body expected in request.")
	}
	if err := json.Unmarshal(body, &steps); err != nil {
		return nil, fault.Invalidf("Request body must be a JSON array of operation objects.").Because(err)
	}
	if len(steps) > maxOperations {
		return nil, fault.Invalidf("The request has more than %d operations.", maxOperations)
	}
	out := make([]operation, 0, len(steps))
	for _, s := range steps {
		if s == nil {
			return nil, fault.Invalidf("Operations must be JSON objects.")
		}
		o, err := parseOperation(s, mediaType == oldPatchType)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

func parseOperation(s map[string]json.RawMessage, old bool) (operation, error) {
	o := operation{old: old}
	var pointer string
	var err error
	if old {
		o.op, pointer, err = oldTarget(s)
	} else {
		o.op, pointer, err = newTarget(s)
	}
	if err != nil {
		return o, err
	}
	path, err := decodePointer(pointer)
	if err != nil {
		return o, err
	}
	if len(path) != 1 || path[0] == "" {
		return o, fault.Invalidf("Invalid JSON pointer for this resource: '/%s'", strings.Join(path, "/"))
	}
	o.name = path[0]
	if o.op == "remove" {
		return o, nil
	}
	value, ok := s["value"]
	if !ok {
		return o, fault.Invalidf(`Operation "%s" requires a member named "value".`, o.op)
	}
	o.value = value
	return o, nil
}

func newTarget(s map[string]json.RawMessage) (op, pointer string, err error) {
	known := strings.Join(operations, ", ")
	if raw, ok := s["op"]; !ok {
		return "", "", fault.Invalidf("Unable to find `op` in JSON Schema change. It must be one of the following: %s.", known)
	} else if json.Unmarshal(raw, &op) != nil || !slices.Contains(operations, op) {
		return "", "", fault.Invalidf("Invalid operation: `%s`. It must be one of the following: %s.", clip(string(raw)), known)
	}
	raw, ok := s["path"]
	if !ok {
		return "", "", fault.Invalidf("Unable to find 'path' in JSON Schema change")
	}
	return op, text(raw, &pointer), pointerType(raw)
}

func oldTarget(s map[string]json.RawMessage) (op, pointer string, err error) {
	for _, name := range operations {
		raw, ok := s[name]
		if !ok {
			continue
		}
		if op != "" {
			return "", "", fault.Invalidf(`Operation objects must contain only one member named "add", "remove", or "replace".`)
		}
		op, err = name, pointerType(raw)
		text(raw, &pointer)
	}
	if op == "" {
		return "", "", fault.Invalidf(`Operation objects must contain exactly one member named "add", "remove", or "replace".`)
	}
	return op, pointer, err
}

// text decodes a JSON string; what is none stays empty, see pointerType.
func text(raw json.RawMessage, into *string) string {
	if json.Unmarshal(raw, into) != nil {
		return ""
	}
	return *into
}

func pointerType(raw json.RawMessage) error {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil || len(raw) == 0 || raw[0] != '"' {
		return fault.Invalidf("Pointer `%s` is not a string.", clip(string(raw)))
	}
	return nil
}

// decodePointer reads the limited form of JSON pointers that the API takes.
func decodePointer(p string) ([]string, error) {
	say := func(what string) error { return fault.Invalidf("Pointer `%s` %s", clip(p), what) }
	switch {
	case !strings.HasPrefix(p, "/"):
		return nil, say(`does not start with "/".`)
	case adjacent.MatchString(p[1:]):
		return nil, say(`contains adjacent "/".`)
	case len(p) > 1 && strings.HasSuffix(p, "/"):
		return nil, say(`end with "/".`)
	case badEscape.MatchString(p):
		return nil, say(`contains "~" not part of a recognized escape sequence.`)
	}
	var out []string
	for part := range strings.SplitSeq(strings.TrimLeft(p, "/"), "/") {
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		out = append(out, strings.TrimSpace(part))
	}
	return out, nil
}

func clip(s string) string {
	if len(s) <= 100 {
		return s
	}
	return fmt.Sprintf("%s…", strings.ToValidUTF8(s[:100], ""))
}
