package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
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
	if err := w.value(raw, reflect.TypeOf(into).Elem(), "", "", 0); err != nil {
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

type walker struct{ version microversion.Version }

var (
	rawType         = reflect.TypeFor[json.RawMessage]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	optType         = reflect.TypeFor[optional]()
	intType         = reflect.TypeFor[Int]()
)

// value checks one JSON value against the type it will be decoded to.
func (w walker) value(raw json.RawMessage, t reflect.Type, path, rules string, depth int) error {
	if depth > maxDepth {
		return fault.Invalidf("The request body is nested too deeply")
	}
	null := string(raw) == "null"
	switch {
	case t == rawType || t.Kind() == reflect.Interface:
		return checkRules(raw, path, rules)
	case reflect.PointerTo(t).Implements(optType):
		if null {
			return nil
		}
		inner, _ := t.FieldByName("V")
		return w.value(raw, inner.Type, path, rules, depth)
	case t.Kind() == reflect.Pointer:
		if null && hasRule(rules, "null") {
			return nil
		}
		return w.value(raw, t.Elem(), path, rules, depth)
	case null && !hasRule(rules, "null"):
		return invalidField(path, "None", "null is not allowed here")
	case null:
		return nil
	case t != intType && reflect.PointerTo(t).Implements(unmarshalerType):
		return checkRules(raw, path, rules)
	}
	switch t.Kind() {
	case reflect.Struct:
		return w.object(raw, t, path, depth)
	case reflect.Slice, reflect.Array:
		return w.list(raw, t, path, rules, depth)
	case reflect.Map:
		return w.dictionary(raw, t, path, rules, depth)
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
	return checkRules(raw, path, rules)
}

func (w walker) object(raw json.RawMessage, t reflect.Type, path string, depth int) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return invalidField(path, clip(string(raw)), "it is not of type 'object'")
	}
	known := map[string]bool{}
	for f := range structFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" || !w.inVersion(f.Tag) {
			continue
		}
		known[name] = true
		member, there := members[name]
		if !there {
			if hasRule(f.Tag.Get("v"), "required") {
				return fault.Invalidf("Invalid input for field/attribute %s. '%s' is a required property", strings.TrimPrefix(path, "."), name)
			}
			continue
		}
		if err := w.value(member, f.Type, path+"."+name, f.Tag.Get("v"), depth+1); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(members) {
		if !known[name] {
			return fault.Invalidf("Invalid input for field/attribute %s. Additional properties are not allowed ('%s' was unexpected)",
				strings.TrimPrefix(path, "."), clip(name))
		}
	}
	return nil
}

// structFields walks the fields of a struct, those of embedded structs too.
func structFields(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			if !f.Anonymous && f.IsExported() && !yield(f) {
				return
			}
		}
	}
}

func (w walker) inVersion(tag reflect.StructTag) bool {
	bound := func(key string) microversion.Version {
		v, err := microversion.Parse(tag.Get(key))
		if err != nil {
			return 0 // no tag
		}
		return v
	}
	return w.version == 0 || microversion.Range{Since: bound("since"), Until: bound("until")}.Has(w.version)
}

func (w walker) list(raw json.RawMessage, t reflect.Type, path, rules string, depth int) error {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return invalidField(path, clip(string(raw)), "it is not of type 'array'")
	}
	for i, item := range items {
		if err := w.value(item, t.Elem(), fmt.Sprintf("%s.%d", path, i), itemRules(rules), depth+1); err != nil {
			return err
		}
	}
	return checkLength(len(items), path, rules)
}

func (w walker) dictionary(raw json.RawMessage, t reflect.Type, path, rules string, depth int) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return invalidField(path, clip(string(raw)), "it is not of type 'object'")
	}
	for _, name := range sortedKeys(members) {
		if err := w.value(members[name], t.Elem(), path+"."+name, itemRules(rules), depth+1); err != nil {
			return err
		}
	}
	return checkLength(len(members), path, rules)
}

// itemRules are the rules that apply to the items of a list: uuid, enum, null.
func itemRules(rules string) string {
	var out []string
	for rule := range strings.SplitSeq(rules, ",") {
		if rule == "uuid" || rule == "null" || strings.HasPrefix(rule, "enum=") {
			out = append(out, rule)
		}
	}
	return strings.Join(out, ",")
}

func hasRule(rules, name string) bool { return slices.Contains(strings.Split(rules, ","), name) }

func checkRules(raw json.RawMessage, path, rules string) error {
	if rules == "" || string(raw) == "null" {
		return nil
	}
	text, isString := string(raw), raw[0] == '"'
	if isString {
		if err := json.Unmarshal(raw, &text); err != nil {
			return invalidField(path, clip(string(raw)), "it is not valid text")
		}
		if err := checkLength(utf8.RuneCountInString(text), path, rules); err != nil {
			return err
		}
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil && !isString {
		if err := checkNumber(n, path, rules); err != nil {
			return err
		}
	}
	return checkWords(text, path, rules)
}

func checkWords(text, path, rules string) error {
	before, pattern, hasMatch := strings.Cut(rules, "match=")
	if hasMatch && !regexp.MustCompile(pattern).MatchString(text) { // the pattern is ours, from a tag
		return invalidField(path, clip(text), "it does not match '"+pattern+"'")
	}
	for rule := range strings.SplitSeq(before, ",") {
		key, value, _ := strings.Cut(rule, "=")
		switch {
		case key == "uuid" && !id.Valid(text):
			return invalidField(path, clip(text), "it is not a 'uuid'")
		case key == "enum" && !slices.Contains(strings.Split(value, "|"), text):
			return invalidField(path, clip(text), "it is not one of "+strings.ReplaceAll(value, "|", ", "))
		case key == "name" && (strings.TrimSpace(text) != text || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })):
			return invalidField(path, clip(text), "it does not match a name: no leading, trailing or control characters")
		}
	}
	return nil
}

func checkLength(n int, path, rules string) error {
	for rule := range strings.SplitSeq(rules, ",") {
		key, value, _ := strings.Cut(rule, "=")
		bound, err := strconv.Atoi(value)
		if err != nil {
			continue // not a rule with a number
		}
		if key == "min" && n < bound {
			return invalidField(path, "", fmt.Sprintf("it is too short: at least %d", bound))
		}
		if key == "max" && n > bound {
			return invalidField(path, "", fmt.Sprintf("it is too long: at most %d", bound))
		}
	}
	return nil
}

func checkNumber(n float64, path, rules string) error {
	for rule := range strings.SplitSeq(rules, ",") {
		key, value, _ := strings.Cut(rule, "=")
		bound, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue // not a rule with a number
		}
		if key == "min" && n < bound {
			return invalidField(path, strconv.FormatFloat(n, 'f', -1, 64), fmt.Sprintf("it is less than the minimum of %s", value))
		}
		if key == "max" && n > bound {
			return invalidField(path, strconv.FormatFloat(n, 'f', -1, 64), fmt.Sprintf("it is greater than the maximum of %s", value))
		}
	}
	return nil
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
