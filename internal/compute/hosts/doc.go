// Package hosts knows the machines that run servers: compute services,
// hypervisors and availability zones.
//
// A host registers itself by what its agent says (facts); an administrator
// only disables it, forces it down or deletes it. Whether it is up follows
// from its lease, never from a stored flag. Usage is counted from servers.
package hosts
