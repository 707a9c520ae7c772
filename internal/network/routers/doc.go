// Package routers is the resource router: interfaces on subnets, a gateway on
// an external network, extra routes.
//
// Interfaces and the gateway are ports that the router owns. A gateway or an
// interface that a floating address needs, or an extra route, cannot go.
package routers
