package wire

import (
	"net/netip"
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
)

// Route is a route as bodies spell it.
type Route struct {
	Destination string `json:"destination" v:"required"`
	NextHop     string `json:"nexthop" v:"required"`
}

// Routes are routes as views spell them.
func Routes(routes []network.HostRoute) []Route {
	out := make([]Route, 0, len(routes))
	for _, r := range routes {
		out = append(out, Route{r.Destination.String(), r.NextHop.String()})
	}
	return out
}

// ParseRoutes reads routes; what names the member for errors.
func ParseRoutes(what string, in []Route) ([]network.HostRoute, error) {
	out := make([]network.HostRoute, 0, len(in))
	for _, r := range in {
		to, err := netip.ParsePrefix(r.Destination)
		if a, single := netip.ParseAddr(r.Destination); err != nil && single == nil {
			to, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, fault.Invalidf("Invalid input for %s. Reason: '%s' is not a valid IP subnet.", what, r.Destination).With("HTTPBadRequest")
		}
		hop, err := netip.ParseAddr(r.NextHop)
		if err != nil || hop.Zone() != "" {
			return nil, fault.Invalidf("Invalid input for %s. Reason: '%s' is not a valid IP address.", what, r.NextHop).With("HTTPBadRequest")
		}
		route := network.HostRoute{Destination: to.Masked(), NextHop: hop}
		if slices.Contains(out, route) {
			return nil, fault.Invalidf("Invalid input for %s. Reason: Duplicate hostroute '%s'.", what, r.Destination).With("HTTPBadRequest")
		}
		out = append(out, route)
	}
	return out, nil
}

// Prefixes are ranges as views spell them.
func Prefixes(in []netip.Prefix) []string {
	out := make([]string, 0, len(in))
	for _, p := range in {
		out = append(out, p.String())
	}
	return out
}

// ParsePrefixes reads ranges or single addresses; what names the member for errors.
func ParsePrefixes(what string, in []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(in))
	for _, text := range in {
		p, err := netip.ParsePrefix(text)
		if a, single := netip.ParseAddr(text); err != nil && single == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, fault.Invalidf("Invalid input for %s. Reason: '%s' is not a valid IP subnet.", what, text).With("HTTPBadRequest")
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
