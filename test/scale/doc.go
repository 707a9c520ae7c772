// Package scale measures a cloud of many simulated hosts and servers, and how
// hot operations grow with the rows in the database. "make scale" runs it; each
// of its tests leaves lines of package test/measured.
package scale
