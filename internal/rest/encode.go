package rest

import (
	"bytes"
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// JSON is a body as answers carry it: the bytes that encoding/json writes
// without escaping <, > and &. What answers are made of nearly always, maps and
// lists of plain values, is written here, in a third of the time; the rest is
// left to encoding/json.
func JSON(body any) ([]byte, error) {
	if b, ok, err := around(body); ok {
		return b, err
	}
	return appendJSON(make([]byte, 0, roomFor(body)), body)
}

const (
	roomAround = 1 << 10 // for what is around a list
	roomBefore = 64      // for what is before it
)

// rendered is a list that is written already, behind roomBefore bytes of no
// meaning. Of a thousand items it is a megabyte: what comes before it and behind
// it is written where it is.
type rendered []byte

func (r rendered) list() []byte { return r[roomBefore:] }

// around writes what is around a list that is the first member of a body; false:
// the body is not like that.
func around(body any) (b []byte, ok bool, err error) {
	members, _ := body.(map[string]any)
	keys := slices.Sorted(maps.Keys(members))
	if len(keys) == 0 {
		return nil, false, nil
	}
	list, ok := members[keys[0]].(rendered)
	if !ok {
		return nil, false, nil
	}
	before, err := AppendText([]byte{'{'}, keys[0])
	if before = append(before, ':'); err != nil || len(before) > roomBefore {
		return nil, false, nil
	}
	begin := roomBefore - len(before)
	copy(list[begin:], before)
	b = list[begin:]
	for _, k := range keys[1:] {
		if b, err = AppendText(append(b, ','), k); err != nil {
			return nil, true, err
		}
		if b, err = appendJSON(append(b, ':'), members[k]); err != nil {
			return nil, true, err
		}
	}
	return append(b, '}'), true, nil
}

// roomFor is about how long a body gets of which the most is written already.
func roomFor(body any) int {
	room := roomAround / 2
	if members, ok := body.(map[string]any); ok {
		for _, v := range members {
			if list, ok := v.(rendered); ok {
				room += len(list) + roomAround
			}
		}
	}
	return room
}

func appendJSON(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case string:
		return AppendText(b, v)
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case map[string]any:
		return appendMap(b, v, appendJSON)
	case map[string]string:
		return appendMap(b, v, AppendText)
	case []any:
		return appendList(b, v, appendJSON)
	case []map[string]any:
		return appendList(b, v, func(b []byte, m map[string]any) ([]byte, error) { return appendMap(b, m, appendJSON) })
	case []map[string]string:
		return appendList(b, v, func(b []byte, m map[string]string) ([]byte, error) { return appendMap(b, m, AppendText) })
	case []string:
		return appendList(b, v, AppendText)
	case rendered:
		return append(b, v.list()...), nil
	case []Link:
		return appendList(b, v, appendLink)
	case map[string][]map[string]any:
		return appendMap(b, v, func(b []byte, list []map[string]any) ([]byte, error) { return appendJSON(b, list) })
	case Appender:
		return v.AppendJSON(b)
	case json.Marshaler, encoding.TextMarshaler:
		return appendOther(b, v)
	}
	return appendKind(b, v)
}

// Appender is a value of answers that writes itself, as encoding/json would with
// the same members in a map, but sooner: lists have a thousand of them.
type Appender interface {
	AppendJSON(b []byte) ([]byte, error)
}

// Link is how OpenStack's services write links.
type Link struct {
	Href string `json:"href"`
	Rel  string `json:"rel"`
}

func appendLink(b []byte, l Link) ([]byte, error) {
	b, err := AppendText(append(b, `{"href":`...), l.Href)
	if err != nil {
		return nil, err
	}
	b, err = AppendText(append(b, `,"rel":`...), l.Rel)
	return append(b, '}'), err
}

// appendKind writes values of named types, and what pointers point to.
func appendKind(b []byte, v any) ([]byte, error) {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.String:
		if r.Type() != reflect.TypeFor[json.Number]() {
			return AppendText(b, r.String())
		}
	case reflect.Bool:
		return strconv.AppendBool(b, r.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, r.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(b, r.Uint(), 10), nil
	case reflect.Pointer:
		if r.IsNil() {
			return append(b, "null"...), nil
		}
		if k := r.Elem().Kind(); k == reflect.String || k == reflect.Bool || k == reflect.Int || k == reflect.Int64 {
			return appendJSON(b, r.Elem().Interface())
		}
	}
	return appendOther(b, v)
}

func appendMap[V any](b []byte, m map[string]V, one func([]byte, V) ([]byte, error)) ([]byte, error) {
	if m == nil {
		return append(b, "null"...), nil
	}
	var room [48]string
	keys := room[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b = append(b, '{')
	var err error
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = AppendText(b, k); err != nil {
			return nil, err
		}
		b = append(b, ':')
		if b, err = one(b, m[k]); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendList[V any](b []byte, list []V, one func([]byte, V) ([]byte, error)) ([]byte, error) {
	if list == nil {
		return append(b, "null"...), nil
	}
	b = append(b, '[')
	var err error
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = one(b, v); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// AppendText writes a string as JSON does; one of plain ASCII as it is.
func AppendText(b []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x80 || c == '"' || c == '\\' {
			return appendOther(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"'), nil
}

func appendOther(b []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(b)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
