// Package testcloud is a whole cloud inside a test: the real front door, a
// real database, simulated hosts. Tests drive it by HTTP, as a client would.
package testcloud
