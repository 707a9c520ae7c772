package rest

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/memo"
	"github.com/mekcloud/mek/internal/microversion"
)

// form is what a type and the tags of its fields ask of a body, found out once:
// reflection and the reading of tags cost more than the body.
type form struct {
	free          bool // takes any value
	optional      bool // an Opt
	decodesItself bool
	inner         reflect.Type // of an Opt or a pointer
	fields        []formField  // of a struct, those of embedded structs too
}

type formField struct {
	name   string
	of     reflect.Type
	rules  *rules
	within microversion.Range
}

var (
	formOf = memo.Of(newForm)

	rawType         = reflect.TypeFor[json.RawMessage]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	optType         = reflect.TypeFor[optional]()
	intType         = reflect.TypeFor[Int]()
)

func newForm(t reflect.Type) *form {
	to := reflect.PointerTo(t)
	s := &form{free: t == rawType || t.Kind() == reflect.Interface, optional: to.Implements(optType), decodesItself: t != intType && to.Implements(unmarshalerType)}
	switch {
	case s.optional:
		inner, _ := t.FieldByName("V")
		s.inner = inner.Type
	case t.Kind() == reflect.Pointer:
		s.inner, s.decodesItself = t.Elem(), false
	case t.Kind() == reflect.Struct:
		for _, f := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous || !f.IsExported() || name == "" || name == "-" {
				continue
			}
			s.fields = append(s.fields, formField{name, f.Type, rulesOf(f.Tag.Get("v")), microversion.Range{Since: versionIn(f.Tag, "since"), Until: versionIn(f.Tag, "until")}})
		}
	}
	return s
}

func versionIn(tag reflect.StructTag, key string) microversion.Version {
	v, err := microversion.Parse(tag.Get(key))
	if err != nil {
		return 0 // no tag
	}
	return v
}

// rules are what a field's tag asks of its value.
type rules struct {
	any                        bool // there is something to check
	required, null, uuid, name bool
	least, most                *limit // length of strings and lists, value of numbers
	enum                       []string
	match                      *regexp.Regexp
	items                      *rules // of a list's items: uuid, enum, null; nil: the same
}

// limit is a number as its tag has it.
type limit struct {
	n    float64
	text string
}

// ofItems are the rules of a list's items.
func (r *rules) ofItems() *rules {
	if r.items == nil {
		return r
	}
	return r.items
}

func rulesOf(tag string) *rules {
	r := &rules{any: tag != ""}
	before, pattern, hasMatch := strings.Cut(tag, "match=")
	if hasMatch {
		r.match = regexp.MustCompile(pattern) // ours
	}
	for rule := range strings.SplitSeq(before, ",") {
		key, value, _ := strings.Cut(rule, "=")
		switch key {
		case "required":
			r.required = true
		case "null":
			r.null = true
		case "uuid":
			r.uuid = true
		case "name":
			r.name = true
		case "enum":
			r.enum = strings.Split(value, "|")
		case "min":
			r.least = mustNumber(value)
		case "max":
			r.most = mustNumber(value)
		}
	}
	r.items = &rules{any: r.uuid || r.enum != nil, null: r.null, uuid: r.uuid, enum: r.enum}
	return r
}

func mustNumber(text string) *limit {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic("rest: a rule's number is " + text)
	}
	return &limit{n, text}
}

// check is for values that are no lists or objects, and for those as a whole.
func (r *rules) check(raw json.RawMessage, path string) error {
	if !r.any || string(raw) == "null" {
		return nil
	}
	text := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return invalidField(path, clip(string(raw)), "it is not valid text")
		}
		if err := r.checkLength(utf8.RuneCountInString(text), path); err != nil {
			return err
		}
	} else if n, err := strconv.ParseFloat(text, 64); err == nil {
		if err := r.checkNumber(n, path); err != nil {
			return err
		}
	}
	return r.checkText(text, path)
}

func (r *rules) checkText(text, path string) error {
	switch {
	case r.match != nil && !r.match.MatchString(text):
		return invalidField(path, clip(text), "it does not match '"+r.match.String()+"'")
	case r.uuid && !id.Valid(text):
		return invalidField(path, clip(text), "it is not a 'uuid'")
	case r.enum != nil && !slices.Contains(r.enum, text):
		return invalidField(path, clip(text), "it is not one of "+strings.Join(r.enum, ", "))
	case r.name && (strings.TrimSpace(text) != text || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })):
		return invalidField(path, clip(text), "it does not match a name: no leading, trailing or control characters")
	}
	return nil
}

func (r *rules) checkLength(n int, path string) error {
	if r.least != nil && float64(n) < r.least.n {
		return invalidField(path, "", "it is too short: at least "+r.least.text)
	}
	if r.most != nil && float64(n) > r.most.n {
		return invalidField(path, "", "it is too long: at most "+r.most.text)
	}
	return nil
}

func (r *rules) checkNumber(n float64, path string) error {
	if r.least != nil && n < r.least.n {
		return invalidField(path, strconv.FormatFloat(n, 'f', -1, 64), "it is less than the minimum of "+r.least.text)
	}
	if r.most != nil && n > r.most.n {
		return invalidField(path, strconv.FormatFloat(n, 'f', -1, 64), "it is greater than the maximum of "+r.most.text)
	}
	return nil
}
