// Package networks is the resource network: broadcast domains of a project,
// shared ones, and the external ones that administrators connect to a
// physical network.
//
// A network may go while its own metadata port is on it, and takes its subnets
// along; any other port keeps it.
package networks
