package hostlink

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Canonical is the one JSON text of a value: members sorted by name, no blanks,
// numbers as they were written. Equal values of different Go types give equal bytes.
func Canonical(v any) (json.RawMessage, error) {
	raw, err := Encode(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	c := canon{in: raw, out: make([]byte, 0, len(raw))}
	if c.value(0) && c.at == len(raw) {
		return c.out, nil
	}
	return decoded(raw)
}

// Encode is json.Marshal that leaves <, > and & as they are, and so the text of a
// document that is part of v: its digest is of just that text.
func Encode(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// decoded makes a text canonical by way of maps, whose keys are written in
// order: it takes everything, and ten times as long as canon.
func decoded(raw []byte) (json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var plain any
	if err := dec.Decode(&plain); err != nil {
		return nil, fmt.Errorf("decode again: %w", err)
	}
	out, err := Encode(plain)
	if err != nil {
		return nil, fmt.Errorf("encode canonically: %w", err)
	}
	return out, nil
}

// canon puts a valid JSON text without blanks into canonical form. It gives up
// on what it does not know: strings that are not plain ASCII, and great depth.
type canon struct {
	in, out []byte
	at      int // in in
}

// deepest is how far objects and lists may lie within each other.
const deepest = 100

// member is where an object's member stands in out.
type member struct {
	name     string
	from, to int
}

func (c *canon) value(depth int) bool {
	if c.at >= len(c.in) || depth > deepest {
		return false
	}
	switch c.in[c.at] {
	case '{':
		return c.object(depth)
	case '[':
		c.take()
		if c.next(']') {
			return true
		}
		for c.value(depth + 1) {
			if c.next(']') {
				return true
			}
			if !c.next(',') {
				return false
			}
		}
		return false
	case '"':
		_, ok := c.text()
		return ok
	}
	began := c.at
	for c.at < len(c.in) && strings.IndexByte(",]}", c.in[c.at]) < 0 {
		c.at++
	}
	c.out = append(c.out, c.in[began:c.at]...)
	return c.at > began
}

func (c *canon) object(depth int) bool {
	c.take()
	if c.next('}') {
		return true
	}
	var room [16]member
	all, sorted, begin := room[:0], true, len(c.out)
	for {
		from := len(c.out)
		name, ok := c.text()
		if !ok || !c.next(':') || !c.value(depth+1) {
			return false
		}
		if n := len(all); n > 0 && all[n-1].name >= name {
			sorted = false
		}
		all = append(all, member{name, from, len(c.out)})
		if c.next('}') {
			break
		}
		if !c.next(',') {
			return false
		}
	}
	if !sorted {
		return c.sort(all, begin)
	}
	return true
}

// sort puts the members of an object that ends at the end of out in order. One
// that comes twice is not for canon.
func (c *canon) sort(all []member, begin int) bool {
	was := slices.Clone(c.out[begin:])
	slices.SortFunc(all, func(a, b member) int { return strings.Compare(a.name, b.name) })
	c.out = c.out[:begin]
	for i, m := range all {
		if i > 0 {
			if all[i-1].name == m.name {
				return false
			}
			c.out = append(c.out, ',')
		}
		c.out = append(c.out, was[m.from-begin:m.to-begin]...)
	}
	c.out = append(c.out, '}')
	return true
}

// text copies a string of plain ASCII, and answers what stands between its quotes.
func (c *canon) text() (string, bool) {
	if c.at >= len(c.in) || c.in[c.at] != '"' {
		return "", false
	}
	for i := c.at + 1; i < len(c.in); i++ {
		switch b := c.in[i]; {
		case b == '"':
			whole := c.in[c.at : i+1]
			c.out = append(c.out, whole...)
			c.at = i + 1
			return string(whole[1 : len(whole)-1]), true
		case b == '\\' || b < 0x20 || b >= 0x80:
			return "", false
		}
	}
	return "", false
}

// take copies a byte.
func (c *canon) take() {
	c.out = append(c.out, c.in[c.at])
	c.at++
}

// next copies a byte if it is this one.
func (c *canon) next(b byte) bool {
	if c.at < len(c.in) && c.in[c.at] == b {
		c.take()
		return true
	}
	return false
}

// NewDocument makes a document of a body, which it puts into canonical form.
func NewDocument(section Section, revision int64, body any) (Document, error) {
	raw, err := Canonical(body)
	if err != nil {
		return Document{}, fmt.Errorf("document of %s: %w", section, err)
	}
	return Document{Section: section, Revision: revision, Digest: digest(raw), Body: raw}, nil
}

// NewListed is NewDocument for an agent that takes deltas: the digest is of what
// the body lists. A body that is no list is a document all the same.
func NewListed(section Section, revision int64, body any) (doc Document, l Listed, texts []json.RawMessage, err error) {
	if doc, err = NewDocument(section, revision, body); err != nil {
		return doc, l, nil, err
	}
	l, texts, ok := Take(doc.Body)
	if !ok {
		return doc, Listed{}, nil, nil
	}
	doc.Digest = l.Digest()
	return doc, l, texts, nil
}

// Intact tells whether the digest is that of the body.
func (d Document) Intact() bool {
	if strings.HasPrefix(d.Digest, listMark) {
		l, _, ok := Take(d.Body)
		return ok && d.Digest == l.Digest()
	}
	return d.Digest == digest(d.Body)
}

// Held is what the other side needs to know of a document it has.
func (d Document) Held() Held {
	return Held{Section: d.Section, Revision: d.Revision, Digest: d.Digest, Epoch: d.Epoch}
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
