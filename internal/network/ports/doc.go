// Package ports is the resource port: an attachment to a network with its
// addresses, groups and binding.
//
// Ports of routers and floating addresses and the metadata port are made by
// their owners only; a user can neither make one nor delete it here, since they
// are trusted to send what they like.
package ports
