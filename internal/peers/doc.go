// Package peers is what the servers of one cloud know of each other: they share
// a database, and each beats there in a row of its own.
//
// A server whose beat has not moved for Lease, as measured by those who watch
// it on their own monotonic clock, is dead to them: what it had leased (sagas,
// roles) is taken over. No clock is compared with another's. A server that
// could not beat for half of that begins a new term: whatever it does under the
// term before is refused by itself (Holds), so that one that was stopped and
// goes on does nothing that another has taken over.
//
// With SQLite there is one server, and all of this costs nothing.
//
// Rejected: leases by wall time, which a clock that is set cuts or prolongs;
// advisory locks of PostgreSQL, which end with a connection and not with the
// holder's belief that it has them.
package peers
