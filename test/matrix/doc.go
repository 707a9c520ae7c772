// Package matrix asks every operation as every kind of caller, and compares who
// gets past the policy with a reviewed table. See docs/security.md.
package matrix
