// Package containers serves containers of the Swift API: attributes, access
// lists, versioning, and listings of objects and of their versions.
package containers
