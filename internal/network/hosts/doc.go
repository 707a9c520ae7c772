// Package hosts is the networking service's end of hosts: what a host should
// have of section Ports, and what it says of its ports. A host may speak only
// of ports that are bound to it.
package hosts
