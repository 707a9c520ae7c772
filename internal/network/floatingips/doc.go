// Package floatingips is the resource floating IP: an address of an external
// network that a project holds, and that a router translates to a port.
package floatingips
