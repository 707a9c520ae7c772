// Package metadata is the service that guests find at 169.254.169.254: one
// listener per host for all networks, answering from what the agent last
// accepted, so it works while the server is down.
//
// Who asks is known from the port that the connection came in by (its peer
// address stands for the port) and from nothing else: headers, host names and
// addresses in a request are never looked at. A connection that came in by no
// known port gets 404.
package metadata
