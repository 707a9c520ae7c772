// Package hostnet is the contract between the agent and what it drives to
// give guests their ports: taps in a switch, metadata's way to the host, the
// uplink of the external network. It holds types and interfaces only; package
// hostnet/ovs drives Open vSwitch, hostnet/sim nothing at all.
//
// Names on a host carry the cloud's hash, so that several clouds share one
// machine; everything works inside a network namespace as well.
package hostnet
