package network

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// DefaultDomain is the domain of ports whose network has none.
const DefaultDomain = "openstacklocal"

var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// DNSLabels tells whether a name, in lower case and without a final dot, is
// made of labels that DNS allows.
func DNSLabels(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for part := range strings.SplitSeq(name, ".") {
		if !label.MatchString(part) {
			return false
		}
	}
	return true
}

// ReverseName is the name under which DNS keeps the name of an address.
func ReverseName(a netip.Addr) string {
	var b strings.Builder
	raw := a.AsSlice()
	for i := len(raw) - 1; i >= 0; i-- {
		if a.Is4() {
			fmt.Fprintf(&b, "%d.", raw[i])
			continue
		}
		fmt.Fprintf(&b, "%x.%x.", raw[i]&15, raw[i]>>4)
	}
	if a.Is4() {
		return b.String() + "in-addr.arpa"
	}
	return b.String() + "ip6.arpa"
}

// HostName is the name of an address of a port that has none of its own.
func HostName(a netip.Addr) string {
	return "host-" + strings.NewReplacer(".", "-", ":", "-").Replace(a.String())
}

// Domains lists the domains under which a port is known, the first one first.
func (p Port) Domains(networkDomain string) []string {
	var out []string
	for _, d := range []string{p.DNSDomain, networkDomain, DefaultDomain} {
		d = strings.ToLower(strings.TrimSuffix(d, "."))
		if d != "" && (len(out) == 0 || out[len(out)-1] != d) {
			out = append(out, d)
		}
	}
	return out
}
