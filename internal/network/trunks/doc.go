// Package trunks is the resource trunk: a port whose guest reaches further
// networks by VLAN tags, each tag leading to a port of its own.
//
// A subport is bound where its parent is and shares its status. It belongs to
// one trunk and to no device; while it does it cannot be deleted, and neither
// can the parent.
package trunks
