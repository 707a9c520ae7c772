// Package http1 answers plain, short requests of HTTP/1.1 (RFC 9112) without what
// net/http does for each of all others: a goroutine that reads ahead, five changes
// of deadlines, copies of headers. That is a third of the time of a small request.
//
// A connection stays here while each of its requests is ordinary and whole in one
// buffer within a moment. At the first other one, before any of it is used, the
// connection is handed to net/http with all that was read of it, for good:
// HTTP/2, long and chunked bodies, upgrades, expectations, slow clients, and
// everything that is not exactly as expected, errors included. Requests are parsed
// by http.ReadRequest, after a look that is stricter.
//
// Rejected: fasthttp (its own request type, no net/http handlers, no HTTP/2);
// event loops such as gnet or nbio (their own parsers, and handlers that wait for
// disks need goroutines all the same).
package http1
