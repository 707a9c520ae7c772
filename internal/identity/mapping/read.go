package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
)

// reader takes JSON apart without encoding/json's leniency about case, null and
// unknown members. It keeps the first error and then reads nothing more.
type reader struct {
	err      error
	plain    bool // texts are what they are, and no templates
	patterns int  // instructions of the expressions so far
}

func (r *reader) fail(path, format string, args ...any) {
	if r.err == nil {
		r.err = fault.Invalidf("Invalid mapping: %s: %s", path, fmt.Sprintf(format, args...))
	}
}

// value decodes into v, which must begin as JSON of this kind does.
func (r *reader) value(raw json.RawMessage, path, kind, begins string, v any) bool {
	if r.err != nil {
		return false
	}
	text := strings.TrimLeft(string(raw), " \t\r\n")
	if text == "" || !strings.Contains(begins, text[:1]) || json.Unmarshal(raw, v) != nil {
		r.fail(path, "is not of type '%s'", kind)
		return false
	}
	return true
}

func (r *reader) text(raw json.RawMessage, path string) (s string) {
	r.value(raw, path, "string", `"`, &s)
	return s
}

func (r *reader) flag(raw json.RawMessage, path string) (b bool) {
	r.value(raw, path, "boolean", "tf", &b)
	return b
}

// array reads a list of at most most items.
func (r *reader) array(raw json.RawMessage, path string, most int) (items []json.RawMessage) {
	if r.value(raw, path, "array", "[", &items) && len(items) > most {
		r.fail(path, "has %d items, more than the %d there may be", len(items), most)
		return nil
	}
	return items
}

// object reads members. A name ending in "!" is required; what is not named is
// refused, unless no name is given at all.
func (r *reader) object(raw json.RawMessage, path string, names ...string) map[string]json.RawMessage {
	var members map[string]json.RawMessage
	if !r.value(raw, path, "object", "{", &members) {
		return nil
	}
	for _, name := range names {
		if required, ok := strings.CutSuffix(name, "!"); ok && members[required] == nil {
			r.fail(path, "'%s' is a required property", required)
			return nil
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if len(names) > 0 && !slices.Contains(names, name) && !slices.Contains(names, name+"!") {
			r.fail(path, "Additional properties are not allowed ('%.64s' was unexpected)", name)
			return nil
		}
	}
	return members
}

// texts reads a list of texts.
func (r *reader) texts(raw json.RawMessage, path string) []string {
	items := r.array(raw, path, maxValues)
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = r.text(item, fmt.Sprintf("%s[%d]", path, i))
	}
	return out
}
