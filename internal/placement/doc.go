// Package placement is the contract of the Placement service: resource
// providers with their inventories, traits and aggregates, what consumers have
// allocated of them, and the question which providers could serve a request.
//
// Invariants: allocations never exceed capacity except where an inventory was
// shrunk below what is used already; every change of a provider's inventories,
// traits or allocations raises its generation; a consumer exists exactly while
// it has allocations.
//
// Package records keeps the rows and, beside them, package search's index of
// all providers in memory, from which lists and candidates are answered. Asking
// the database for candidates, as OpenStack does, was rejected: the joins cost
// tens of milliseconds at a thousand hosts.
package placement
