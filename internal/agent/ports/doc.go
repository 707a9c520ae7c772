// Package ports keeps what a host should have of section Ports: a tap in the
// switch for each bound port, and the way from it to the metadata listener.
//
// A port is Ready once the switch forwards for it: its logical port is bound
// to this host and its flows are in. Until then it is Pending, however long;
// a guest that starts meanwhile waits for its network, not the other way
// round. A port that cannot be made is Failed with the reason and tried again
// with the next document. Taps that no document wants are removed, since the
// document lists all ports of the host.
package ports
