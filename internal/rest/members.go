package rest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// part is a member of an object, in the object's own text.
type part struct {
	name  string
	value json.RawMessage
	taken bool
}

type parts []part

// Members are the values of an object's members of these names; nil: it is not
// there. False: the text is no object.
func Members(object json.RawMessage, names ...string) (values []json.RawMessage, ok bool) {
	object = bytes.TrimSpace(object)
	if len(object) == 0 || object[0] != '{' || !json.Valid(object) {
		return nil, false
	}
	all := membersOf(object)
	for _, name := range names {
		values = append(values, all.take(name))
	}
	return values, true
}

// membersOf are the members of an object in a text that is valid JSON.
func membersOf(object json.RawMessage) parts {
	out := make(parts, 0, 8)
	for at := blank(object, 1); object[at] != '}'; {
		end := valueEnd(object, at)
		name := nameOf(object[at:end])
		at = blank(object, blank(object, end)+1) // over the colon
		end = valueEnd(object, at)
		out = append(out, part{name: name, value: object[at:end]})
		if at = blank(object, end); object[at] == ',' {
			at = blank(object, at+1)
		}
	}
	return out
}

// itemsOf are the items of a list in a text that is valid JSON.
func itemsOf(list json.RawMessage) []json.RawMessage {
	out := make([]json.RawMessage, 0, 8)
	for at := blank(list, 1); list[at] != ']'; {
		end := valueEnd(list, at)
		out = append(out, list[at:end])
		if at = blank(list, end); list[at] == ',' {
			at = blank(list, at+1)
		}
	}
	return out
}

// take is the value of a name, of which the last one counts; nil: there is none.
func (all parts) take(name string) (value json.RawMessage) {
	for i := range all {
		if m := &all[i]; m.name == name {
			m.taken, value = true, m.value
		}
	}
	return value
}

// untaken is the first name, in order of the alphabet, that nobody took.
func (all parts) untaken() (name string, found bool) {
	for _, m := range all {
		if !m.taken && (!found || m.name < name) {
			name, found = m.name, true
		}
	}
	return name, found
}

// sorted are the members in order of their names, each name once.
func (all parts) sorted() parts {
	slices.SortStableFunc(all, func(a, b part) int { return strings.Compare(a.name, b.name) })
	out := all[:0]
	for i, m := range all {
		if i+1 == len(all) || all[i+1].name != m.name {
			out = append(out, m)
		}
	}
	return out
}

// nameOf reads a quoted name.
func nameOf(quoted json.RawMessage) (name string) {
	plain := quoted[1 : len(quoted)-1]
	for _, c := range plain {
		if c == '\\' || c >= 0x80 {
			_ = json.Unmarshal(quoted, &name) // it is valid
			return name
		}
	}
	return string(plain)
}

// blank is where the blanks that begin at a place end.
func blank(text []byte, at int) int {
	for text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r' {
		at++
	}
	return at
}

// valueEnd is where the value ends that begins at a place.
func valueEnd(text []byte, at int) int {
	switch text[at] {
	case '"':
		return stringEnd(text, at)
	case '{', '[':
	default:
		for at < len(text) && !strings.ContainsRune(" \n\t\r,:]}", rune(text[at])) {
			at++
		}
		return at
	}
	for depth := 0; ; {
		switch text[at] {
		case '"':
			at = stringEnd(text, at)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if at++; depth == 0 {
			return at
		}
	}
}

func stringEnd(text []byte, at int) int {
	for at++; text[at] != '"'; at++ {
		if text[at] == '\\' {
			at++
		}
	}
	return at + 1
}
