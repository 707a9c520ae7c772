// Package forwardings is the resource port forwarding: single ports of a
// floating address lead to ports of guests, so that several share one address.
//
// All forwardings of an address go by one router. An address that is
// associated with a port as a whole has none.
package forwardings
