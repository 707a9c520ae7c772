// Package bindings is the resource port binding: a port has an active one, that
// of the host it is bound to, and inactive ones of hosts that it may be given to.
//
// An inactive binding is a note of what the port shall be on that host: no host
// learns of it, and no packet goes there, until it is activated. Then the port
// is bound to that host, and the host before has it no more; its binding stays,
// inactive. Whoever binds the port to a host otherwise, as compute does in a
// move of a server, replaces that host's inactive binding. Compute needs none of
// its own: its sagas know where a server may go back to.
package bindings
