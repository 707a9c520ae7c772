package mapping

import (
	"slices"
	"strings"
)

// finish gives the user what the rules left open.
func (b *builder) finish(remote []string) (Result, error) {
	if !b.matched {
		return Result{}, errNoRule
	}
	u := &b.out.User
	if u.Type == "" {
		u.Type = Ephemeral
	}
	if b.version != V1 && u.Domain == (Domain{}) {
		u.Domain = b.last
	}
	b.out.Exact = b.version == V3
	if u.Type == Local {
		switch {
		case u.ID == "" && u.Name == "":
			return Result{}, errNoName
		case u.ID == "" && u.Domain == (Domain{}):
			return Result{}, errNoDomain
		}
		return b.out, nil
	}
	return b.out, u.complete(remote)
}

// complete names an ephemeral user: by REMOTE_USER if the rules do not, by its
// id if that is all there is; an id that the rules do not give is the name.
func (u *User) complete(remote []string) error {
	if u.Name == "" && len(remote) == 1 {
		text, err := template{{remote[0], -1}}.expand(nil)
		if err != nil {
			return err
		}
		u.Name = text
	}
	switch {
	case u.ID == "" && u.Name == "":
		return errNoName
	case u.Name == "":
		u.Name = u.ID
	case u.ID == "":
		u.ID = u.Name
	}
	u.ID = quote(u.ID)
	return nil
}

// quote percent-encodes as Python's urllib.parse.quote does, which made the ids
// that installations of upstream have.
func quote(s string) string {
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for _, c := range []byte(s) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || slices.Contains([]byte("_.-~/"), c) {
			out.WriteByte(c)
			continue
		}
		out.WriteString(string([]byte{'%', digits[c>>4], digits[c&15]}))
	}
	return out.String()
}
