// Package aggregates serves host aggregates: named sets of hosts with metadata
// that schedulers match; an aggregate with an availability zone puts its hosts there.
package aggregates
