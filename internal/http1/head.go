package http1

import "bytes"

// verdict is what a look at the beginning of a request says.
type verdict int

const (
	partial verdict = iota // more has to come
	ours
	foreign // for net/http
)

// request is where the parts of a whole request end in a buffer.
type request struct{ head, end int }

var (
	headEnd  = []byte("\r\n\r\n")
	lineEnd  = []byte("\r\n")
	protocol = []byte(" HTTP/1.1")
)

// look judges what was read so far; room is how long a request may be.
func look(b []byte, room int) (request, verdict) {
	n := bytes.Index(b, headEnd)
	if n < 0 {
		if len(b) >= room {
			return request{}, foreign
		}
		return request{}, partial
	}
	r := request{head: n + len(headEnd)}
	line, rest, _ := bytes.Cut(b[:n+len(lineEnd)], lineEnd)
	if !ordinary(line) {
		return r, foreign
	}
	length, ok := fields(rest)
	if !ok || length > room-r.head {
		return r, foreign
	}
	if r.end = r.head + length; len(b) < r.end {
		return r, partial
	}
	return r, ours
}

// ordinary tells of a request line that it is "METHOD /path HTTP/1.1", of visible
// characters.
func ordinary(line []byte) bool {
	method, target, found := bytes.Cut(line, []byte(" "))
	if !found || len(method) == 0 || len(target) == 0 || target[0] != '/' || !bytes.HasSuffix(target, protocol) {
		return false
	}
	for _, c := range method {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	for _, c := range target[:len(target)-len(protocol)] {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// fields walks the header, and gives how long a body it announces. False: there
// is something in it that net/http is to judge.
func fields(b []byte) (length int, ok bool) {
	hosts, lengths := 0, 0
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, lineEnd)
		b = rest
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || !named(name) || !plain(value) {
			return 0, false
		}
		value = bytes.Trim(value, " \t")
		switch {
		case is(name, "host"):
			if hosts++; hosts > 1 || !address(value) {
				return 0, false
			}
		case is(name, "content-length"):
			if lengths++; lengths > 1 {
				return 0, false
			}
			if length, ok = decimal(value); !ok {
				return 0, false
			}
		case is(name, "connection"):
			if !is(value, "keep-alive") {
				return 0, false
			}
		case is(name, "transfer-encoding"), is(name, "expect"), is(name, "upgrade"), is(name, "trailer"), is(name, "te"), is(name, "http2-settings"):
			return 0, false
		}
	}
	return length, hosts == 1
}

// is compares with a word of small letters.
func is(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// named tells of a header's name that it is of letters, digits, hyphens and underscores.
func named(b []byte) bool {
	for _, c := range b {
		if !letter(c) && c != '-' && c != '_' {
			return false
		}
	}
	return len(b) > 0
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' }

// plain tells of a header's value that there are no control characters in it.
func plain(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// address tells of a host that it is a name or an address, with a port or without.
func address(b []byte) bool {
	for _, c := range b {
		if !letter(c) && c != '.' && c != '-' && c != ':' && c != '[' && c != ']' && c != '_' {
			return false
		}
	}
	return len(b) > 0
}

// decimal reads a length of at most six digits: longer bodies do not stay here.
func decimal(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(b) > 0 && len(b) <= 6
}
