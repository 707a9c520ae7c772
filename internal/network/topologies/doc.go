// Package topologies is the resource auto-allocated topology: for a project
// that asks for any network, a network with a subnet of each default subnet pool
// that the project may use, and a router that leads from them to the default
// external network.
//
// A project has one at most. It is made by one transaction, so there is all of
// it or nothing; the row that names it goes with its network. Compute asks for
// it while it makes a server's ports, in that transaction.
package topologies
