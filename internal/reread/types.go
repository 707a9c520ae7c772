package reread

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// known are the types met so far: one may be within itself.
type known map[reflect.Type]*reader

// reader is how values of a type are decoded.
func (k known) reader(t reflect.Type) reader {
	if r := k[t]; r != nil {
		return func(s *scan, v reflect.Value) bool { return (*r)(s, v) } // it is there once all are
	}
	var made reader
	k[t] = &made
	made = k.make(t)
	return made
}

func (k known) make(t reflect.Type) reader {
	if p := reflect.PointerTo(t); p.Implements(unmarshaler) || p.Implements(textUnmarshaler) {
		return other
	}
	switch t.Kind() {
	case reflect.String:
		if t == reflect.TypeFor[json.Number]() {
			return other
		}
		return readString
	case reflect.Bool:
		return readBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return readInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return readUint
	case reflect.Float32, reflect.Float64:
		return readFloat
	case reflect.Pointer:
		return pointerReader(t.Elem(), k.reader(t.Elem()))
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 { // that is base64
			return sliceReader(k.reader(t.Elem()))
		}
	case reflect.Map:
		if key := t.Key(); key.Kind() == reflect.String && !key.Implements(textUnmarshaler) && !reflect.PointerTo(key).Implements(textUnmarshaler) {
			return mapReader(t, k.reader(t.Elem()))
		}
	case reflect.Struct:
		if fields, ok := k.fieldsOf(t, nil); ok {
			return structReader(fields)
		}
	}
	return other
}

func pointerReader(of reflect.Type, read reader) reader {
	return func(s *scan, v reflect.Value) bool {
		if s.peek() == 'n' {
			v.SetZero()
			return s.word("null")
		}
		if v.IsNil() {
			v.Set(reflect.New(of))
		}
		return s.within(read, v.Elem())
	}
}

// within reads a value inside of another one.
func (s *scan) within(read reader, v reflect.Value) bool {
	if s.deep++; s.deep > mostDeep {
		return false
	}
	ok := read(s, v)
	s.deep--
	return ok
}

func sliceReader(read reader) reader {
	return func(s *scan, v reflect.Value) bool {
		if s.peek() == 'n' {
			v.SetZero()
			return s.word("null")
		}
		if !v.IsNil() { // a member that comes twice
			return other(s, v)
		}
		if !s.take('[') {
			return false
		}
		if s.take(']') {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
			return true
		}
		for i := 0; ; i++ {
			if i == v.Cap() {
				v.Grow(1)
			}
			v.SetLen(i + 1)
			if !s.within(read, v.Index(i)) {
				return false
			}
			if !s.take(',') {
				return s.take(']')
			}
		}
	}
}

func mapReader(t reflect.Type, read reader) reader {
	key, of := t.Key(), t.Elem()
	return func(s *scan, v reflect.Value) bool {
		if s.peek() == 'n' {
			v.SetZero()
			return s.word("null")
		}
		if !s.take('{') {
			return false
		}
		if v.IsNil() {
			v.Set(reflect.MakeMap(t))
		}
		if s.take('}') {
			return true
		}
		for {
			name, ok := s.str()
			if !ok || !s.take(':') {
				return false
			}
			one := reflect.New(of).Elem()
			if !s.within(read, one) {
				return false
			}
			v.SetMapIndex(reflect.ValueOf(name).Convert(key), one)
			if !s.take(',') {
				return s.take('}')
			}
		}
	}
}

// field is a member of an object.
type field struct {
	name  string
	index []int
	read  reader
}

// fieldsOf lists the members of a struct, those of embedded structs among them;
// false: encoding/json has to say which is meant.
func (k known) fieldsOf(t reflect.Type, index []int) (out []field, ok bool) {
	names := map[string]bool{}
	for f := range t.Fields() {
		at := append(index[:len(index):len(index)], f.Index...)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-", !f.IsExported() && !f.Anonymous:
			continue
		case strings.Contains(options, "string"):
			return nil, false
		case f.Anonymous && name == "":
			if f.Type.Kind() != reflect.Struct {
				return nil, false
			}
			more, ok := k.fieldsOf(f.Type, at)
			if !ok {
				return nil, false
			}
			out = append(out, more...)
			continue
		case !f.IsExported():
			return nil, false
		case name == "":
			name = f.Name
		}
		out = append(out, field{name, at, k.reader(f.Type)})
	}
	for _, f := range out {
		low := strings.ToLower(f.name)
		if names[low] {
			return nil, false
		}
		names[low] = true
	}
	return out, true
}

// structReader expects members in the order of the fields, which is how they
// are written.
func structReader(fields []field) reader {
	return func(s *scan, v reflect.Value) bool {
		if s.peek() == 'n' {
			return s.word("null")
		}
		if !s.take('{') {
			return false
		}
		if s.take('}') {
			return true
		}
		for next := 0; ; next++ {
			name, ok := s.str()
			if !ok || !s.take(':') {
				return false
			}
			i := find(fields, name, next)
			if i < 0 {
				if like(fields, name) { // that is for encoding/json
					return false
				}
				if text, ok := s.raw(); !ok || !json.Valid([]byte(text)) {
					return false
				}
			} else {
				f := &fields[i]
				next = i
				if !s.within(f.read, v.FieldByIndex(f.index)) {
					return false
				}
			}
			if !s.take(',') {
				return s.take('}')
			}
		}
	}
}

// find is where a name is among fields, most likely behind the one before.
func find(fields []field, name string, next int) int {
	for i := next; i < len(fields); i++ {
		if fields[i].name == name {
			return i
		}
	}
	for i := range min(next, len(fields)) {
		if fields[i].name == name {
			return i
		}
	}
	return -1
}

// like tells whether a name is that of a field but for small and capital letters.
func like(fields []field, name string) bool {
	for i := range fields {
		if strings.EqualFold(fields[i].name, name) {
			return true
		}
	}
	return false
}
