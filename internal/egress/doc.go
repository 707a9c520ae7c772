// Package egress is the one client with which the server fetches what users
// name by address.
//
// Invariants: only http and https, without credentials in the address, on
// ports that are allowed; every connection, also of a redirect, is made to an
// address that was checked after it was resolved and is public (not loopback,
// private, link-local, shared, multicast or unspecified), unless the operator
// allows it by name; no proxy, no cookies, no token of ours; a bounded time
// without an answer. Who reads a body bounds its length.
package egress
