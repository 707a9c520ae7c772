// Package subnetpools is the resource subnet pool: ranges that subnets are cut
// from, with limits of length and of what one project may take.
//
// What is cut from a pool never overlaps; pools of one address scope do not
// overlap either. A pool is locked while a subnet is cut from it.
package subnetpools
