package hostlink

import "bytes"

// cutter cuts a valid JSON text without blanks into pieces. It gives up on what
// it does not know, such as names with escapes.
type cutter struct {
	in []byte
	at int
}

// next passes a byte if it is this one.
func (c *cutter) next(b byte) bool {
	if c.at < len(c.in) && c.in[c.at] == b {
		c.at++
		return true
	}
	return false
}

// text passes a string, and answers what stands between its quotes.
func (c *cutter) text() ([]byte, bool) {
	if !c.next('"') {
		return nil, false
	}
	for i := c.at; i < len(c.in); i++ {
		switch c.in[i] {
		case '\\':
			i++
		case '"':
			out := c.in[c.at:i]
			c.at = i + 1
			return out, true
		}
	}
	return nil, false
}

// plain passes a string that has no escapes.
func (c *cutter) plain() ([]byte, bool) {
	out, ok := c.text()
	return out, ok && bytes.IndexByte(out, '\\') < 0
}

// member passes a name and the colon.
func (c *cutter) member() ([]byte, bool) {
	name, ok := c.plain()
	return name, ok && c.next(':')
}

// skip passes a value.
func (c *cutter) skip() bool {
	depth, began := 0, c.at
	for c.at < len(c.in) {
		switch c.in[c.at] {
		case '"':
			if _, ok := c.text(); !ok {
				return false
			}
			if depth == 0 {
				return true
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return c.at > began
			}
			if depth--; depth == 0 {
				c.at++
				return true
			}
		case ',':
			if depth == 0 {
				return c.at > began
			}
		}
		c.at++
	}
	return depth == 0 && c.at > began
}

// object passes an object that has an id, and answers its text and that id.
func (c *cutter) object() (text []byte, id string, ok bool) {
	began := c.at
	if !c.next('{') {
		return nil, "", false
	}
	for first := true; !c.next('}'); first = false {
		if !first && !c.next(',') {
			return nil, "", false
		}
		name, ok := c.member()
		if !ok {
			return nil, "", false
		}
		if string(name) != "id" {
			if !c.skip() {
				return nil, "", false
			}
			continue
		}
		value, ok := c.plain()
		if !ok {
			return nil, "", false
		}
		id = string(value)
	}
	return c.in[began:c.at], id, id != ""
}
