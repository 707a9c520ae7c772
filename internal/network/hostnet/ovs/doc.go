// Package ovs drives a host's Open vSwitch for hostnet: taps of guests in the
// integration bridge, the external bridge with the host's own address on it,
// and the metadata bridge.
//
// Metadata has no namespace per network. A patch port carries each network's
// metadata port into one bridge, where two flows per guest rewrite the guest's
// address to one of ours and back: the peer address that the listener sees
// names the port, and nothing in a request can change it. Only TCP to the
// metadata port passes, so a guest reaches no other service of the host.
//
// The switch's database is both desired state and memory: what belongs to a
// port is found by its external_ids, so the driver keeps no file of its own.
// The flows of the metadata bridge vanish when the switch restarts; the driver
// notices and writes them again.
//
// Rejected: ovs-vsctl, ovs-ofctl and nft (a process per change, which on a busy
// host takes longer than the change), namespaces per network (a veth, a listener
// and a process each), 169.254.169.254 on the host (the host may
// need that address for itself, and several clouds would fight about it).
package ovs
