package rest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Opt is a member that may be absent, null, or have a value.
type Opt[T any] struct {
	Set  bool // the member was there
	Null bool // and was null
	V    T
}

type optional interface{ isOptional() }

func (o *Opt[T]) isOptional() {}

// UnmarshalJSON notes presence and null.
func (o *Opt[T]) UnmarshalJSON(b []byte) error {
	o.Set = true
	if string(b) == "null" {
		o.Null = true
		return nil
	}
	return json.Unmarshal(b, &o.V)
}

// Or gives the value, or other when the member was absent or null.
func (o Opt[T]) Or(other T) T {
	if !o.Set || o.Null {
		return other
	}
	return o.V
}

// Int takes 5 and "5", as OpenStack's schemas do in places.
type Int int64

// UnmarshalJSON reads a number or a string that holds one.
func (i *Int) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	*i = Int(n)
	return err
}

// Bool takes true, "true", "True", 1, "yes" and their opposites, as
// oslo.utils' strict boolean reading does.
type Bool bool

// UnmarshalJSON reads a boolean in any of its spellings.
func (b *Bool) UnmarshalJSON(raw []byte) error {
	v, ok := ParseBool(strings.Trim(string(raw), `"`))
	if !ok {
		return fmt.Errorf("not a boolean")
	}
	*b = Bool(v)
	return nil
}

// ParseBool reads a boolean in the spellings oslo.utils takes.
func ParseBool(s string) (value, ok bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "1", "t", "true", "on", "y", "yes":
		return true, true
	case "0", "f", "false", "off", "n", "no":
		return false, true
	}
	return false, false
}
