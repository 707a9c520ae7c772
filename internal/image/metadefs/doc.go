// Package metadefs keeps the catalog of metadata definitions: namespaces that
// say which properties images, volumes, flavors and servers may carry and what
// they mean. Nothing in the cloud interprets them; dashboards and clients do.
//
// A namespace holds definitions of four kinds: objects (groups of properties),
// properties, tags, and associations with resource types. All four are a name
// and a JSON document, checked when it is written.
package metadefs
