package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
)

// Payload is the body as it came (on action routes: the action's value).
func (c *Call) Payload() json.RawMessage { return c.payload }

// Decode reads the body (on action routes: the action's value) into a pointer
// to a struct, strictly: names are case-sensitive, unknown names and names
// newer than the request's version are refused, null is refused unless the
// field is an Opt, a pointer tagged `v:"null"`, any or json.RawMessage.
//
// Field tags: `json:"name"`, `since:"2.52"` and `until:"2.57"` (versions), and
// `v:"…"` with a comma-separated list of required, null, min=N, max=N (length
// of strings and lists, value of numbers), enum=a|b, uuid, name (no leading or
// trailing blanks, printable), match=REGEXP (last in the list).
func (c *Call) Decode(into any) error {
	c.trace.decodes(into)
	return decode(c.payload, into, c.Version)
}

// DecodeValue is Decode for a piece of JSON from elsewhere, at no version.
func DecodeValue(raw json.RawMessage, into any) error { return decode(raw, into, 0) }

func decode(raw json.RawMessage, into any, version microversion.Version) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return fault.Invalidf("Malformed request body: it is empty")
	}
	if !json.Valid(raw) {
		return fault.Invalidf("Malformed request body: not valid JSON")
	}
	w := walker{version: version}
	if err := w.value(raw, reflect.TypeOf(into).Elem(), "", &rules{}, 0); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fault.Invalidf("Invalid input in the request body: %s", describe(err)).Because(err)
	}
	return nil
}

func describe(err error) string {
	if e, ok := err.(*json.UnmarshalTypeError); ok {
		return fmt.Sprintf("%s is not of the type that field '%s' has", e.Value, e.Field)
	}
	return "a value is not of the type that its field has"
}

const maxDepth = 32

// walker checks a text that is valid JSON against what it will be decoded to.
type walker struct{ version microversion.Version }

// value checks one JSON value against the type it will be decoded to.
func (w walker) value(raw json.RawMessage, t reflect.Type, path string, r *rules, depth int) error {
	if depth > maxDepth {
		return fault.Invalidf("The request body is nested too deeply")
	}
	s, null := formOf(t), string(raw) == "null"
	switch {
	case s.free:
		return r.check(raw, path)
	case s.optional && null:
		return nil
	case s.optional:
		return w.value(raw, s.inner, path, r, depth)
	case null && !r.null:
		if t.Kind() == reflect.Pointer {
			return w.value(raw, s.inner, path, r, depth)
		}
		return invalidField(path, "None", "null is not allowed here")
	case null:
		return nil
	case t.Kind() == reflect.Pointer:
		return w.value(raw, s.inner, path, r, depth)
	case s.decodesItself:
		return r.check(raw, path)
	}
	return w.kind(raw, t, path, r, depth)
}

func (w walker) kind(raw json.RawMessage, t reflect.Type, path string, r *rules, depth int) error {
	switch t.Kind() {
	case reflect.Struct:
		return w.object(raw, formOf(t), path, depth)
	case reflect.Slice, reflect.Array:
		return w.list(raw, t, path, r, depth)
	case reflect.Map:
		return w.dictionary(raw, t, path, r, depth)
	case reflect.String:
		if raw[0] != '"' {
			return invalidField(path, string(raw), "it is not of type 'string'")
		}
	case reflect.Bool:
		if s := string(raw); s != "true" && s != "false" {
			return invalidField(path, s, "it is not of type 'boolean'")
		}
	case reflect.Int, reflect.Int32, reflect.Int64:
		text := string(raw)
		if t == intType {
			text = strings.Trim(text, `"`)
		}
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return invalidField(path, string(raw), "it is not of type 'integer'")
		}
	}
	return r.check(raw, path)
}

func (w walker) object(raw json.RawMessage, s *form, path string, depth int) error {
	if raw[0] != '{' {
		return invalidField(path, clip(string(raw)), "it is not of type 'object'")
	}
	members := membersOf(raw)
	for i := range s.fields {
		f := &s.fields[i]
		if w.version != 0 && !f.within.Has(w.version) {
			continue
		}
		value := members.take(f.name)
		if value == nil {
			if f.rules.required {
				return fault.Invalidf("Invalid input for field/attribute %s. '%s' is a required property", strings.TrimPrefix(path, "."), f.name)
			}
			continue
		}
		if err := w.value(value, f.of, path+"."+f.name, f.rules, depth+1); err != nil {
			return err
		}
	}
	if name, found := members.untaken(); found {
		return fault.Invalidf("Invalid input for field/attribute %s. Additional properties are not allowed ('%s' was unexpected)",
			strings.TrimPrefix(path, "."), clip(name))
	}
	return nil
}

func (w walker) list(raw json.RawMessage, t reflect.Type, path string, r *rules, depth int) error {
	if raw[0] != '[' {
		return invalidField(path, clip(string(raw)), "it is not of type 'array'")
	}
	items := itemsOf(raw)
	for i, item := range items {
		if err := w.value(item, t.Elem(), path+"."+strconv.Itoa(i), r.ofItems(), depth+1); err != nil {
			return err
		}
	}
	return r.checkLength(len(items), path)
}

func (w walker) dictionary(raw json.RawMessage, t reflect.Type, path string, r *rules, depth int) error {
	if raw[0] != '{' {
		return invalidField(path, clip(string(raw)), "it is not of type 'object'")
	}
	members := membersOf(raw).sorted()
	for _, m := range members {
		if err := w.value(m.value, t.Elem(), path+"."+m.name, r.ofItems(), depth+1); err != nil {
			return err
		}
	}
	return r.checkLength(len(members), path)
}

func invalidField(path, value, why string) error {
	return fault.Invalidf("Invalid input for field/attribute %s. Value: %s. %s", strings.TrimPrefix(path, "."), value, why)
}

func clip(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}
