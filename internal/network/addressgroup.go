package network

import "net/netip"

// AddressGroup is a named set of addresses that security group rules refer to.
type AddressGroup struct {
	Standard
	Addresses  []netip.Prefix // masked, each once, in order
	SharedWith Audience
}
