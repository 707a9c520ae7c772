package mapping

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// direct is what the remote part of a rule has gathered: one list of values for
// each requirement that only wants the claim to be there, or filters it.
type direct [][]string

var (
	errSeveral = errors.New("a rule wants one value of a claim that has several or none")
	errNothing = errors.New("a rule makes an empty name")
	errTooMuch = errors.New("claims, or what rules make of them, are larger than is accepted")
	errNotText = errors.New("a claim holds what is not text")
)

// piece is a text, or the reference to a direct value.
type piece struct {
	text string
	ref  int // negative: a text
}

// template is a text with references. The zero value is absent.
type template []piece

// given tells whether the rule has this text at all.
func (t template) given() bool { return t != nil }

// template reads a text with {0}, {} for the next, {{ and }}; refs is how many
// direct values its rule has.
func (r *reader) template(raw json.RawMessage, path string, refs int) template {
	text := r.text(raw, path)
	if r.plain {
		return template{{text, -1}}
	}
	t, why := parseTemplate(text, refs)
	if why != "" {
		r.fail(path, "%s", why)
	}
	return t
}

// parseTemplate says why a text is none, or gives it.
func parseTemplate(text string, refs int) (t template, why string) {
	t = template{}
	var plain strings.Builder
	for next := 0; text != ""; {
		switch {
		case strings.HasPrefix(text, "{{"), strings.HasPrefix(text, "}}"):
			plain.WriteByte(text[0])
			text = text[2:]
		case text[0] == '}':
			return nil, "a single '}' is written '}}'"
		case text[0] != '{':
			plain.WriteByte(text[0])
			text = text[1:]
		default:
			name, rest, ok := strings.Cut(text[1:], "}")
			if !ok {
				return nil, "a single '{' is written '{{'"
			}
			ref, err := strconv.Atoi(name)
			if name == "" {
				ref, err = next, nil
				next++
			}
			if err != nil || strings.Trim(name, "0123456789") != "" {
				return nil, "only '{0}', '{1}' and so on refer to remote values"
			}
			if ref >= refs {
				return nil, "refers to remote value " + strconv.Itoa(ref) + ", but the rule has " + strconv.Itoa(refs) +
					" (requirements with 'any_one_of' or 'not_any_of' give none)"
			}
			t = append(t, piece{plain.String(), -1}, piece{"", ref})
			plain.Reset()
			text = rest
		}
	}
	return append(t, piece{plain.String(), -1}), ""
}

// only is the single reference that the template is, if it is nothing else.
func (t template) only() (ref int, ok bool) {
	if len(t) == 3 && t[0].text == "" && t[2].text == "" {
		return t[1].ref, true
	}
	return 0, false
}

// expand makes the text. Each value referred to must be the only one of its claim.
func (t template) expand(d direct) (string, error) {
	return t.fill(func(ref int) (string, error) {
		if len(d[ref]) != 1 {
			return "", errSeveral
		}
		return d[ref][0], nil
	})
}

// first makes the text of the first values there are.
func (t template) first(d direct) (string, error) {
	return t.fill(func(ref int) (string, error) {
		if len(d[ref]) == 0 {
			return "", nil
		}
		return d[ref][0], nil
	})
}

// name is expand for what must not be empty.
func (t template) name(d direct) (string, error) {
	text, err := t.expand(d)
	if err == nil && text == "" && t.given() {
		err = errNothing
	}
	return text, err
}

func (t template) fill(value func(ref int) (string, error)) (string, error) {
	var out strings.Builder
	for _, p := range t {
		text := p.text
		if p.ref >= 0 {
			var err error
			if text, err = value(p.ref); err != nil {
				return "", err
			}
		}
		if out.Len()+len(text) > maxText {
			return "", errTooMuch
		}
		out.WriteString(text)
	}
	if !utf8.ValidString(out.String()) || strings.Contains(out.String(), "\x00") {
		return "", errNotText
	}
	return out.String(), nil
}

// list is a template of several texts: "{0}" is all values of a claim.
type list []template

// list reads a template that stands for a list. Upstream reads what becomes of
// it as a list of Python; rules may hold such lists, claims may not.
func (r *reader) list(raw json.RawMessage, path string, refs int) list {
	text := r.text(raw, path)
	items, ok := literals(text)
	if !ok {
		items = []string{text}
	}
	out := make(list, len(items))
	for i, item := range items {
		t, why := parseTemplate(item, refs)
		if why != "" {
			r.fail(path, "%s", why)
		}
		out[i] = t
	}
	return out
}

// literals reads a list of Python that holds texts without escapes.
func literals(text string) ([]string, bool) {
	text = strings.TrimSpace(text)
	if len(text) < 2 || text[0] != '[' || text[len(text)-1] != ']' {
		return nil, false
	}
	out := []string{}
	for text = strings.TrimSpace(text[1 : len(text)-1]); text != ""; {
		quote := text[:1]
		item, rest, ok := strings.Cut(text[1:], quote)
		if !ok || quote != "'" && quote != `"` || strings.Contains(item, `\`) {
			return nil, false
		}
		out = append(out, item)
		rest = strings.TrimSpace(rest)
		if rest != "" && rest[0] != ',' {
			return nil, false
		}
		text = strings.TrimSpace(strings.TrimPrefix(rest, ","))
	}
	return out, true
}

// values makes the texts; empty ones are left out.
func (l list) values(d direct) ([]string, error) {
	var out []string
	for _, t := range l {
		texts := []template{t}
		if ref, ok := t.only(); ok {
			texts = texts[:0]
			for _, v := range d[ref] {
				texts = append(texts, template{{v, -1}})
			}
		}
		for _, one := range texts {
			text, err := one.expand(d)
			if err != nil {
				return nil, err
			}
			if text != "" {
				out = append(out, text)
			}
		}
		if len(out) > maxValues {
			return nil, errTooMuch
		}
	}
	return out, nil
}
