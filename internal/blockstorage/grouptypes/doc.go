// Package grouptypes serves group types and their specs. A type that a group
// has is not deleted. The type default_cgsnapshot_type is there from the
// start, for the older consistency group calls.
package grouptypes
