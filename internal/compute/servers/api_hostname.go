package servers

import (
	"regexp"
	"strings"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

// label is a host name without a domain.
var label = regexp.MustCompile(`^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$`)

// part is one part of a fully qualified host name.
var part = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)

// checkHostname refuses what cannot be a server's host name: a single label
// before 2.94, a fully qualified name from then on.
func checkHostname(c *rest.Call, name *string) error {
	if name == nil || *name == "" {
		return nil // not given
	}
	if qualified(*name, c.At(compute.QualifiedHostname)) {
		return nil
	}
	return fault.Invalidf("Invalid input for field/attribute hostname. Value: %s. It is not a valid host name", *name)
}

func qualified(name string, dots bool) bool {
	if !dots || !strings.Contains(name, ".") {
		return len(name) <= 63 && label.MatchString(name)
	}
	for p := range strings.SplitSeq(name, ".") {
		if !part.MatchString(p) {
			return false
		}
	}
	return true
}
