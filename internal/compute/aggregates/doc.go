// Package aggregates serves host aggregates: named sets of hosts with metadata
// that schedulers match; an aggregate with an availability zone puts its hosts there.
//
// Images can be brought to the hosts of an aggregate ahead of use. A request is a row,
// each of its hosts another, and a host's turn a saga: at most hostsAtOnce hosts of the
// cloud fetch at a time, whatever was asked for, and the one that ends gives its turn
// to the one that waits longest, in its own transaction. A host may read an image
// while it has its turn, and not before or after. What it got stays with it as
// the images of its servers do: until nobody has used it for a day.
//
// An image that is missing fails for the host alone, as upstream: nothing is
// taken back, and whoever asked reads in the events what became of it.
//
// Rejected: one saga per request, which would hold a worker of the engine for as long
// as its slowest host; images as desired state of hosts, which would keep them there
// for ever.
package aggregates
