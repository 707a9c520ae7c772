// Package security holds the tests of docs/security.md that belong to no single
// package: attacks that were published against clouds, tried on this one.
package security
