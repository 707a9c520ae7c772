// Package appcreds keeps application credentials and their access rules.
//
// Invariants: a credential's roles are among those of the token that made it,
// and act only as long as its user has them; its secret is shown once and kept
// as a hash; a token made from it manages credentials only if it is
// unrestricted, a token lent by a trust never does; checking a secret that
// belongs to nothing takes as long as a wrong one.
package appcreds
