// Package flavors serves the sizes that servers come in: flavors, their extra
// specs and the projects that may use private ones.
//
// A flavor that a caller may not use looks missing. Deleting a flavor never
// touches servers: they carry a copy.
package flavors
