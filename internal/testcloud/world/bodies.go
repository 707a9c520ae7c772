package world

import (
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/microversion"
)

func unescape(path string) string {
	if plain, err := url.PathUnescape(path); err == nil {
		return plain
	}
	return path
}

var rawMessage = reflect.TypeFor[json.RawMessage]()

// Field is a member that a body may have, as its Go type declares it.
type Field struct {
	Name  string
	Type  reflect.Type
	Rules map[string]string // of the tag "v"
}

// Fields are the members of a struct that exist at a version; 0 is every version.
func Fields(t reflect.Type, at microversion.Version) []Field {
	var out []Field
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || name == "" || name == "-" || !exists(f.Tag, at) {
			continue
		}
		out = append(out, Field{name, f.Type, rulesOf(f.Tag.Get("v"))})
	}
	return out
}

func exists(tag reflect.StructTag, at microversion.Version) bool {
	since, _ := microversion.Parse(tag.Get("since")) // no tag: 0
	until, _ := microversion.Parse(tag.Get("until"))
	return at == 0 || microversion.Range{Since: since, Until: until}.Has(at)
}

func rulesOf(text string) map[string]string {
	out := map[string]string{}
	before, pattern, found := strings.Cut(text, "match=")
	if found {
		out["match"] = pattern
	}
	for rule := range strings.SplitSeq(before, ",") {
		key, value, _ := strings.Cut(rule, "=")
		out[key] = value
	}
	return out
}

// Inner unwraps pointers and optional values.
func Inner(t reflect.Type) reflect.Type {
	for {
		switch {
		case t.Kind() == reflect.Pointer:
			t = t.Elem()
		case t.Kind() == reflect.Struct && strings.HasPrefix(t.Name(), "Opt["):
			f, _ := t.FieldByName("V")
			t = f.Type
		default:
			return t
		}
	}
}

// Minimal is the least body of a type that a handler takes: required members
// only, with values that their rules allow.
func Minimal(t reflect.Type, rules map[string]string, at microversion.Version, depth int) any {
	t = Inner(t)
	switch {
	case depth > 8 || t == rawMessage || t.Kind() == reflect.Interface:
		return Object{}
	case t.Name() == "Bool":
		return true
	}
	switch t.Kind() {
	case reflect.Struct:
		out := Object{}
		for _, f := range Fields(t, at) {
			if _, required := f.Rules["required"]; required {
				out[f.Name] = Minimal(f.Type, f.Rules, at, depth+1)
			}
		}
		return out
	case reflect.Slice, reflect.Array:
		if least, _ := strconv.Atoi(rules["min"]); least > 0 { // none: 0
			return []any{Minimal(t.Elem(), nil, at, depth+1)}
		}
		return []any{}
	case reflect.Map:
		return Object{}
	case reflect.Bool:
		return true
	case reflect.String:
		return text(rules)
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Float64:
		n, err := strconv.Atoi(rules["min"])
		if err != nil {
			n = 1
		}
		return n
	}
	return "x"
}

func text(rules map[string]string) string {
	if choices, ok := rules["enum"]; ok {
		return strings.Split(choices, "|")[0]
	}
	if _, ok := rules["uuid"]; ok {
		return "6f70656e-7374-4163-8b20-6d656b000000"
	}
	if least, _ := strconv.Atoi(rules["min"]); least > 1 { // none: 0
		return strings.Repeat("x", least)
	}
	return "x"
}

// Wrap puts a value where an operation's body has it: under the action, under a member.
func (o *Operation) Wrap(member string, value any) []byte {
	if member != "" {
		value = Object{member: value}
	}
	if o.Action != "" {
		value = Object{o.Action: value}
	}
	out, err := json.Marshal(value)
	if err != nil {
		return []byte("{}")
	}
	return out
}

// Mutates tells whether the operation's method changes things.
func (o *Operation) Mutates() bool {
	return !slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, o.Route.Method)
}
