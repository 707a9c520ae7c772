// Package network is the contract of the networking service: what networks,
// subnets, ports, routers, floating addresses and security groups are, which
// states they have, and what compute may ask of them. No I/O happens here.
//
// Invariants: an address is unique in its subnet and a MAC in its network; a
// port is bound to at most one host; a floating address has at most one
// association, and translation exists exactly while it is associated. What a
// host should have and what the northbound database holds are pure functions
// of these types (packages hostnet and ovn).
//
// Rejected: plug-ins per mechanism as Neutron's ML2 has them. There is one
// engine, OVN, so a network needs no driver hierarchy.
package network
