// Package domainconfig keeps the options that domains have of their own, as
// upstream's API has them for identity back ends.
//
// Invariants: only options that upstream names are taken; the sensitive ones
// are sealed by the master key and never shown. Users and groups of every
// domain are in this cloud's database: the options are kept for the tools that
// write and read them, and no directory is asked.
package domainconfig
