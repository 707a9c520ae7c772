// Package qos is the resource QoS policy with its rules: how fast ports,
// floating addresses and gateways may send and receive, and how their packets
// are marked.
//
// Only kinds of rules are known that the engine enforces; guarantees and
// limits of packet rates are not among them, so asking for one is refused.
package qos
