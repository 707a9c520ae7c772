// Package catalog is what the networking API says of itself and its hosts:
// versions, extensions, agents, availability zones, service providers, and how
// many addresses are in use.
//
// Clients decide by the list of extensions, so it names exactly what is served.
package catalog
