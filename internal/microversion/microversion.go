// Package microversion is the arithmetic of API microversions such as 2.79:
// a pair of numbers of which the first never changes within a service.
package microversion

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is major*1000+minor: 2.79 is 2079. Zero means "not versioned".
type Version int

// V makes a version from its two numbers.
func V(major, minor int) Version { return Version(major*1000 + minor) }

// Major is the number before the dot.
func (v Version) Major() int { return int(v) / 1000 }

// Minor is the number behind the dot.
func (v Version) Minor() int { return int(v) % 1000 }

// String is the form of the wire, "2.79".
func (v Version) String() string {
	return strconv.Itoa(v.Major()) + "." + strconv.Itoa(v.Minor())
}

// Parse reads "2.79". Both numbers must be plain decimals below 1000.
func Parse(s string) (Version, error) {
	a, b, ok := strings.Cut(s, ".")
	major, err1 := strconv.ParseUint(a, 10, 16)
	minor, err2 := strconv.ParseUint(b, 10, 16)
	plain := strconv.FormatUint(major, 10) == a && strconv.FormatUint(minor, 10) == b
	if !ok || err1 != nil || err2 != nil || minor > 999 || major > 99 || !plain {
		return 0, fmt.Errorf("%q is not a version of the form MAJOR.MINOR", s)
	}
	return V(int(major), int(minor)), nil
}

// Range is where something exists: from Since on, before Until. Zero ends are open.
type Range struct{ Since, Until Version }

// Has tells whether v lies in the range.
func (r Range) Has(v Version) bool { return v >= r.Since && (r.Until == 0 || v < r.Until) }
