package network

import "net/netip"

// Forwarding leads ports of a floating address to ports of one or more guests.
type Forwarding struct {
	Standard
	FloatingID    string
	Protocol      string // "tcp", "udp" or "sctp"
	PortID        string
	Fixed         netip.Addr
	InternalFirst int
	InternalLast  int
	ExternalFirst int
	ExternalLast  int // ranges are of equal length
}
