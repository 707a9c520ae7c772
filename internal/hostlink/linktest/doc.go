// Package linktest is the conformance suite of hostlink's placements: what a
// feature of the server and an applier of a host may rely on, whatever lies
// between them. Each placement runs it from its own tests.
package linktest
