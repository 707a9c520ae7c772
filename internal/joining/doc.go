// Package joining lets machines into a cloud as hosts, and keeps out those that
// were removed.
//
// An administrator mints a token: address of the API, fingerprint of the root
// certificate, a secret. It works once and for a short while. The joining
// machine makes a key that it keeps for as long as it belongs to the cloud,
// proves the token, and gets a certificate of 24 hours. It renews that with
// the same key alone, also after it was off for longer than a day; so no
// person has to do anything when it comes back.
//
// Invariants: a name belongs to one key until the host is removed; a host that
// is not on the list is refused by the bus, whatever certificate it has, and
// is cut off within a second. The host on a server's own machine is on the list
// with no key, since its certificate is made by the supervisor there.
//
// Rejected: revocation lists (every process that speaks TLS would have to know
// them; a list of who belongs is shorter and fails closed), long certificates.
package joining
