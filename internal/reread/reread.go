package reread

import (
	"encoding/json"
	"reflect"
	"strconv"
	"sync"
	"unicode/utf8"
	"unsafe"
)

// Reader decodes values of one type. Safe for concurrent use.
type Reader struct {
	of   reflect.Type
	once sync.Once
	read reader
}

// Of is for values of a type; how they are decoded is found out when the first one is.
func Of(t reflect.Type) *Reader { return &Reader{of: t} }

// Unmarshal decodes a text into what into points to, which must be zero. The
// value's strings may be parts of text, which nobody may change.
func (r *Reader) Unmarshal(text []byte, into any) error {
	r.once.Do(func() { r.read = known{}.reader(r.of) })
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Type().Elem() != r.of {
		return json.Unmarshal(text, into) // it says what is wrong
	}
	v = v.Elem()
	s := scan{text: unsafe.String(unsafe.SliceData(text), len(text))}
	if r.read(&s, v) && s.at == len(s.text) {
		return nil
	}
	v.SetZero()
	return json.Unmarshal(text, into)
}

// mostDeep is how deep values may be in each other.
const mostDeep = 200

// scan is a text on its way into a value.
type scan struct {
	text string
	at   int
	deep int
}

// reader decodes the value that comes next; false: it is not as expected.
type reader func(s *scan, v reflect.Value) bool

// peek is the next byte; 0: there is none.
func (s *scan) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// take passes a byte over, if it comes next.
func (s *scan) take(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

// word passes a literal over, if it comes next.
func (s *scan) word(w string) bool {
	if len(s.text)-s.at >= len(w) && s.text[s.at:s.at+len(w)] == w {
		s.at += len(w)
		return true
	}
	return false
}

// str is the string that comes next.
func (s *scan) str() (string, bool) {
	if !s.take('"') {
		return "", false
	}
	begin, plain := s.at, true
	for i := begin; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.at = i + 1
			out := s.text[begin:i]
			if plain || utf8.ValidString(out) {
				return out, true
			}
			return "", false
		case c == '\\':
			return s.escaped(begin)
		case c < 0x20:
			return "", false
		case c >= utf8.RuneSelf:
			plain = false
		}
	}
	return "", false
}

// escaped is a string that has escapes in it.
func (s *scan) escaped(begin int) (out string, ok bool) {
	for i := begin; i < len(s.text); i++ {
		switch s.text[i] {
		case '\\':
			i++
		case '"':
			s.at = i + 1
			err := json.Unmarshal([]byte(s.text[begin-1:s.at]), &out)
			return out, err == nil
		}
	}
	return "", false
}

// number is the number that comes next, as it is written.
func (s *scan) number() (text string, whole, ok bool) {
	begin := s.at
	s.take('-')
	if !s.take('0') && !s.digits() {
		return "", false, false
	}
	whole = true
	if s.take('.') {
		if whole = false; !s.digits() {
			return "", false, false
		}
	}
	if s.take('e') || s.take('E') {
		whole = false
		if !s.take('+') {
			s.take('-')
		}
		if !s.digits() {
			return "", false, false
		}
	}
	return s.text[begin:s.at], whole, true
}

// digits passes digits over; false: there are none.
func (s *scan) digits() bool {
	begin := s.at
	for s.at < len(s.text) && s.text[s.at]-'0' <= 9 {
		s.at++
	}
	return s.at > begin
}

// raw passes any value over, and gives its text.
func (s *scan) raw() (string, bool) {
	begin, deep := s.at, 0
	for {
		switch c := s.peek(); c {
		case '{', '[':
			deep++
			s.at++
		case '}', ']':
			deep--
			s.at++
		case '"':
			if _, ok := s.str(); !ok {
				return "", false
			}
		case ',', ':':
			s.at++
		case 't', 'f', 'n':
			if !s.word("true") && !s.word("false") && !s.word("null") {
				return "", false
			}
		default:
			if _, _, ok := s.number(); !ok {
				return "", false
			}
		}
		if deep == 0 {
			return s.text[begin:s.at], true
		}
		if deep < 0 {
			return "", false
		}
	}
}

// other leaves a value to encoding/json.
func other(s *scan, v reflect.Value) bool {
	text, ok := s.raw()
	return ok && json.Unmarshal([]byte(text), v.Addr().Interface()) == nil
}

func readString(s *scan, v reflect.Value) bool {
	if s.peek() == 'n' {
		return s.word("null")
	}
	text, ok := s.str()
	if ok {
		v.SetString(text)
	}
	return ok
}

func readBool(s *scan, v reflect.Value) bool {
	switch s.peek() {
	case 't':
		v.SetBool(true)
		return s.word("true")
	case 'f':
		v.SetBool(false)
		return s.word("false")
	}
	return s.word("null")
}

func readInt(s *scan, v reflect.Value) bool {
	if s.peek() == 'n' {
		return s.word("null")
	}
	text, whole, ok := s.number()
	if !ok || !whole {
		return false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v.OverflowInt(n) {
		return false
	}
	v.SetInt(n)
	return true
}

func readUint(s *scan, v reflect.Value) bool {
	if s.peek() == 'n' {
		return s.word("null")
	}
	text, whole, ok := s.number()
	if !ok || !whole {
		return false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || v.OverflowUint(n) {
		return false
	}
	v.SetUint(n)
	return true
}

func readFloat(s *scan, v reflect.Value) bool {
	if s.peek() == 'n' {
		return s.word("null")
	}
	text, _, ok := s.number()
	if !ok {
		return false
	}
	n, err := strconv.ParseFloat(text, v.Type().Bits())
	if err != nil {
		return false
	}
	v.SetFloat(n)
	return true
}
