// Package addressscopes is the resource address scope: a space of addresses
// whose subnets do not overlap. What it means for traffic is in package ovn.
package addressscopes
