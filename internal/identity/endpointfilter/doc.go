// Package endpointfilter is OS-EP-FILTER: which endpoints the catalog shows to
// which projects, one by one or by groups of endpoints that share a service, a
// region or an interface.
//
// Invariants: a project that was never given an endpoint or a group sees the
// whole catalog; one that was sees those and no others. Filters hide addresses,
// they do not forbid calls.
package endpointfilter
