// Package subnets is the resource subnet: a range of addresses of a network,
// its pools, gateway, DHCP answers and IPv6 modes.
//
// Where DHCP is served the network's metadata port gets an address on the
// subnet; guests are routed to metadata through it.
package subnets
